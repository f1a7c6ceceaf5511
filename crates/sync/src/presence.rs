//! Presence: signed messages on a topic of a database that nobody stores.
//!
//! Invariant: a message is what its author's key has signed, for one database; its parts are bounded.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use weald_dag::{DatabaseId, Domain, PublicKey, SecretKey, Signature};

use crate::close::PeerFault;
use crate::hello::derive;
use crate::limits::{PRESENCE_BODY_MAX, PRESENCE_TOPIC_MAX};
use crate::message::at_most;

/// Length of the nonce that tells two messages of an author apart, in bytes.
pub const PRESENCE_NONCE_LEN: usize = 16;

/// A signed message on a topic of a database, which nobody stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceMessage {
    /// What it is about; at most [`PRESENCE_TOPIC_MAX`] bytes.
    pub topic: String,
    /// What it says; at most [`PRESENCE_BODY_MAX`] bytes.
    pub body: Vec<u8>,
    /// Who says it.
    pub author: PublicKey,
    /// When, by the author's clock, in milliseconds since 1970.
    pub time: u64,
    /// Random bytes.
    pub nonce: [u8; PRESENCE_NONCE_LEN],
    /// The author's signature over all of it and the database.
    pub signature: Signature,
}

/// A message on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spoken {
    topic: String,
    body: ByteBuf,
    author: ByteArray<32>,
    time: u64,
    nonce: ByteArray<PRESENCE_NONCE_LEN>,
    signature: ByteArray<64>,
}

impl PresenceMessage {
    /// Signs a message. Who reads it refuses one whose topic or body is longer than allowed.
    pub fn sign(
        secret: &SecretKey,
        database: &DatabaseId,
        topic: String,
        body: Vec<u8>,
        time: u64,
        nonce: [u8; PRESENCE_NONCE_LEN],
    ) -> Self {
        let digest = digest(database, &topic, time, &nonce, &body);
        let signature = secret.sign(Domain::Presence, &digest);
        Self { topic, body, author: secret.public(), time, nonce, signature }
    }

    /// Returns whether the author has signed it for this database.
    pub fn is_genuine(&self, database: &DatabaseId) -> bool {
        let digest = digest(database, &self.topic, self.time, &self.nonce, &self.body);
        self.author.verifies(Domain::Presence, &digest, &self.signature)
    }

    /// Returns what tells it from every other message, whatever its signature's form.
    pub(crate) fn mark(&self, database: &DatabaseId) -> [u8; 32] {
        let digest = digest(database, &self.topic, self.time, &self.nonce, &self.body);
        derive("weald 2026 presence mark v1", &[self.author.as_bytes(), &digest])
    }

    /// Returns about how much room it takes, in bytes.
    pub const fn weight(&self) -> usize {
        size_of::<Self>() + self.topic.len() + self.body.len()
    }
}

fn digest(
    database: &DatabaseId,
    topic: &str,
    time: u64,
    nonce: &[u8; PRESENCE_NONCE_LEN],
    body: &[u8],
) -> [u8; 32] {
    let (database, time) = (database.as_bytes().as_slice(), time.to_le_bytes());
    derive("weald 2026 presence v1", &[database, topic.as_bytes(), &time, nonce, body])
}

impl From<&PresenceMessage> for Spoken {
    fn from(message: &PresenceMessage) -> Self {
        Self {
            topic: message.topic.clone(),
            body: ByteBuf::from(message.body.clone()),
            author: ByteArray::new(*message.author.as_bytes()),
            time: message.time,
            nonce: ByteArray::new(message.nonce),
            signature: ByteArray::new(*message.signature.as_bytes()),
        }
    }
}

impl Spoken {
    pub(crate) fn check(&self) -> Result<(), PeerFault> {
        at_most("bytes of a topic", self.topic.len(), PRESENCE_TOPIC_MAX)?;
        at_most("bytes of a presence message", self.body.len(), PRESENCE_BODY_MAX)
    }

    /// Reads it; `None` where the author is no key. Its signature is not looked at.
    pub(crate) fn into_message(self) -> Option<PresenceMessage> {
        let Self { topic, body, author, time, nonce, signature } = self;
        Some(PresenceMessage {
            topic,
            body: body.into_vec(),
            author: PublicKey::from_bytes(*author).ok()?,
            time,
            nonce: *nonce,
            signature: Signature::from_bytes(*signature),
        })
    }
}

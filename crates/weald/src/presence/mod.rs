//! Presence: signed messages on a topic of a database (typing, cursors, who is here) that nobody stores.
//!
//! Invariant: nothing of it reaches a store or a peer that may not read the database; what is remembered is bounded
//! and only of now.

mod board;
mod error;
mod heard;
mod watch;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use weald_crdt::Value;
use weald_dag::StoreError;
use weald_sync::PresenceMessage;
use weald_sync::limits::{PRESENCE_BODY_MAX, PRESENCE_TOPIC_MAX};

pub(crate) use board::PresenceBoard;
pub use error::PresenceError;
pub use heard::Heard;
pub use watch::{PRESENCE_WATCH_QUEUE, PresenceWatch};

use crate::clock::wall_millis;
use crate::database::Database;
use crate::entropy;

/// For how long an author counts as here after its last message, unless asked otherwise.
pub const PRESENCE_TTL: Duration = Duration::from_secs(30);

/// How many last messages of authors are remembered for one database; those heard longest ago go first.
pub const PRESENT_PER_DATABASE_MAX: usize = 1024;

/// On how many topics the last message of one author is remembered for one database; those heard longest ago go first.
pub const TOPICS_PER_AUTHOR_MAX: usize = 64;

/// Says and hears presence messages of one database, as the key of its handle.
///
/// A message goes to this instance and to all linked peers that sync the database and may read it, and from them
/// to theirs. It is signed, and stored by nobody. Under pressure messages are dropped, older ones first: say again
/// what must last, such as "here" every few seconds. Whoever may read the database can read what is said, also
/// where its stores are sealed.
///
/// ```
/// use weald::{DatabaseSettings, Instance};
///
/// # fn main() -> Result<(), weald::Error> {
/// let instance = Instance::in_memory()?;
/// let alice = instance.create_user("alice", None)?;
/// let room = alice.create_database(DatabaseSettings::named("Demo"))?;
/// let presence = room.presence();
/// let mut typing = presence.watch("typing")?;
/// presence.publish("typing", &true)?;
/// let heard = typing.try_next().expect("what is said here is heard here");
/// assert_eq!((heard.author(), heard.value::<bool>()?), (room.key(), true));
/// assert_eq!(presence.who("typing").len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Presence {
    database: Database,
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("database", &self.database.id()).finish_non_exhaustive()
    }
}

impl Database {
    /// Returns what says and hears presence messages of the database: typing, cursors, who is here.
    pub fn presence(&self) -> Presence {
        Presence { database: self.clone() }
    }
}

impl Presence {
    /// Says a value on a topic of at most [`PRESENCE_TOPIC_MAX`] bytes; its bytes are those of a stored [`Value`].
    ///
    /// Returns once it is on its way; nobody need hear it.
    ///
    /// # Errors
    /// [`PresenceError`].
    pub fn publish<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        value: &T,
    ) -> Result<(), PresenceError> {
        self.publish_bytes(topic, Value::from_serde(value)?.encode()?)
    }

    /// Says bytes on a topic, at most [`PRESENCE_BODY_MAX`].
    ///
    /// # Errors
    /// [`PresenceError`].
    pub fn publish_bytes(&self, topic: &str, body: Vec<u8>) -> Result<(), PresenceError> {
        check_topic(topic)?;
        if body.len() > PRESENCE_BODY_MAX {
            return Err(PresenceError::TooLong { found: body.len() });
        }
        self.check_may_read()?;
        let (id, secret) = (self.database.id(), self.database.secret());
        let nonce = entropy::bytes()?;
        let message =
            PresenceMessage::sign(secret, &id, topic.to_owned(), body, wall_millis(), nonce);
        self.board().publish(id, message);
        Ok(())
    }

    /// Watches a topic: all that is said on it from now on, here or by peers, also by this handle's own key.
    ///
    /// # Errors
    /// [`PresenceError::Topic`].
    pub fn watch(&self, topic: &str) -> Result<PresenceWatch, PresenceError> {
        check_topic(topic)?;
        Ok(self.board().watch(self.database.id(), topic))
    }

    /// Returns the last message of each author who was heard on a topic within [`PRESENCE_TTL`], latest first.
    pub fn who(&self, topic: &str) -> Vec<Heard> {
        self.who_within(topic, PRESENCE_TTL)
    }

    /// Returns the last message of each author who was heard on a topic within this time, by when it was heard here,
    /// latest first; authors who may not read any more are left out. At most an hour is remembered, at most
    /// [`PRESENT_PER_DATABASE_MAX`] messages a database, and of each author the last ones on
    /// [`TOPICS_PER_AUTHOR_MAX`] topics.
    pub fn who_within(&self, topic: &str, within: Duration) -> Vec<Heard> {
        let mut heard = self.board().who(&self.database.id(), topic, within);
        heard.retain(|heard| self.may_read(&heard.author()).unwrap_or(false));
        heard
    }

    fn board(&self) -> &PresenceBoard {
        &self.database.core().presence
    }

    fn may_read(&self, key: &weald_dag::PublicKey) -> Result<bool, StoreError> {
        let core = self.database.core();
        let Some(held) = core.held(&self.database.id())? else { return Ok(false) };
        Ok(core.authority(&held)?.current().at(wall_millis()).may_read(&[*key]))
    }

    fn check_may_read(&self) -> Result<(), PresenceError> {
        let key = self.database.key();
        if self.may_read(&key)? { Ok(()) } else { Err(PresenceError::MayNotRead { key }) }
    }
}

fn check_topic(topic: &str) -> Result<(), PresenceError> {
    if topic.is_empty() || topic.len() > PRESENCE_TOPIC_MAX {
        return Err(PresenceError::Topic { found: topic.len() });
    }
    Ok(())
}

//! What is said inside a session: controls in CBOR, batches of entries in their own wire form.
//!
//! Invariant: a decoded message is within the limits; entries keep their own wire form also where a
//! control carries them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::batch::EntryBatch;
use crate::class::Class;
use crate::close::PeerFault;
use crate::ids::{Bits, Ids};
use crate::limits::{
    CONTROL_MAX, CONTROLS_MAX, HAVE_MAX, KEYS_MAX, PROBE_MAX, REASON_MAX, REQUEST_BYTES_MAX,
    SHOWN_MAX_BYTES, TIPS_PAGE, WANT_DEPTH_MAX, WANT_MAX,
};
use crate::naming::Name;
use crate::possession::KeyProof;
use crate::request::RequestAnswer;

const CONTROLS: u8 = 0;
const ENTRIES: u8 = 1;

/// What a side holds when a round starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Announce {
    pub(crate) name: Name,
    pub(crate) round: u64,
    /// Whether the bootstrap of the database is finished there.
    pub(crate) complete: bool,
    /// Whether this side may not send its entries to the other.
    pub(crate) withheld: bool,
    /// Whether this side holds entries and does not say which, as the other has proven no key that
    /// may read them. Nothing below is said then.
    pub(crate) silent: bool,
    /// Whether the other side has said that this one may not read, and what is known here differs.
    pub(crate) objects: bool,
    /// Whether what was sent before and is not among the tips' ancestors did not stay.
    pub(crate) forget: bool,
    /// How many entries are needed there.
    pub(crate) entries: u64,
    /// The newest tips, at most a page.
    pub(crate) tips: Ids,
    /// How many tips there are.
    pub(crate) total: u64,
    /// The digest of all tips where they do not fit in a page.
    pub(crate) digest: Option<ByteBuf>,
    /// Entries below the tips, to find a common one by.
    pub(crate) probe: Ids,
}

/// What became of one tip that is not held.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unheld {
    pub(crate) index: u32,
    pub(crate) class: Class,
    pub(crate) reason: Option<String>,
}

/// A message that carries no entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Control {
    /// Proves keys beside the device key, for one database.
    Keys { name: Name, proofs: Vec<KeyProof> },
    /// Names a database and starts a round.
    Announce(Announce),
    /// Answers a name that is not known or not allowed.
    Unknown(Name),
    /// Says that the other side may not read any more what it once could, with the settings entries
    /// that show it, as far as they fit; nothing about the database is sent until
    /// [`Control::Left`] is answered.
    Revoked { name: Name, shown: ByteBuf },
    /// Stops syncing a database; nothing about it is sent until [`Control::Left`] is answered.
    Leave(Name),
    /// Answers [`Control::Leave`] and [`Control::Revoked`].
    Left(Name),
    /// Says which tips and which entries of the probe of an [`Announce`] are held.
    Compared { name: Name, round: u64, tips: Bits, probe: Bits },
    /// Asks which of these are held.
    Probe { name: Name, round: u64, ids: Ids },
    /// Answers a probe.
    Probed { name: Name, round: u64, held: Bits },
    /// Says how many entries will come in this round.
    Sending { name: Name, round: u64, entries: u64 },
    /// Says that all have come.
    Sent { name: Name, round: u64 },
    /// Classes every tip that the other side announced; those not listed are held.
    Settled { name: Name, round: u64, unheld: Vec<Unheld> },
    /// Asks for entries by id, with at most `depth` of those at and before them.
    Want { name: Name, ids: Ids, depth: u32 },
    /// Says that all that a want asked for has come, as far as it is held.
    Wanted(Name),
    /// Says that this batch and all before it are stored.
    Ack { name: Name, batch: u64 },
    /// Announces entries that came here from another peer.
    Have { name: Name, ids: Ids },
    /// Says which of the announced entries are held.
    Had { name: Name, held: Bits },
    /// Asks for access to a database, by bytes that only who decides can read.
    Ask(ByteBuf),
    /// Answers a request by the hash of its bytes, at once and again when it is decided.
    Answer { request: ByteArray<32>, answer: RequestAnswer },
    /// Asks whether the peer is there.
    Ping(u64),
    /// Answers [`Control::Ping`].
    Pong(u64),
    /// Ends the session.
    Goodbye(u8),
}

/// A message.
#[derive(Debug)]
pub(crate) enum Message {
    Controls(Vec<Control>),
    Entries(EntryBatch),
}

/// Starts a message of controls.
pub(crate) fn start_controls() -> Vec<u8> {
    vec![CONTROLS]
}

/// Appends a control to a message.
pub(crate) fn put_control(message: &mut Vec<u8>, control: &Control) {
    // Writing to memory does not fail; a half-written control would be refused by the peer.
    if ciborium::into_writer(control, &mut *message).is_err() {
        message.truncate(1);
    }
}

/// Starts a message of entries.
pub(crate) fn start_entries() -> Vec<u8> {
    vec![ENTRIES]
}

impl Message {
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, PeerFault> {
        match bytes.first() {
            Some(&CONTROLS) => controls(bytes.get(1..).unwrap_or_default()).map(Self::Controls),
            Some(&ENTRIES) => EntryBatch::decode(bytes, 1).map(Self::Entries),
            _ => Err(PeerFault::Garbled { what: "a message" }),
        }
    }
}

fn controls(mut bytes: &[u8]) -> Result<Vec<Control>, PeerFault> {
    if bytes.len() > CONTROL_MAX {
        let what = "controls";
        return Err(PeerFault::TooLong { what, found: bytes.len(), limit: CONTROL_MAX });
    }
    let mut controls = Vec::new();
    while !bytes.is_empty() {
        at_most("controls in a message", controls.len() + 1, CONTROLS_MAX)?;
        let control: Control = ciborium::from_reader(&mut bytes)
            .map_err(|_| PeerFault::Garbled { what: "a control" })?;
        control.check()?;
        controls.push(control);
    }
    Ok(controls)
}

impl Control {
    fn check(&self) -> Result<(), PeerFault> {
        match self {
            Self::Announce(announce) => {
                at_most("tips", announce.tips.0.len(), TIPS_PAGE)?;
                at_most("ids in a probe", announce.probe.0.len(), PROBE_MAX)?;
                let listed = announce.tips.0.len() as u64;
                let whole = announce.total == listed && announce.digest.is_none();
                let paged = announce.total > listed && announce.digest.is_some();
                let rooted = !announce.complete || listed > 0;
                let hushed =
                    !announce.silent || (listed == 0 && announce.entries == 0 && announce.withheld);
                if (whole || paged) && rooted && hushed {
                    return Ok(());
                }
                Err(PeerFault::Garbled { what: "an announcement" })
            }
            Self::Keys { proofs, .. } => at_most("keys", proofs.len(), KEYS_MAX),
            Self::Revoked { shown, .. } => {
                at_most("bytes of settings", shown.len(), SHOWN_MAX_BYTES)
            }
            Self::Probe { ids, .. } => at_most("ids in a probe", ids.0.len(), PROBE_MAX),
            Self::Have { ids, .. } => at_most("announced ids", ids.0.len(), HAVE_MAX),
            Self::Want { ids, depth, .. } => {
                at_most("ids in a want", ids.0.len(), WANT_MAX)?;
                let depth = usize::try_from(*depth).unwrap_or(usize::MAX);
                at_most("entries of a want", depth, WANT_DEPTH_MAX as usize)
            }
            Self::Settled { unheld, .. } => {
                at_most("classes", unheld.len(), TIPS_PAGE)?;
                let reasons = unheld.iter().filter_map(|item| item.reason.as_ref());
                reasons.into_iter().try_for_each(|reason| {
                    at_most("characters of a reason", reason.chars().count(), REASON_MAX)
                })
            }
            Self::Ask(request) => at_most("bytes of a request", request.len(), REQUEST_BYTES_MAX),
            Self::Answer { answer, .. } => answer.check(),
            _ => Ok(()),
        }
    }
}

pub(crate) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), PeerFault> {
    if found > limit { Err(PeerFault::TooMany { what, found, limit }) } else { Ok(()) }
}

/// Encodes a value; what is encoded here cannot fail to be.
pub(crate) fn to_cbor(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if ciborium::into_writer(value, &mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

/// Decodes a value that fills `bytes`.
pub(crate) fn from_cbor<T: DeserializeOwned>(mut bytes: &[u8]) -> Option<T> {
    let value = ciborium::from_reader(&mut bytes).ok()?;
    bytes.is_empty().then_some(value)
}

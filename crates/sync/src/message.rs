//! What is said inside a session: controls in CBOR, batches of entries in their own wire form.
//!
//! Invariant: a decoded message is within the limits; entries keep their own wire form also where a
//! control carries them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use weald_dag::ID_LEN;

use crate::batch::EntryBatch;
use crate::class::Class;
use crate::close::PeerFault;
use crate::discovery::{self, Listed};
use crate::filter::FILTER_BYTES_MAX;
use crate::ids::{Bits, Ids, ShortList};
use crate::limits::{
    COMMON_MAX, CONTROL_MAX, CONTROLS_MAX, HAVE_MAX, KEYS_MAX, NEAR_MAX, PROBE_MAX, REASON_MAX,
    REQUEST_BYTES_MAX, SHORTS_MAX, SHOWN_MAX_BYTES, TIPS_PAGE, WANT_DEPTH_MAX, WANT_MAX,
    WINDOW_SYMBOLS_MAX,
};
use crate::naming::Name;
use crate::possession::KeyProof;
use crate::presence::Spoken;
use crate::request::RequestAnswer;
use crate::rungs::{RUNGS_MAX, Rungs};
use crate::symbols::{SYMBOL_BYTES_MAX, SYMBOLS_MAX};
use crate::varint;

const CONTROLS: u8 = 0;
const ENTRIES: u8 = 1;

/// What a side holds when a round starts. Names are short and what is empty is left out, because it is
/// said for every database on every occasion.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announce {
    #[serde(rename = "n")]
    pub(crate) name: Name,
    #[serde(rename = "r")]
    pub(crate) round: u64,
    /// How many attempts of this side have left a tip without a class: the greater of both sides' says
    /// by which method the difference is found.
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub(crate) level: u8,
    /// Whether the bootstrap of the database is finished there.
    #[serde(rename = "c", default, skip_serializing_if = "is_no")]
    pub(crate) complete: bool,
    /// Whether this side may not send its entries to the other.
    #[serde(rename = "w", default, skip_serializing_if = "is_no")]
    pub(crate) withheld: bool,
    /// Whether this side holds entries and does not say which, as the other has proven no key that
    /// may read them. Nothing below is said then.
    #[serde(rename = "s", default, skip_serializing_if = "is_no")]
    pub(crate) silent: bool,
    /// Whether the other side has said that this one may not read, and what is known here differs.
    #[serde(rename = "o", default, skip_serializing_if = "is_no")]
    pub(crate) objects: bool,
    /// Whether what was sent before and is not among the tips' ancestors did not stay.
    #[serde(rename = "f", default, skip_serializing_if = "is_no")]
    pub(crate) forget: bool,
    /// How many entries are needed there.
    #[serde(rename = "e", default, skip_serializing_if = "is_none_yet")]
    pub(crate) entries: u64,
    /// The newest tips, at most a page.
    #[serde(rename = "t", default, skip_serializing_if = "Ids::is_empty")]
    pub(crate) tips: Ids,
    /// All tips, where they are more than a page.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub(crate) paged: Option<Paged>,
    /// Entries near the tips, to find a common one by; where some are remembered as common, those, and all that
    /// are held right above them.
    #[serde(rename = "p", default, skip_serializing_if = "Ids::is_empty")]
    pub(crate) near: Ids,
    /// How many of those, the first, are remembered as common.
    #[serde(rename = "k", default, skip_serializing_if = "is_none_yet")]
    pub(crate) common: u64,
    /// Whether this side has heard the other's announcement, and leaves it to the other to lead.
    #[serde(rename = "y", default, skip_serializing_if = "is_no")]
    pub(crate) replies: bool,
    /// Whether all that the other has announced is held, so that this side settles at once.
    #[serde(rename = "h", default, skip_serializing_if = "is_no")]
    pub(crate) holds_all: bool,
    /// What is held of the other's announcement, where this is a reply that does not settle it.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<Answers>,
}

/// How many tips there are where they do not fit in a page, and the digest of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paged {
    #[serde(rename = "t")]
    pub(crate) total: u64,
    #[serde(rename = "d")]
    pub(crate) digest: ByteArray<32>,
}

/// Which entries of an [`Announce`] are held.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answers {
    #[serde(rename = "t", default, skip_serializing_if = "Bits::is_empty")]
    pub(crate) tips: Bits,
    #[serde(rename = "p", default, skip_serializing_if = "Bits::is_empty")]
    pub(crate) near: Bits,
    /// Whether this side must hear more of what the other holds before it knows what to send.
    #[serde(rename = "x", default, skip_serializing_if = "is_no")]
    pub(crate) needs: bool,
    /// Sums of what is held below some generations, to find a common base by: a hint only.
    #[serde(rename = "u", default, skip_serializing_if = "Rungs::is_empty")]
    pub(crate) rungs: Rungs,
}

/// serde hands over references.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_zero(level: &u8) -> bool {
    *level == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_none_yet(count: &u64) -> bool {
    *count == 0
}

/// What became of one tip that is not held.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unheld {
    #[serde(rename = "i")]
    pub(crate) index: u32,
    #[serde(rename = "c")]
    pub(crate) class: Class,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A message that carries no entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Control {
    /// Proves keys beside the device key, for one database.
    Keys { name: Name, proofs: Vec<KeyProof> },
    /// Names a database and starts a round.
    #[serde(rename = "a")]
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
    /// Says which entries of an [`Announce`] are held.
    #[serde(rename = "c")]
    Compared {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "a")]
        answers: Answers,
    },
    /// Says what is held at and above a generation and is not reached by what both are known to hold.
    #[serde(rename = "f")]
    Filter {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "g", default, skip_serializing_if = "is_none_yet")]
        base: u64,
        /// Further entries that both are known to hold.
        #[serde(rename = "k", default, skip_serializing_if = "Ids::is_empty")]
        common: Ids,
        #[serde(rename = "b")]
        filter: ByteBuf,
        /// Whether this side needs the other's filter.
        #[serde(rename = "x", default, skip_serializing_if = "is_no")]
        needs: bool,
    },
    /// Asks for the symbols with these places.
    #[serde(rename = "e")]
    Code {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "i")]
        from: u32,
        #[serde(rename = "j")]
        to: u32,
    },
    /// Answers [`Control::Code`].
    #[serde(rename = "y")]
    Symbols {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "b")]
        symbols: ByteBuf,
    },
    /// Asks for entries by their short ids; the last of such controls says so.
    #[serde(rename = "j")]
    WantShort {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "b", default, skip_serializing_if = "ShortList::is_empty")]
        shorts: ShortList,
        #[serde(rename = "m", default, skip_serializing_if = "is_no")]
        more: bool,
    },
    /// Says that this side cannot tell by filters or symbols what it holds: the other is to ask.
    #[serde(rename = "g")]
    Pages {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
    },
    /// Asks which of these are held.
    #[serde(rename = "p")]
    Probe {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "i")]
        ids: Ids,
    },
    /// Answers a probe.
    #[serde(rename = "q")]
    Probed {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "h", default, skip_serializing_if = "Bits::is_empty")]
        held: Bits,
    },
    /// Says that all entries of the round have come, where no batch is its last.
    #[serde(rename = "s")]
    Sent {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
    },
    /// Classes every tip that the other side announced; those not listed are held. Every batch that
    /// came before is stored.
    #[serde(rename = "z")]
    Settled {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "r")]
        round: u64,
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
        unheld: Vec<Unheld>,
    },
    /// Asks for entries by id, with at most `depth` of those at and before them.
    #[serde(rename = "w")]
    Want {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "i")]
        ids: Ids,
        #[serde(rename = "d")]
        depth: u32,
    },
    /// Says that all that a want asked for has come, as far as it is held.
    #[serde(rename = "x")]
    Wanted(Name),
    /// Says that this batch and all before it are stored.
    #[serde(rename = "k")]
    Ack {
        #[serde(rename = "n")]
        name: Name,
        #[serde(rename = "b")]
        batch: u64,
    },
    /// Announces entries that came here from another peer.
    Have { name: Name, ids: Ids },
    /// Says which of the announced entries are held.
    Had { name: Name, held: Bits },
    /// Asks for access to a database, by bytes that only who decides can read.
    Ask(ByteBuf),
    /// Answers a request by the hash of its bytes, at once and again when it is decided.
    Answer { request: ByteArray<32>, answer: RequestAnswer },
    /// Asks for the databases behind an id that the proven keys may read.
    Discover(Option<ByteArray<ID_LEN>>),
    /// A page of databases by id, and behind which id the next begins.
    Discovered { databases: Vec<Listed>, next: Option<ByteArray<ID_LEN>> },
    /// Says that the other side asks for databases too often.
    NotDiscovered,
    /// Says something on a topic of a database, signed by its author and stored by nobody.
    Presence { name: Name, message: Spoken },
    /// Asks whether the peer is there.
    Ping(u64),
    /// Answers [`Control::Ping`].
    Pong(u64),
    /// Ends the session.
    Goodbye(u8),
}

/// A message: controls, and after them a batch, if there is one.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) controls: Vec<Heard>,
    pub(crate) batch: Option<EntryBatch>,
}

/// A control and how many bytes it took.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) control: Control,
    pub(crate) bytes: usize,
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

/// Makes a message of a batch and, before it, the controls of a message that was started.
pub(crate) fn with_batch(controls: Option<Vec<u8>>, batch: &[u8]) -> Vec<u8> {
    let controls = controls.unwrap_or_default();
    let controls = controls.get(1..).unwrap_or_default();
    let mut message = Vec::with_capacity(controls.len() + batch.len() + 4);
    message.push(ENTRIES);
    varint::put(&mut message, controls.len() as u64);
    message.extend_from_slice(controls);
    message.extend_from_slice(batch);
    message
}

impl Message {
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, PeerFault> {
        const GARBLED: PeerFault = PeerFault::Garbled { what: "a message" };
        match bytes.split_first() {
            Some((&CONTROLS, rest)) => Ok(Self { controls: controls(rest)?, batch: None }),
            Some((&ENTRIES, mut rest)) => {
                let length = varint::take(&mut rest).ok_or(GARBLED)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let (before, batch) = rest.split_at_checked(length).ok_or(GARBLED)?;
                let (controls, at) = (controls(before)?, bytes.len() - batch.len());
                Ok(Self { controls, batch: Some(EntryBatch::decode(bytes, at)?) })
            }
            _ => Err(GARBLED),
        }
    }
}

fn controls(mut bytes: &[u8]) -> Result<Vec<Heard>, PeerFault> {
    if bytes.len() > CONTROL_MAX {
        let what = "controls";
        return Err(PeerFault::TooLong { what, found: bytes.len(), limit: CONTROL_MAX });
    }
    let mut controls = Vec::new();
    while !bytes.is_empty() {
        at_most("controls in a message", controls.len() + 1, CONTROLS_MAX)?;
        let before = bytes.len();
        let control: Control = ciborium::from_reader(&mut bytes)
            .map_err(|_| PeerFault::Garbled { what: "a control" })?;
        control.check()?;
        controls.push(Heard { control, bytes: before - bytes.len() });
    }
    Ok(controls)
}

impl Control {
    fn check(&self) -> Result<(), PeerFault> {
        match self {
            Self::Announce(announce) => announce.check(),
            Self::Compared { answers, .. } => answers.check(),
            Self::Filter { common, filter, .. } => {
                at_most("ids in a filter", common.0.len(), COMMON_MAX)?;
                at_most("bytes of a filter", filter.len(), FILTER_BYTES_MAX)
            }
            Self::Code { from, to, .. } => {
                let places = to.checked_sub(*from).filter(|places| *places > 0);
                let places = places.ok_or(PeerFault::Garbled { what: "places of symbols" })?;
                at_most("places of symbols", places as usize, WINDOW_SYMBOLS_MAX)?;
                at_most("symbols", *to as usize, SYMBOLS_MAX)
            }
            Self::Symbols { symbols, .. } => {
                at_most("bytes of symbols", symbols.len(), WINDOW_SYMBOLS_MAX * SYMBOL_BYTES_MAX)
            }
            Self::WantShort { shorts, .. } => at_most("short ids", shorts.0.len(), SHORTS_MAX),
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
            Self::Presence { message, .. } => message.check(),
            Self::Discovered { databases, .. } => discovery::check(databases),
            _ => Ok(()),
        }
    }

    /// Returns the name of the database that it is about, if it is about one.
    pub(crate) const fn name(&self) -> Option<Name> {
        match self {
            Self::Announce(announce) => Some(announce.name),
            Self::Unknown(name) | Self::Leave(name) | Self::Left(name) | Self::Wanted(name) => {
                Some(*name)
            }
            Self::Keys { name, .. }
            | Self::Revoked { name, .. }
            | Self::Compared { name, .. }
            | Self::Filter { name, .. }
            | Self::Code { name, .. }
            | Self::Symbols { name, .. }
            | Self::WantShort { name, .. }
            | Self::Pages { name, .. }
            | Self::Probe { name, .. }
            | Self::Probed { name, .. }
            | Self::Sent { name, .. }
            | Self::Settled { name, .. }
            | Self::Want { name, .. }
            | Self::Ack { name, .. }
            | Self::Have { name, .. }
            | Self::Had { name, .. } => Some(*name),
            Self::Ask(_)
            | Self::Answer { .. }
            | Self::Discover(_)
            | Self::Discovered { .. }
            | Self::NotDiscovered
            | Self::Presence { .. }
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Goodbye(_) => None,
        }
    }
}

impl Announce {
    fn check(&self) -> Result<(), PeerFault> {
        at_most("tips", self.tips.0.len(), TIPS_PAGE)?;
        let near = self.near.0.len();
        at_most("ids near tips", near, NEAR_MAX + COMMON_MAX)?;
        at_most("ids that are common", usize::try_from(self.common).unwrap_or(usize::MAX), near)?;
        self.answers.iter().try_for_each(Answers::check)?;
        let listed = self.tips.0.len() as u64;
        let paged = self.paged.as_ref().is_none_or(|paged| paged.total > listed && listed > 0);
        let rooted = !self.complete || listed > 0;
        let hushed = !self.silent || (listed == 0 && self.entries == 0 && self.withheld);
        let answered = self.answers.is_none() || self.replies;
        if paged && rooted && hushed && answered {
            return Ok(());
        }
        Err(PeerFault::Garbled { what: "an announcement" })
    }
}

impl Answers {
    fn check(&self) -> Result<(), PeerFault> {
        at_most("rungs", self.rungs.0.len(), RUNGS_MAX)
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

//! One update of a text: the operations of one transaction, in the one strict coding that peers
//! exchange.
//!
//! Invariant: an update holds nothing but operations on one text by the one peer that its author and
//! nonce give; what Loro needs beside them (lamport times, container) is worked out here, never believed.

use std::collections::BTreeSet;

use weald_crdt::{EntryStamp, MAX_COMPONENT_BYTES, Malformed, Value, Void, section_type};

use super::TextType;

const VERSION: u64 = 1;
const INSERT: u64 = 0;
const DELETE: u64 = 1;
const MARK: u64 = 2;

/// The length of a nonce in bytes.
pub(super) const NONCE_BYTES: usize = 8;

/// The greatest position in a text that an operation names.
pub(super) const MAX_POSITION: u32 = (1 << 28) - 1;

/// The greatest number of characters that one backward deletion takes; a longer one is written as
/// several.
pub(super) const MAX_BACKWARD: u32 = 65_536;

/// A nonce: with the author it gives the peer.
pub(super) type Nonce = [u8; NONCE_BYTES];

/// Names an operation: its peer, and how many of that peer came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) peer: u64,
    pub(super) counter: u32,
}

/// One operation; positions count characters and the ends of marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    Insert {
        at: u32,
        text: String,
    },
    /// Deletes `length` characters from `at` on, the last one first if `backward`; `first` names the
    /// leftmost one.
    Delete {
        at: u32,
        length: u32,
        backward: bool,
        first: Id,
    },
    /// Marks a range; `Null` takes a mark away.
    Mark {
        start: u32,
        end: u32,
        key: String,
        value: Value,
        /// Whether what is typed at its start (2) and at its end (1) is marked as well.
        grows: u8,
    },
}

impl Operation {
    /// Returns how many counters it takes.
    pub(super) fn length(&self) -> u32 {
        match self {
            // A payload is far shorter than a u32 counts.
            Self::Insert { text, .. } => u32::try_from(text.chars().count()).unwrap_or(u32::MAX),
            Self::Delete { length, .. } => *length,
            Self::Mark { .. } => 2,
        }
    }
}

/// The operations of one transaction on a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Update {
    pub(super) nonce: Nonce,
    /// The peer: a function of author and nonce.
    pub(super) peer: u64,
    /// How many operations of the peer came before.
    pub(super) start: u32,
    /// What the first operation has seen, each with all that it has seen.
    pub(super) deps: Vec<Id>,
    pub(super) operations: Vec<Operation>,
}

/// Returns the peer of an author with a nonce; `None` for the one number that Loro keeps for itself.
///
/// The store is not part of it: ids of different stores never meet.
pub(super) fn peer_of(author: &[u8; 32], nonce: &Nonce) -> Option<u64> {
    let mut hasher = blake3::Hasher::new_derive_key("weald 2026 text peer v1");
    hasher.update(author);
    hasher.update(nonce);
    let (peer, _) = hasher.finalize().as_bytes().split_first_chunk().map(|(a, b)| (*a, b.len()))?;
    Some(u64::from_be_bytes(peer)).filter(|peer| *peer != u64::MAX)
}

const fn malformed(what: &'static str) -> Void {
    Void::Malformed(Malformed::Expected { what })
}

impl Update {
    /// Returns how many counters it takes.
    pub(super) fn length(&self) -> u32 {
        self.operations.iter().fold(0, |sum: u32, one| sum.saturating_add(one.length()))
    }

    /// Returns the counter after its last.
    pub(super) fn end(&self) -> u32 {
        self.start.saturating_add(self.length())
    }

    /// Returns the payload of the section; `None` if it holds a float that is not a number.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut peers = vec![self.peer];
        let deps = self.deps.iter().flat_map(|dep| name(&mut peers, dep)).collect();
        let operations = self.operations.iter().map(|one| value_of(&mut peers, one)).collect();
        let others = peers.into_iter().skip(1).map(Value::U64).collect();
        let update = Value::List(vec![
            Value::Bytes(self.nonce.to_vec()),
            Value::U64(self.start.into()),
            Value::List(others),
            Value::List(deps),
            Value::List(operations),
        ]);
        let section = Value::List(vec![
            Value::Text(TextType::NAME.to_owned()),
            Value::U64(VERSION),
            Value::List(Vec::new()),
            Value::List(vec![update]),
        ]);
        section.encode().ok()
    }

    /// Reads the payload of a section of an author, strictly: no other bytes mean the same.
    pub(super) fn decode(payload: &[u8], author: &[u8; 32]) -> Result<Self, Void> {
        let found = section_type(payload)?;
        if found != TextType::NAME {
            return Err(Void::WrongType { found: found.to_owned() });
        }
        let Value::List(section) = Value::decode(payload)? else {
            return Err(malformed("a section"));
        };
        let [_, version, ids, Value::List(updates)] = section.as_slice() else {
            return Err(malformed("a section of four fields"));
        };
        match version.as_u64() {
            Some(VERSION) => {}
            Some(found) => return Err(Void::UnknownVersion { found }),
            None => return Err(malformed("a version")),
        }
        let [Value::List(update)] = updates.as_slice() else {
            return Err(malformed("one update"));
        };
        if ids.as_list().is_none_or(|ids| !ids.is_empty()) {
            return Err(malformed("no entry ids"));
        }
        let update = Self::of_fields(update, author)?;
        // Writing it again checks that every peer is listed once, in order, and nothing is left over.
        if update.encode().as_deref() != Some(payload) {
            return Err(Void::Malformed(Malformed::NotCanonical));
        }
        Ok(update)
    }

    fn of_fields(fields: &[Value], author: &[u8; 32]) -> Result<Self, Void> {
        let [nonce, start, Value::List(others), Value::List(deps), Value::List(operations)] =
            fields
        else {
            return Err(malformed("the fields of an update"));
        };
        let Value::Bytes(nonce) = nonce else { return Err(malformed("a nonce")) };
        let nonce = nonce.as_slice().try_into().map_err(|_| malformed("a nonce of 8 bytes"))?;
        let peer = peer_of(author, &nonce).ok_or(malformed("another nonce"))?;
        let others: Option<Vec<u64>> = others.iter().map(Value::as_u64).collect();
        let mut peers = vec![peer];
        peers.extend(others.ok_or(malformed("peers"))?);
        if !deps.len().is_multiple_of(2) {
            return Err(malformed("pairs of names"));
        }
        let pairs = deps.iter().zip(deps.iter().skip(1)).step_by(2);
        let deps: Option<Vec<Id>> = pairs.map(|(place, at)| id(&peers, place, at)).collect();
        let operations: Option<Vec<Operation>> =
            operations.iter().map(|one| operation_of(&peers, one)).collect();
        let update = Self {
            nonce,
            peer,
            start: number(start).ok_or(malformed("a counter"))?,
            deps: deps.ok_or(malformed("names of operations"))?,
            operations: operations.ok_or(malformed("operations on a text"))?,
        };
        // Their order cannot be checked without the author.
        if update.deps.iter().collect::<BTreeSet<_>>().len() != update.deps.len() {
            return Err(malformed("each name once"));
        }
        if update.operations.is_empty() || i32::try_from(update.end()).is_err() {
            return Err(malformed("operations, and fewer than 2^31 of one peer"));
        }
        Ok(update)
    }
}

/// Reads the payload without knowing its author: everything but whose peer it is.
pub(super) fn check(payload: &[u8]) -> Result<(), Void> {
    Update::decode(payload, &EntryStamp::PROVISIONAL.author).map(drop)
}

fn number(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn position(value: &Value) -> Option<u32> {
    number(value).filter(|at| *at <= MAX_POSITION)
}

fn id(peers: &[u64], place: &Value, counter: &Value) -> Option<Id> {
    let peer = *peers.get(usize::try_from(place.as_u64()?).ok()?)?;
    let counter = number(counter).filter(|counter| i32::try_from(*counter).is_ok())?;
    Some(Id { peer, counter })
}

/// Returns how an operation is named: the place of its peer, which is listed if it was not, and its
/// counter.
fn name(peers: &mut Vec<u64>, id: &Id) -> [Value; 2] {
    let place = peers.iter().position(|peer| *peer == id.peer).unwrap_or_else(|| {
        peers.push(id.peer);
        peers.len() - 1
    });
    [Value::U64(place as u64), Value::U64(id.counter.into())]
}

fn value_of(peers: &mut Vec<u64>, operation: &Operation) -> Value {
    Value::List(match operation {
        Operation::Insert { at, text } => {
            vec![Value::U64(INSERT), Value::U64((*at).into()), Value::Text(text.clone())]
        }
        Operation::Delete { at, length, backward, first } => {
            let [place, counter] = name(peers, first);
            let length = i64::from(*length);
            let length = Value::from(if *backward { -length } else { length });
            vec![Value::U64(DELETE), Value::U64((*at).into()), length, place, counter]
        }
        Operation::Mark { start, end, key, value, grows } => vec![
            Value::U64(MARK),
            Value::U64((*start).into()),
            Value::U64((*end).into()),
            Value::Text(key.clone()),
            value.clone(),
            Value::U64((*grows).into()),
        ],
    })
}

fn operation_of(peers: &[u64], value: &Value) -> Option<Operation> {
    match value.as_list()? {
        [Value::U64(INSERT), at, Value::Text(text)] if !text.is_empty() => {
            Some(Operation::Insert { at: position(at)?, text: text.clone() })
        }
        [Value::U64(DELETE), at, signed, place, counter] => {
            let (at, signed) = (position(at)?, signed.as_i64()?);
            let length = u32::try_from(signed.unsigned_abs()).ok()?;
            // One character has no direction.
            let (backward, least, most) =
                if signed < 0 { (true, 2, MAX_BACKWARD) } else { (false, 1, MAX_POSITION) };
            let fits = (least..=most).contains(&length) && at.checked_add(length)? <= MAX_POSITION;
            let first = id(peers, place, counter)?;
            // The ids of what is deleted follow each other.
            let last = first.counter.checked_add(length)?;
            (fits && i32::try_from(last).is_ok()).then_some(Operation::Delete {
                at,
                length,
                backward,
                first,
            })
        }
        [Value::U64(MARK), start, end, Value::Text(key), value, grows] => {
            let (start, end) = (position(start)?, position(end)?);
            let grows = u8::try_from(grows.as_u64()?).ok()?;
            let fits = start < end && is_key(key) && is_mark(value) && grows <= 3;
            let (key, value) = (key.clone(), value.clone());
            fits.then_some(Operation::Mark { start, end, key, value, grows })
        }
        _ => None,
    }
}

/// Returns whether a mark may have this key.
pub(super) fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_COMPONENT_BYTES
}

/// Returns whether a mark may have this value; `Null` takes one away.
pub(super) fn is_mark(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Text(_) => true,
        Value::I64(_) | Value::U64(_) => value.as_i64().is_some(),
        Value::F64(float) => !float.is_nan(),
        _ => false,
    }
}

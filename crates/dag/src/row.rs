//! The row of one entry: what this replica knows of it, then body, signature and small payloads.
//!
//! Invariant: what is local (numbers, generation, epoch, head) stands before what is signed, so a
//! walk reads the front only.

use crate::cbor::CodingError;
use crate::entry::Entry;
use crate::key::Signature;
use crate::limits::{BODY_MAX, PARENTS_MAX, PAYLOAD_MAX};
use crate::parcel::{Parcel, ParcelError};
use crate::space::Space;
use crate::sums::Sums;
use crate::time::Time;
use crate::varint;

/// Payloads over this many bytes rest beside the row.
pub const INLINE_PAYLOAD_MAX: usize = 1 << 10;
/// More tips than this rest in one row beside the head, which each group of entries overwrites: so
/// what a group leaves behind for good does not grow with the number of tips.
pub const TIPS_INLINE_MAX: usize = 64;

const VISIBLE: u8 = 1;
const NEEDED: u8 = 2;
const HAS_HEAD: u8 = 4;
const TIPS_BESIDE: u8 = 8;
const FLAGS: u8 = VISIBLE | NEEDED | HAS_HEAD | TIPS_BESIDE;

const ABSENT: u64 = 0;
const INLINE: u64 = 1;
const BESIDE: u64 = 2;

/// Number → row.
pub(crate) const fn entries(database: u32) -> Space {
    Space::new("entries", database)
}

/// Id → number.
pub(crate) const fn ids(database: u32) -> Space {
    Space::new("ids", database)
}

/// Number and section → payload that is too long for the row.
pub(crate) const fn payloads(database: u32) -> Space {
    Space::new("payloads", database)
}

/// Nothing → the tips of the newest head, where they are too many for it.
pub(crate) const fn tips(database: u32) -> Space {
    Space::new("tips", database)
}

/// The key of the only row of [`tips`].
pub(crate) const TIPS_KEY: &[u8] = b"";

/// The place of an entry in this replica's topological order, counted from 0 for the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

impl Number {
    /// Returns the key of the entry's row.
    pub const fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(key.try_into().ok()?)))
    }
}

/// Whether an entry stands by the authority of its database, and whether something that does
/// descends from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stands, so it is needed too.
    Visible,
    /// It does not stand, but is an ancestor of one that does: kept and sent, never shown.
    HiddenNeeded,
    /// It does not stand and nothing that stands descends from it.
    Hidden,
}

impl Standing {
    /// Returns whether the entry is part of what is synced and counted.
    pub const fn is_needed(self) -> bool {
        matches!(self, Self::Visible | Self::HiddenNeeded)
    }

    const fn flags(self) -> u8 {
        match self {
            Self::Visible => VISIBLE | NEEDED,
            Self::HiddenNeeded => NEEDED,
            Self::Hidden => 0,
        }
    }

    /// Returns the flags of a row with this standing in place of its own.
    pub(crate) const fn instead_of(self, flags: u8) -> u8 {
        flags & !(VISIBLE | NEEDED) | self.flags()
    }

    pub(crate) const fn from_flags(flags: u8) -> Self {
        match (flags & VISIBLE != 0, flags & NEEDED != 0) {
            (true, _) => Self::Visible,
            (false, true) => Self::HiddenNeeded,
            (false, false) => Self::Hidden,
        }
    }
}

/// What a graph looks like after an entry: all that opening it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Visible entries without a needed child, ascending.
    pub tips: Vec<Number>,
    /// The greatest time of any entry stored.
    pub clock: Time,
    /// How many entries are needed.
    pub needed: u64,
    /// The greatest generation of any needed entry.
    pub generation: u64,
    /// The needed entries of the bucket of generations that it is in.
    pub open: Sums,
}

/// What this replica has worked out for an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Whether it is visible, needed or neither.
    pub standing: Standing,
    /// One more than the greatest generation of its parents; 0 for the root.
    pub generation: u64,
    /// The authority epoch of its past, as interned by this replica.
    pub epoch: u64,
    /// The numbers of its parents, ascending.
    pub parents: Vec<Number>,
    /// The graph after it, on the last entry of each batch. It is not read where its tips rest
    /// beside it: [`crate::Graph::head`] gives that of the newest entry.
    pub head: Option<Head>,
}

/// The front of a row: what is local.
pub(crate) struct Front {
    pub(crate) local: Local,
    /// A head whose tips rest beside the row and are not in `local`.
    pub(crate) tips_beside: Option<Head>,
}

impl Local {
    pub(crate) fn encode(&self, number: Number, out: &mut Vec<u8>) {
        let head = match &self.head {
            None => 0,
            Some(head) if head.is_inline() => HAS_HEAD,
            Some(_) => HAS_HEAD | TIPS_BESIDE,
        };
        out.push(self.standing.flags() | head);
        varint::put(out, self.generation);
        varint::put(out, self.epoch);
        varint::put(out, self.parents.len() as u64);
        self.parents.iter().for_each(|parent| varint::put(out, number.0 - parent.0));
        if let Some(head) = &self.head {
            varint::put(out, head.clock.raw());
            varint::put(out, head.needed);
            varint::put(out, head.generation);
            head.open.encode(out);
            if head.is_inline() {
                varint::put(out, head.tips.len() as u64);
                head.tips.iter().for_each(|tip| varint::put(out, number.0 - tip.0));
            }
        }
    }
}

impl Front {
    pub(crate) fn decode(number: Number, bytes: &mut &[u8]) -> Result<Self, CodingError> {
        let [flags] = varint::take_array(bytes)?;
        if flags & !FLAGS != 0 {
            return Err(CodingError::Unexpected { at: 0, expected: "flags that are known" });
        }
        let generation = varint::take(bytes)?;
        let epoch = varint::take(bytes)?;
        let parents = take_numbers(number, 1, PARENTS_MAX, bytes)?;
        let standing = Standing::from_flags(flags);
        let mut local = Local { standing, generation, epoch, parents, head: None };
        let mut tips_beside = None;
        if flags & HAS_HEAD != 0 {
            let clock = Time::from_raw(varint::take(bytes)?);
            let needed = varint::take(bytes)?;
            let generation = varint::take(bytes)?;
            let open = Sums::decode(bytes)?;
            let head = Head { tips: Vec::new(), clock, needed, generation, open };
            if flags & TIPS_BESIDE != 0 {
                tips_beside = Some(head);
            } else {
                let tips = take_numbers(number, 0, TIPS_INLINE_MAX, bytes)?;
                local.head = Some(Head { tips, ..head });
            }
        }
        Ok(Self { local, tips_beside })
    }
}

impl Head {
    pub(crate) const fn is_inline(&self) -> bool {
        self.tips.len() <= TIPS_INLINE_MAX
    }

    /// Encodes the tips as the row beside the head on the entry `number`: that number, then the
    /// distance of each tip from the one before. The length of the row bounds how many there are.
    pub(crate) fn encode_tips(&self, number: Number) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 2 * self.tips.len());
        out.extend_from_slice(&number.key());
        let mut before = 0;
        for tip in &self.tips {
            varint::put(&mut out, tip.0 - before);
            before = tip.0;
        }
        out
    }

    /// Decodes the tips beside the head on the entry `number`.
    pub(crate) fn decode_tips(
        number: Number,
        mut bytes: &[u8],
    ) -> Result<Vec<Number>, CodingError> {
        let wrong = |expected| CodingError::Unexpected { at: 0, expected };
        if varint::take_array::<8>(&mut bytes)? != number.key() {
            return Err(wrong("the tips of the newest head"));
        }
        let mut tips: Vec<Number> = Vec::new();
        while !bytes.is_empty() {
            let further = varint::take(&mut bytes)?;
            let before = tips.last().map_or(0, |tip| tip.0);
            let tip = before.checked_add(further).filter(|tip| *tip <= number.0);
            tips.push(Number(tip.ok_or_else(|| wrong("a number of an earlier entry"))?));
        }
        Ok(tips)
    }
}

/// Takes numbers that were written as distances back from `number`, each at least `nearest`.
fn take_numbers(
    number: Number,
    nearest: u64,
    limit: usize,
    bytes: &mut &[u8],
) -> Result<Vec<Number>, CodingError> {
    let count = varint::take_length(bytes, limit)?;
    let wrong = CodingError::Unexpected { at: 0, expected: "a number of an earlier entry" };
    let mut numbers = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        // A parent at no distance would be its own, and every walk over it endless.
        let back = varint::take(bytes)
            .and_then(|back| if back < nearest { Err(wrong.clone()) } else { Ok(back) })?;
        numbers.push(Number(number.0.checked_sub(back).ok_or_else(|| wrong.clone())?));
    }
    Ok(numbers)
}

/// Encodes the row of a parcel. Payloads over [`INLINE_PAYLOAD_MAX`] are left to rows beside it.
pub(crate) fn encode(number: Number, local: &Local, parcel: &Parcel) -> Vec<u8> {
    let mut out = Vec::with_capacity(parcel.bytes() + 64);
    local.encode(number, &mut out);
    out.extend_from_slice(parcel.signature.as_bytes());
    varint::put(&mut out, parcel.entry.body().len() as u64);
    out.extend_from_slice(parcel.entry.body());
    for payload in &parcel.payloads {
        match payload {
            None => varint::put(&mut out, ABSENT),
            Some(payload) if payload.len() > INLINE_PAYLOAD_MAX => varint::put(&mut out, BESIDE),
            Some(payload) => {
                varint::put(&mut out, INLINE);
                varint::put(&mut out, payload.len() as u64);
                out.extend_from_slice(payload);
            }
        }
    }
    out
}

/// Where a payload of a stored entry is.
pub(crate) enum Slot {
    Absent,
    Inline(Vec<u8>),
    Beside,
}

/// A decoded row; payloads that rest beside it are still to be read.
pub(crate) struct Row {
    pub(crate) local: Local,
    pub(crate) entry: Entry,
    pub(crate) signature: Signature,
    pub(crate) slots: Vec<Slot>,
}

pub(crate) fn decode(number: Number, mut bytes: &[u8]) -> Result<Row, ParcelError> {
    let Front { local, .. } = Front::decode(number, &mut bytes)?;
    let signature = Signature::from_bytes(varint::take_array(&mut bytes)?);
    let length = varint::take_length(&mut bytes, BODY_MAX)?;
    let entry = Entry::decode(varint::take_bytes(&mut bytes, length)?)?;
    let mut slots = Vec::with_capacity(entry.sections().len());
    for _ in entry.sections() {
        slots.push(match varint::take(&mut bytes)? {
            ABSENT => Slot::Absent,
            BESIDE => Slot::Beside,
            INLINE => {
                let length = varint::take_length(&mut bytes, PAYLOAD_MAX)?;
                Slot::Inline(varint::take_bytes(&mut bytes, length)?.to_vec())
            }
            _ => {
                return Err(CodingError::Unexpected { at: 0, expected: "a payload's place" }.into());
            }
        });
    }
    match bytes.len() {
        0 => Ok(Row { local, entry, signature, slots }),
        extra => Err(CodingError::Trailing { extra }.into()),
    }
}

/// The key of a payload that rests beside its row.
pub(crate) fn payload_key(number: Number, section: usize) -> Vec<u8> {
    // A section's place is below SECTIONS_MAX, so it fits a byte.
    let section = u8::try_from(section).unwrap_or(u8::MAX);
    [number.key().as_slice(), &[section]].concat()
}

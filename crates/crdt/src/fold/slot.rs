//! The versions of one slot: its heads are the visible operations that no other one reaches, and no
//! later one of their own entry follows. In a register the live versions are the heads that write;
//! a counter adds up what no reset reaches. Heads stand in order of stamps.

use std::collections::BTreeMap;

use crate::pack::{self, Unpacker};
use crate::stamp::{Dot, Stamp};

/// With more heads than this, a name is looked up in an index instead of one head after the other.
const INDEXED: usize = 16;

/// The operations on a slot that nothing reaches or supersedes: the encoded value, or `None` for a
/// removal. An increment has the empty value, a reset of a counter is a removal.
pub(crate) type Heads = BTreeMap<Stamp, Option<Vec<u8>>>;

/// What the live increments of a counter add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) sum: i128,
    pub(crate) count: u64,
}

/// The heads of a slot, and what was live before the section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    heads: Heads,
    /// What a counter counts; `None` for a register.
    total: Option<Total>,
    before: Option<Before>,
    times: Option<BTreeMap<Dot, u64>>,
}

/// What was live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Before {
    live: Vec<Stamp>,
    total: Option<Total>,
}

impl Slot {
    pub(crate) fn from_heads(heads: Heads) -> Self {
        Self { heads, ..Self::default() }
    }

    /// Makes the slot of a counter.
    pub(crate) fn counting(heads: Heads, total: Total) -> Self {
        Self { heads, total: Some(total), ..Self::default() }
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Returns what a counter counts; nothing for a register.
    pub(crate) fn total(&self) -> Total {
        self.total.unwrap_or_default()
    }

    pub(crate) fn is_counter(&self) -> bool {
        self.total.is_some()
    }

    /// Returns the heads that an operation which saw this slot names, the newest last.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        self.heads.keys().copied().collect()
    }

    /// Returns the live versions, the winner last; of a counter those that nothing follows.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = (Stamp, &[u8])> {
        self.heads.iter().filter_map(|(stamp, value)| Some((*stamp, value.as_deref()?)))
    }

    pub(crate) fn winner(&self) -> Option<(Stamp, &[u8])> {
        self.live().next_back()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.winner().is_some()
    }

    fn now(&self) -> Before {
        Before { live: self.live().map(|(stamp, _)| stamp).collect(), total: self.total }
    }

    /// Remembers what is live, for the report of changes; the first call of a section counts.
    pub(crate) fn touch(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.now());
        }
    }

    /// Remembers that another slot stood here before.
    pub(crate) fn succeed(&mut self, before: &Self) {
        self.before = Some(before.now());
    }

    /// Returns whether other versions are live than before the section.
    pub(crate) fn is_changed(&self) -> bool {
        self.before.as_ref().is_some_and(|before| {
            before.total.unwrap_or_default() != self.total()
                || !self.live().map(|(stamp, _)| stamp).eq(before.live.iter().copied())
        })
    }

    /// Drops the head with this name, and returns its stamp if there was one.
    pub(super) fn drop_head(&mut self, dot: &Dot) -> Option<Stamp> {
        if self.times.is_none() && self.heads.len() > INDEXED {
            self.times = Some(self.heads.keys().map(|stamp| (stamp.dot(), stamp.time)).collect());
        }
        let stamp = match &mut self.times {
            Some(times) => times.remove(dot).map(|time| dot.at(time)),
            None => self.heads.keys().find(|stamp| stamp.dot() == *dot).copied(),
        }?;
        self.heads.remove(&stamp).map(|_| stamp)
    }

    /// Drops the head that an earlier operation of the same entry left, so that an entry has at most
    /// one head in a slot.
    pub(super) fn supersede(&mut self, stamp: &Stamp) {
        let first = Stamp { index: 0, ..*stamp };
        let earlier = self.heads.range(first..*stamp).next_back().map(|(earlier, _)| *earlier);
        if let Some(earlier) = earlier {
            self.heads.remove(&earlier);
            if let Some(times) = &mut self.times {
                times.remove(&earlier.dot());
            }
        }
    }

    pub(super) fn push(&mut self, stamp: Stamp, value: Option<Vec<u8>>) {
        if let Some(times) = &mut self.times {
            times.insert(stamp.dot(), stamp.time);
        }
        self.heads.insert(stamp, value);
    }

    /// Counts an increment.
    pub(super) fn add(&mut self, amount: i64) {
        let total = self.total.get_or_insert_default();
        total.sum = total.sum.saturating_add(i128::from(amount));
        total.count = total.count.saturating_add(1);
    }

    /// Counts nothing any more.
    pub(super) fn reset(&mut self) {
        self.total = Some(Total::default());
    }

    /// Appends the heads as a row: their number, then for each its stamp and either 0, or 1 and the
    /// value. For a counter, the sum in 16 bytes and the number of increments follow.
    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        pack::put_number(out, self.heads.len() as u64);
        for (stamp, value) in &self.heads {
            pack::put_stamp(out, stamp);
            match value {
                None => out.push(0),
                Some(value) => {
                    out.push(1);
                    pack::put_string(out, value);
                }
            }
        }
        if let Some(total) = self.total {
            out.extend_from_slice(&total.sum.to_be_bytes());
            pack::put_number(out, total.count);
        }
    }

    /// Takes what [`Slot::pack`] gives of a register.
    pub(crate) fn unpack(row: &[u8]) -> Option<Self> {
        let mut unpacker = Unpacker::new(row);
        let heads = unpack_heads(&mut unpacker)?;
        unpacker.finish()?;
        Some(Self::from_heads(heads))
    }

    /// Takes what [`Slot::pack`] gives of a counter.
    pub(crate) fn unpack_counter(row: &[u8]) -> Option<Self> {
        let mut unpacker = Unpacker::new(row);
        let heads = unpack_heads(&mut unpacker)?;
        let sum = i128::from_be_bytes(unpacker.array()?);
        let total = Total { sum, count: unpacker.number()? };
        unpacker.finish()?;
        Some(Self::counting(heads, total))
    }
}

/// Takes a number of heads, each with its stamp and value.
pub(crate) fn unpack_heads(unpacker: &mut Unpacker<'_>) -> Option<Heads> {
    let mut heads = Heads::new();
    for _ in 0..unpacker.count()? {
        let stamp = unpacker.stamp()?;
        let value = match unpacker.number()? {
            0 => None,
            1 => Some(unpacker.string()?.to_vec()),
            _ => return None,
        };
        heads.insert(stamp, value);
    }
    Some(heads)
}

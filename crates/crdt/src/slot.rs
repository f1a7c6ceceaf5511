//! The versions of one slot: its heads are the operations, writes and removals, that no operation
//! applied here names, and no later one of their own entry follows. The live ones are the heads that write; they stand in order of stamps.

use std::collections::BTreeMap;

use crate::pack::{self, Unpacker};
use crate::stamp::{Dot, Stamp};

/// With more heads than this, a name is looked up in an index instead of one head after the other.
const INDEXED: usize = 16;

/// The operations on a slot that nothing names or supersedes: the encoded value, or `None` for a removal.
pub(crate) type Heads = BTreeMap<Stamp, Option<Vec<u8>>>;

/// The heads of a slot, and what was live before the section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    heads: Heads,
    before: Option<Vec<Stamp>>,
    times: Option<BTreeMap<Dot, u64>>,
}

impl Slot {
    pub(crate) fn from_heads(heads: Heads) -> Self {
        Self { heads, before: None, times: None }
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Returns the heads that an operation which saw this slot names, the newest last.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        self.heads.keys().copied().collect()
    }

    /// Returns the live versions, the winner last.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = (Stamp, &[u8])> {
        self.heads.iter().filter_map(|(stamp, value)| Some((*stamp, value.as_deref()?)))
    }

    pub(crate) fn winner(&self) -> Option<(Stamp, &[u8])> {
        self.live().next_back()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.winner().is_some()
    }

    /// Remembers what is live, for the report of changes; the first call of a section counts.
    pub(crate) fn touch(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.live().map(|(stamp, _)| stamp).collect());
        }
    }

    /// Returns whether other versions are live than before the section.
    pub(crate) fn is_changed(&self) -> bool {
        self.before
            .as_ref()
            .is_some_and(|before| !self.live().map(|(stamp, _)| stamp).eq(before.iter().copied()))
    }

    /// Drops the head with this name, and returns whether there was one.
    pub(crate) fn drop_head(&mut self, dot: &Dot) -> bool {
        if self.times.is_none() && self.heads.len() > INDEXED {
            self.times = Some(self.heads.keys().map(|stamp| (stamp.dot(), stamp.time)).collect());
        }
        let stamp = match &mut self.times {
            Some(times) => times.remove(dot).map(|time| dot.at(time)),
            None => self.heads.keys().find(|stamp| stamp.dot() == *dot).copied(),
        };
        stamp.is_some_and(|stamp| self.heads.remove(&stamp).is_some())
    }

    /// Drops the head that an earlier operation of the same entry left, so that an entry has at most
    /// one head in a slot.
    pub(crate) fn supersede(&mut self, stamp: &Stamp) {
        let first = Stamp { index: 0, ..*stamp };
        let earlier = self.heads.range(first..*stamp).next_back().map(|(earlier, _)| *earlier);
        if let Some(earlier) = earlier {
            self.heads.remove(&earlier);
            if let Some(times) = &mut self.times {
                times.remove(&earlier.dot());
            }
        }
    }

    pub(crate) fn push(&mut self, stamp: Stamp, value: Option<Vec<u8>>) {
        if let Some(times) = &mut self.times {
            times.insert(stamp.dot(), stamp.time);
        }
        self.heads.insert(stamp, value);
    }

    /// Appends the heads as a row: their number, then for each its stamp and either 0, or 1 and the value.
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
    }

    /// Takes what [`Slot::pack`] gives.
    pub(crate) fn unpack(row: &[u8]) -> Option<Self> {
        let mut unpacker = Unpacker::new(row);
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
        unpacker.finish()?;
        Some(Self::from_heads(heads))
    }
}

//! The versions of one slot: its heads are the operations, writes and removals, that no operation
//! applied here names. The live ones are the heads that write; they stand in order of stamps.

use crate::pack::{self, Unpacker};
use crate::stamp::{Dot, Stamp};

/// One operation on a slot that nothing names yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) stamp: Stamp,
    /// The encoded value, or `None` for a removal.
    pub(crate) value: Option<Vec<u8>>,
}

/// The heads of a slot, in order of stamps, and what was live before the section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    heads: Vec<Head>,
    before: Option<Vec<Stamp>>,
}

impl Slot {
    pub(crate) fn from_heads(heads: Vec<Head>) -> Self {
        Self { heads, before: None }
    }

    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Returns the names that an operation which saw this slot gives.
    pub(crate) fn dots(&self) -> impl Iterator<Item = Dot> {
        self.heads.iter().map(|head| head.stamp.dot())
    }

    /// Returns the live versions, the winner last.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = (Stamp, &[u8])> {
        self.heads.iter().filter_map(|head| Some((head.stamp, head.value.as_deref()?)))
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
        let place = self.heads.iter().position(|head| head.stamp.dot() == *dot);
        if let Some(place) = place {
            self.heads.remove(place);
        }
        place.is_some()
    }

    pub(crate) fn push(&mut self, head: Head) {
        let place = self.heads.partition_point(|other| other.stamp < head.stamp);
        self.heads.insert(place, head);
    }

    /// Appends the heads as a row: their number, then for each its stamp and either 0, or 1 and the value.
    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        pack::put_number(out, self.heads.len() as u64);
        for head in &self.heads {
            pack::put_stamp(out, &head.stamp);
            match &head.value {
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
        let mut heads = Vec::new();
        for _ in 0..unpacker.count()? {
            let stamp = unpacker.stamp()?;
            let value = match unpacker.number()? {
                0 => None,
                1 => Some(unpacker.string()?.to_vec()),
                _ => return None,
            };
            heads.push(Head { stamp, value });
        }
        unpacker.finish()?;
        Some(Self::from_heads(heads))
    }
}

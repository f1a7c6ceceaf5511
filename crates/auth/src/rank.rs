//! How strong a holding is, read from the entry that grants it.
//!
//! Invariant: no two holdings share a rank, and a rank never depends on what else is known.

use weald_dag::EntryId;

/// The place of a holding among all; smaller is stronger, compared field by field in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The priority of its level.
    pub priority: u32,
    /// The generation of the entry that grants it: its seniority.
    pub generation: u64,
    /// The entry that grants it.
    pub entry: EntryId,
    /// The place of the operation in that entry.
    pub index: u32,
}

impl Rank {
    /// The rank of a root entry, stronger than every holding.
    pub const ROOT: Self =
        Self { priority: 0, generation: 0, entry: EntryId::from_bytes([0; 32]), index: 0 };
}

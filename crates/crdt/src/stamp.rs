//! Operations are known by their dot, and ordered by their stamp: the order of stamps is total and
//! the same on every replica.

/// Identifies an operation: its entry, and its place in the section of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The id of the entry.
    pub entry: [u8; 32],
    /// The index of the operation in its section.
    pub index: u32,
}

impl Dot {
    /// Returns whether the operation belongs to the transaction that is being written.
    pub(crate) fn is_provisional(&self) -> bool {
        self.entry == EntryStamp::PROVISIONAL.entry
    }

    /// Returns the stamp of the operation, whose entry has this time.
    pub(crate) fn at(&self, time: u64) -> Stamp {
        Stamp { time, entry: self.entry, index: self.index }
    }
}

/// Orders operations: by time, then entry, then index; the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The time of the entry: hybrid logical clock, milliseconds in the upper 48 bits.
    pub time: u64,
    /// The id of the entry.
    pub entry: [u8; 32],
    /// The index of the operation in its section.
    pub index: u32,
}

impl Stamp {
    /// Returns the identity of the operation.
    pub fn dot(&self) -> Dot {
        Dot { entry: self.entry, index: self.index }
    }

    /// Returns whether the operation belongs to the transaction that is being written: its entry
    /// has no id yet.
    pub fn is_provisional(&self) -> bool {
        self.entry == EntryStamp::PROVISIONAL.entry
    }
}

/// Says which entry a section belongs to when it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryStamp {
    /// The time of the entry.
    pub time: u64,
    /// The id of the entry.
    pub entry: [u8; 32],
    /// The public key that signed the entry.
    pub author: [u8; 32],
    /// Whether the entry is visible; otherwise it is hidden but needed, as an ancestor of one that is.
    pub is_visible: bool,
}

impl EntryStamp {
    /// Makes the stamp of a visible entry.
    pub const fn visible(time: u64, entry: [u8; 32], author: [u8; 32]) -> Self {
        Self { time, entry, author, is_visible: true }
    }

    /// Stands for the entry of a transaction that is being written: later than any other.
    pub const PROVISIONAL: Self =
        Self { time: u64::MAX, entry: [0xff; 32], author: [0; 32], is_visible: true };

    /// Returns the stamp of an operation of this entry.
    pub fn at(&self, index: u32) -> Stamp {
        Stamp { time: self.time, entry: self.entry, index }
    }
}

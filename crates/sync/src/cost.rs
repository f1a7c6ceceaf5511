//! What sync costs: round trips, bytes and by which method, counted where it happens.
//!
//! Invariant: counts only grow within a session; what a round costs is what was counted during it.

/// How a round found what the other side lacked; the later, the more was said for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Both sides held the same.
    #[default]
    Equal,
    /// One side held all that the other did, and sent what it held beside.
    FastForward,
    /// Both had moved on from entries that were known to be common, and each sent what was above them.
    Common,
    /// Each told the other by a filter what it held above a common base.
    Filter,
    /// Symbols over all that was held told the difference.
    Symbols,
    /// One side asked the other by ids, page after page.
    Pages,
}

/// What was sent and received of one database, and what was waited for.
///
/// An entry's bytes are those of its signed body, its signature and its payloads, with their lengths.
/// Whatever else is said is overhead: controls, the heads of batches and what frames and their seals add,
/// all before compression; a frame that several databases share counts for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Entries received, duplicates too.
    pub entries_in: u64,
    /// Entries sent.
    pub entries_out: u64,
    /// Bytes of entries received.
    pub entry_bytes_in: u64,
    /// Bytes of entries sent.
    pub entry_bytes_out: u64,
    /// Bytes received beside the entries.
    pub overhead_in: u64,
    /// Bytes sent beside the entries.
    pub overhead_out: u64,
}

/// What went over the link of a session: everything, as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames received.
    pub frames_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Bytes of the frames received, after compression and with their seals.
    pub bytes_in: u64,
    /// Bytes of the frames sent, after compression and with their seals.
    pub bytes_out: u64,
}

impl Cost {
    /// Returns what has come since `before`.
    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            entries_in: self.entries_in.saturating_sub(before.entries_in),
            entries_out: self.entries_out.saturating_sub(before.entries_out),
            entry_bytes_in: self.entry_bytes_in.saturating_sub(before.entry_bytes_in),
            entry_bytes_out: self.entry_bytes_out.saturating_sub(before.entry_bytes_out),
            overhead_in: self.overhead_in.saturating_sub(before.overhead_in),
            overhead_out: self.overhead_out.saturating_sub(before.overhead_out),
        }
    }
}

impl Traffic {
    pub(crate) const fn received(&mut self, frame: usize) {
        self.frames_in += 1;
        self.bytes_in += frame as u64;
    }

    pub(crate) const fn sent(&mut self, frame: usize) {
        self.frames_out += 1;
        self.bytes_out += frame as u64;
    }
}

/// Counts how often one side of a round has waited for the other: it has asked something, and an answer
/// came that it needed, or the entries it asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    asked: bool,
    count: u32,
}

impl Waits {
    /// Takes note that the other side was asked something, if only what it holds.
    pub(crate) const fn ask(&mut self) {
        self.asked = true;
    }

    /// Takes note that something came without which the round could not go on here.
    pub(crate) const fn hear(&mut self) {
        if self.asked {
            self.count += 1;
            self.asked = false;
        }
    }

    /// Returns how many round trips that were: at least the one of the announcements.
    pub(crate) fn round_trips(self) -> u32 {
        self.count.max(1)
    }
}

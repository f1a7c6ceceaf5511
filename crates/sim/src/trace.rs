//! What happened in a world, line by line.
//!
//! Invariant: the hash covers every line in order, whether or not the lines are kept.

use std::fmt::Arguments;

/// The course of a world: its hash always, its lines where they are wanted.
pub struct Trace {
    hasher: blake3::Hasher,
    kept: Option<Vec<String>>,
}

impl Trace {
    /// Starts a trace; without `keep` only its hash can be read.
    pub(crate) fn new(keep: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), kept: keep.then(Vec::new) }
    }

    /// Notes that something happened at a virtual millisecond.
    pub(crate) fn note(&mut self, now: u64, what: Arguments<'_>) {
        let line = format!("{now:>9} {what}");
        self.hasher.update(line.as_bytes()).update(b"\n");
        if let Some(kept) = &mut self.kept {
            kept.push(line);
        }
    }

    /// Returns the hash of all lines.
    pub fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// Returns the lines, if they were kept.
    pub fn lines(&self) -> &[String] {
        self.kept.as_deref().unwrap_or_default()
    }
}

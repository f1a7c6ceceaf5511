//! How far a transfer has come, as its caller is told.
//!
//! Invariant: what is told never goes back.

use std::fmt;
use std::ops::ControlFlow;

/// How far an export or import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// The entries of an archive, or the lines of JSON, so far.
    pub items: u64,
    /// The bytes of the file so far.
    pub bytes: u64,
    /// How many items there will be, where that is known: for archives.
    pub total: Option<u64>,
}

/// What a transfer calls as it goes on; it breaks to end the transfer.
pub(super) type OnProgress<'a> = Box<dyn FnMut(TransferProgress) -> ControlFlow<()> + 'a>;

/// Says that the caller wants no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cancelled;

/// Counts, and tells the caller.
#[derive(Default)]
pub(super) struct Meter<'a> {
    pub(super) progress: TransferProgress,
    call: Option<OnProgress<'a>>,
}

impl fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<'a> Meter<'a> {
    pub(super) fn call(&mut self, call: impl FnMut(TransferProgress) -> ControlFlow<()> + 'a) {
        self.call = Some(Box::new(call));
    }

    /// Tells how far it is.
    pub(super) fn tell(&mut self) -> Result<(), Cancelled> {
        let flow = self.call.as_mut().map(|call| call(self.progress));
        if flow.is_some_and(|flow| flow.is_break()) { Err(Cancelled) } else { Ok(()) }
    }
}

//! What keeps a fault inside of Loro from going further.
//!
//! Invariant: a panic while a text is read, edited or merged, which only wrong operations of a peer
//! could bring about, leaves nothing but a text that is put aside.

use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

/// A text that Loro could not go on with; it is put aside and made again from its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operations of the text do not fit together")]
pub(crate) struct Broken;

/// Runs what may panic.
pub(super) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, Broken> {
    // What is left behind half done is not used again.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Broken)
}

/// Holds a value whose methods, and whose end, may panic.
pub(super) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self(Some(inner))
    }

    /// Runs something on the value.
    pub(super) fn with<R>(&self, run: impl FnOnce(&T) -> R) -> Result<R, Broken> {
        let inner = self.0.as_ref().ok_or(Broken)?;
        guard(|| run(inner))
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            // Nobody waits for what a broken text says at its end.
            let _ = guard(|| drop(inner));
        }
    }
}

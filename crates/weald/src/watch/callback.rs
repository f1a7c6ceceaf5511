//! Callbacks on writes: a watch with a thread of its own.
//!
//! Invariant: a callback never runs on the writer thread, so it may commit, wait or panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use weald_dag::StoreError;

use super::queue::Queue;
use super::{Event, Watch};

/// Keeps a callback going; dropping it ends the callback, after the event that it is at.
#[must_use = "dropping it ends the callback"]
pub struct WriteCallback {
    queue: Arc<Queue>,
}

impl std::fmt::Debug for WriteCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteCallback").finish_non_exhaustive()
    }
}

impl Drop for WriteCallback {
    fn drop(&mut self) {
        self.queue.close();
        while self.queue.try_pop().is_some() {}
    }
}

/// Calls `call` with each event of a watch, on a new thread.
pub(crate) fn spawn(
    mut watch: Watch,
    mut call: impl FnMut(&Event) + Send + 'static,
) -> Result<WriteCallback, StoreError> {
    let queue = Arc::clone(&watch.queue);
    let run = move || {
        while let Some(event) = watch.recv() {
            if catch_unwind(AssertUnwindSafe(|| call(&event))).is_err() {
                tracing::error!("a callback on writes panicked; it is called again for the next");
            }
        }
    };
    let spawned = thread::Builder::new().name("weald-callback".into()).spawn(run);
    spawned.map_err(|error| StoreError::Io {
        action: "start a thread for a callback",
        source: Arc::new(error),
    })?;
    Ok(WriteCallback { queue })
}

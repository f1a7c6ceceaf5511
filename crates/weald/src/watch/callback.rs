//! Callbacks: a watch with a thread of its own, and a thread that says when there is something.
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
        self.queue.abandon();
    }
}

/// Calls `call` with each event of a watch, on a new thread.
pub(crate) fn spawn(
    watch: Watch,
    mut call: impl FnMut(&Event) + Send + 'static,
) -> Result<WriteCallback, StoreError> {
    spawn_loop(watch, move |watch| {
        while let Some(event) = watch.recv() {
            guarded(|| call(&event));
        }
    })
}

/// Runs `run` with a watch on a new thread; it ends when the watch does.
pub(crate) fn spawn_loop(
    mut watch: Watch,
    run: impl FnOnce(&mut Watch) + Send + 'static,
) -> Result<WriteCallback, StoreError> {
    let queue = Arc::clone(&watch.queue);
    start("weald-callback", move || run(&mut watch))?;
    Ok(WriteCallback { queue })
}

/// Calls `call` on a new thread each time the queue becomes non-empty, until it ends.
pub(super) fn on_wake(
    queue: &Arc<Queue>,
    mut call: impl FnMut() + Send + 'static,
) -> Result<(), StoreError> {
    let queue = Arc::clone(queue);
    let mut seen = queue.edges();
    start("weald-wake", move || {
        while queue.wait_for_edge(&mut seen) {
            guarded(&mut call);
        }
    })
}

/// Runs code of the app, which may panic.
fn guarded(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!("a callback panicked; it is called again for the next event");
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.map(drop).map_err(|error| StoreError::Io {
        action: "start a thread for a callback",
        source: Arc::new(error),
    })
}

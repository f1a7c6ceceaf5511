//! Frames on their way out: a session never waits for the network, and is told while too much waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::bandwidth::Bucket;
use super::limits::{FLUSH_MAX, OUTBOX_BYTES, PRESENCE_QUEUE_BYTES};
use crate::link::{LinkError, LinkSender};

/// The sending side of one link.
#[derive(Debug)]
pub(crate) struct Outbox {
    frames: Option<mpsc::UnboundedSender<Bytes>>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    failure: Mutex<Option<LinkError>>,
    changed: Notify,
}

impl Outbox {
    /// Starts the task that sends, as fast as `up` lets it.
    pub(crate) fn new(sender: Box<dyn LinkSender>, up: Bucket) -> Self {
        let (frames, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(send_all(sender, up, queue, Arc::clone(&shared)));
        Self { frames: Some(frames), shared, task }
    }

    /// Queues a frame. Who calls asks [`Outbox::has_room`] before; that bounds it.
    pub(crate) fn push(&self, frame: Bytes) {
        self.shared.waiting.fetch_add(frame.len(), Ordering::AcqRel);
        if let Some(frames) = &self.frames {
            // Where the link is gone the sending task has said so.
            let _ = frames.send(frame);
        }
    }

    /// Returns whether more may be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) < OUTBOX_BYTES
    }

    /// Returns whether so little waits that presence is still of now when it leaves.
    pub(crate) fn keeps_up(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) < PRESENCE_QUEUE_BYTES
    }

    /// Waits until there is room again after there was none, or until sending failed. Cancel safe.
    pub(crate) async fn changed(&self) -> Result<(), LinkError> {
        self.shared.changed.notified().await;
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().map_or(Ok(()), Err)
    }

    /// Ends in order: what waits still leaves, within a bounded time.
    pub(crate) async fn close(mut self) {
        self.frames = None;
        let flushed = tokio::time::timeout(FLUSH_MAX, &mut self.task).await;
        if flushed.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send_all(
    mut sender: Box<dyn LinkSender>,
    up: Bucket,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    shared: Arc<Shared>,
) {
    let mut sent = Ok(());
    while let Some(frame) = queue.recv().await {
        let bytes = frame.len();
        if let Some(taken) = up.take(bytes) {
            up.wait(&taken).await;
        }
        sent = sender.send(frame).await;
        if sent.is_err() {
            break;
        }
        let before = shared.waiting.fetch_sub(bytes, Ordering::AcqRel);
        let after = before.saturating_sub(bytes);
        let falls_below = |limit| before >= limit && after < limit;
        if falls_below(OUTBOX_BYTES) || falls_below(PRESENCE_QUEUE_BYTES) {
            shared.changed.notify_one();
        }
    }
    if sent.is_ok() {
        sent = sender.close().await;
    }
    if let Err(error) = sent {
        *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        shared.changed.notify_one();
    }
}

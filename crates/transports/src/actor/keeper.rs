//! Peers on their way to the host: records and notes are saved one after the other, the newest of each last.
//!
//! Invariant: of what changed nothing is forgotten but what the host failed to keep; that is logged.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, block_in_place};
use weald_dag::PublicKey;

use super::host::Host;
use super::limits::STOP_MAX;
use super::peer::PeerRecord;

/// What is to be kept.
enum Kept {
    Record(PeerRecord),
    Notes(Vec<(PublicKey, Vec<u8>)>),
}

/// Saves what is known of peers in the order in which it changed.
pub(crate) struct Keeper {
    changes: mpsc::UnboundedSender<Kept>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        let (changes, mut changed) = mpsc::unbounded_channel::<Kept>();
        let task = tokio::spawn(async move {
            while let Some(kept) = changed.recv().await {
                let saved = match kept {
                    Kept::Record(record) => block_in_place(|| host.save_peer(record)).await,
                    Kept::Notes(notes) => block_in_place(|| host.remember(notes)).await,
                };
                if let Err(error) = saved {
                    tracing::warn!(%error, "what is known of peers could not be kept");
                }
            }
        });
        Self { changes, task }
    }

    pub(crate) fn save(&self, record: &PeerRecord) {
        // The task ends only with this sender.
        let _ = self.changes.send(Kept::Record(record.clone()));
    }

    /// Keeps notes in place of those that were kept of the same peers.
    pub(crate) fn remember(&self, notes: Vec<(PublicKey, Vec<u8>)>) {
        let _ = self.changes.send(Kept::Notes(notes));
    }

    /// Waits, for a bounded time, until all is saved.
    pub(crate) async fn close(mut self) {
        drop(self.changes);
        if tokio::time::timeout(STOP_MAX, &mut self.task).await.is_err() {
            tracing::warn!("what is known of peers could not be kept in time");
            self.task.abort();
        }
    }
}

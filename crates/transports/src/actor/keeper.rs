//! Peers on their way to the host: saved one after the other, the newest record last.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::host::Host;
use super::limits::STOP_MAX;
use super::peer::PeerRecord;

/// Saves the records of peers in the order they changed.
pub(crate) struct Keeper {
    records: mpsc::UnboundedSender<PeerRecord>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        let (records, mut changed) = mpsc::unbounded_channel::<PeerRecord>();
        let task = tokio::spawn(async move {
            while let Some(record) = changed.recv().await {
                let peer = record.key;
                if let Err(error) = host.save_peer(record).await {
                    tracing::warn!(%peer, %error, "what is known of a peer could not be kept");
                }
            }
        });
        Self { records, task }
    }

    pub(crate) fn save(&self, record: &PeerRecord) {
        // The task ends only with this sender.
        let _ = self.records.send(record.clone());
    }

    /// Waits, for a bounded time, until all is saved.
    pub(crate) async fn close(mut self) {
        drop(self.records);
        if tokio::time::timeout(STOP_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

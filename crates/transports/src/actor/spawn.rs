//! Starting an actor: it runs on threads of its own, so no app's runtime is needed and none is starved.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::bandwidth::Bandwidth;
use super::board::Board;
use super::common::CommonMemory;
use super::core::Core;
use super::drive::Common;
use super::error::SyncError;
use super::feed::CommitFeed;
use super::handle::{ActorHandle, OF_AN_ACTOR};
use super::host::Host;
use super::limits::STOP_MAX;
use super::notes::Notes;
use super::options::ActorOptions;
use super::peer::PeerRecord;
use super::peers::KeptPeers;
use super::presence::PresenceFeed;

/// Starts the background actor of an instance.
///
/// It holds `host` until it has stopped. It dials nobody before a transport is registered.
///
/// # Errors
/// [`SyncError::Threads`], or [`SyncError::Host`] when the peers kept cannot be read.
pub fn spawn(host: Arc<dyn Host>, options: ActorOptions) -> Result<ActorHandle, SyncError> {
    let peers = kept_peers(&*host)?;
    let (board, feed) = (Board::new(), CommitFeed::default());
    let bandwidth = Bandwidth::new(options.bandwidth);
    let presence = PresenceFeed::default();
    for (record, notes) in &peers {
        board.record(record);
        if let Some(notes) = notes {
            board.take_up(&record.key, notes.clone());
        }
    }
    let (commands, asked) = mpsc::unbounded_channel();
    let (notices, told) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads.max(2))
        .thread_name("weald-sync")
        .on_thread_start(|| OF_AN_ACTOR.set(true))
        .enable_all()
        .build()
        .map_err(no_threads)?;
    let common = Common {
        host,
        board: board.clone(),
        feed: feed.clone(),
        presence: presence.clone(),
        memory: CommonMemory::default(),
        notices,
        round_every: options.round_every,
        bandwidth: bandwidth.clone(),
        health_every: options.health_every,
    };
    let shown = board.clone();
    let run = move || {
        OF_AN_ACTOR.set(true);
        runtime.block_on(async { Core::new(common, &options, peers).run(asked, told).await });
        runtime.shutdown_timeout(STOP_MAX);
        shown.close();
    };
    let thread = std::thread::Builder::new().name("weald-actor".to_owned()).spawn(run);
    Ok(ActorHandle::new(commands, board, feed, presence, bandwidth, thread.map_err(no_threads)?))
}

/// Puts records and notes of peers together; notes that this build cannot read are left out.
fn kept_peers(host: &dyn Host) -> Result<KeptPeers, SyncError> {
    let mut notes: BTreeMap<_, _> = host.remembered()?.into_iter().collect();
    let with_notes = |mut record: PeerRecord| {
        let found = notes.remove(&record.key).and_then(|bytes| {
            let notes = Notes::decode(&bytes);
            if notes.is_none() {
                tracing::warn!(peer = %record.key, "what was noted of a peer cannot be read");
            }
            notes
        });
        if let Some(notes) = found.as_ref().filter(|notes| !notes.name.is_empty()) {
            record.name.clone_from(&notes.name);
        }
        (record, found)
    };
    Ok(host.peers()?.into_iter().map(with_notes).collect())
}

fn no_threads(error: std::io::Error) -> SyncError {
    SyncError::Threads(Arc::new(error))
}

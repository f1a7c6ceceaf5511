//! Starting an actor: it runs on threads of its own, so no app's runtime is needed and none is starved.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::core::Core;
use super::drive::Common;
use super::error::SyncError;
use super::feed::CommitFeed;
use super::handle::{ActorHandle, OF_AN_ACTOR};
use super::host::Host;
use super::limits::STOP_MAX;
use super::options::ActorOptions;
use super::status::Board;

/// Starts the background actor of an instance.
///
/// It holds `host` until it has stopped. It dials nobody before a transport is registered.
///
/// # Errors
/// [`SyncError::Threads`], or [`SyncError::Host`] when the peers kept cannot be read.
pub fn spawn(host: Arc<dyn Host>, options: ActorOptions) -> Result<ActorHandle, SyncError> {
    let peers = host.peers()?;
    let (board, feed) = (Board::new(), CommitFeed::default());
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
        notices,
        round_every: options.round_every,
        health_every: options.health_every,
    };
    let run = move || {
        OF_AN_ACTOR.set(true);
        runtime.block_on(async { Core::new(common, &options, peers).run(asked, told).await });
        runtime.shutdown_timeout(STOP_MAX);
    };
    let thread = std::thread::Builder::new().name("weald-actor".to_owned()).spawn(run);
    Ok(ActorHandle::new(commands, board, feed, thread.map_err(no_threads)?))
}

fn no_threads(error: std::io::Error) -> SyncError {
    SyncError::Threads(Arc::new(error))
}

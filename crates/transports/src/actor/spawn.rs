//! Starting an actor: it runs on threads of its own, so no app's runtime is needed and none is starved.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::core::Core;
use super::drive::Common;
use super::feed::CommitFeed;
use super::handle::{ActorHandle, OF_AN_ACTOR};
use super::host::{Host, HostError};
use super::limits::{RETRY_FIRST, RETRY_MAX, ROUND_EVERY, STOP_MAX};
use super::status::Board;

/// How the actor behaves; [`Default`] is what instances use.
#[derive(Debug, Clone)]
pub struct ActorOptions {
    /// The first pause before a peer is dialled again (default: [`RETRY_FIRST`]).
    pub retry_first: Duration,
    /// The longest pause before a peer is dialled again (default: [`RETRY_MAX`]).
    pub retry_max: Duration,
    /// How often linked peers compare although nothing seems to have happened (default: [`ROUND_EVERY`]).
    pub round_every: Duration,
    /// Threads for links, at least 2 (default: one a core, at most 4).
    pub threads: usize,
}

impl Default for ActorOptions {
    fn default() -> Self {
        Self {
            retry_first: RETRY_FIRST,
            retry_max: RETRY_MAX,
            round_every: ROUND_EVERY,
            threads: std::thread::available_parallelism().map_or(2, NonZero::get).min(4),
        }
    }
}

/// Why no actor could be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The system gives no more threads.
    #[error("the threads for sync cannot be started: close other programs or raise the limit")]
    Threads(#[source] io::Error),
    /// The peers kept could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Starts the background actor of an instance.
///
/// It holds `host` until it has stopped. It dials nobody before a transport is registered.
///
/// # Errors
/// [`SpawnError`].
pub fn spawn(host: Arc<dyn Host>, options: ActorOptions) -> Result<ActorHandle, SpawnError> {
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
        .map_err(SpawnError::Threads)?;
    let common = Common {
        host,
        board: board.clone(),
        feed: feed.clone(),
        notices,
        round_every: options.round_every,
    };
    let core = Core::new(common, options, peers);
    let run = move || {
        OF_AN_ACTOR.set(true);
        runtime.block_on(core.run(asked, told));
        runtime.shutdown_timeout(STOP_MAX);
    };
    let thread = std::thread::Builder::new().name("weald-actor".to_owned()).spawn(run);
    Ok(ActorHandle::new(commands, board, feed, thread.map_err(SpawnError::Threads)?))
}

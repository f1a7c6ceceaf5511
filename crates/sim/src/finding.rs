//! What a world can be found to do wrong.
//!
//! Invariant: a finding names what was seen, so that with the seed it can be looked for in the trace.

use thiserror::Error;
use weald_crdt::DraftError;
use weald_dag::{DatabaseId, EntryId, StoreError};
use weald_engine::CommitError;

/// What is wrong with a world.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Finding {
    /// A store failed that has no reason to.
    #[error("a store failed: {0}")]
    Store(#[from] StoreError),
    /// A database could not be made.
    #[error("a database could not be made: {0}")]
    Founding(#[from] CommitError),
    /// A section could not be drafted.
    #[error("a section could not be drafted: {0}")]
    Draft(#[from] DraftError),
    /// A whole, permitted database takes no commit.
    #[error("site {site} could not commit to {database}: {reason}")]
    NotCommitted {
        /// Where.
        site: usize,
        /// To which database.
        database: DatabaseId,
        /// What the door said.
        reason: String,
    },
    /// A session between honest sites on an honest link ended with a fault.
    #[error(
        "site {site} closed its session with site {peer}, link {link}, without cause: {reason}"
    )]
    Accused {
        /// Who closed.
        site: usize,
        /// Who was accused.
        peer: usize,
        /// On which link.
        link: u64,
        /// Of what.
        reason: String,
    },
    /// After healing the sites did not come to hold the same.
    #[error("{after_ms} ms after healing: {what}")]
    Apart {
        /// How long after healing.
        after_ms: u64,
        /// What is not as it should be.
        what: String,
    },
    /// An acknowledged commit is not everywhere.
    #[error("site {site} has lost entry {entry:?}, which was acknowledged")]
    Lost {
        /// Where it is missing.
        site: usize,
        /// The entry.
        entry: EntryId,
    },
    /// Equal entries gave different state.
    #[error("sites 0 and {site} hold the same entries of {database} and different state")]
    State {
        /// The site that differs from the first.
        site: usize,
        /// The database.
        database: DatabaseId,
    },
    /// A store does not pass its own verification.
    #[error("the store of site {site} is not sound: {problem}")]
    Unsound {
        /// Where.
        site: usize,
        /// The first problem.
        problem: String,
    },
    /// A database came to a site that may not read it.
    #[error("site {site} has got database {database}, which it may not read")]
    Leaked {
        /// Where it came to.
        site: usize,
        /// The database.
        database: DatabaseId,
    },
    /// Something was sent to a site that may not read it, by what was known where it was sent.
    #[error("site {site} sent entries of {database} to site {peer}, which may not read it")]
    SentOn {
        /// Who sent.
        site: usize,
        /// Who may not read.
        peer: usize,
        /// The database.
        database: DatabaseId,
    },
    /// Sites that hold the same still talk.
    #[error("{frames} frames in {ms} ms after everything was equal, the last on link {link}")]
    Chatter {
        /// How many.
        frames: u64,
        /// Within how many milliseconds.
        ms: u64,
        /// Where the last was.
        link: u64,
    },
    /// A new entry did not reach everyone over the open links.
    #[error("{after_ms} ms after each site wrote: {what}")]
    NotLive {
        /// How long after.
        after_ms: u64,
        /// What is not as it should be.
        what: String,
    },
    /// More waits somewhere than may.
    #[error("site {site} holds {found} {what}, the limit is {limit}")]
    Unbounded {
        /// Where.
        site: usize,
        /// Of what.
        what: &'static str,
        /// How much.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// Events went on without end.
    #[error("more than {events} events happened")]
    Endless {
        /// How many.
        events: u64,
    },
    /// Something forged was taken.
    #[error("site {site} holds the forged entry {entry:?}")]
    Believed {
        /// Where.
        site: usize,
        /// The entry.
        entry: EntryId,
    },
    /// Nobody shut a peer out that sent what no honest peer sends.
    #[error("the liar told {lies} lies and was never shut out")]
    Tolerated {
        /// How many things it forged.
        lies: usize,
    },
}

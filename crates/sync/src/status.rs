//! What a session can say of one database: counted, never guessed.

use crate::class::Classes;
use crate::cost::{Cost, Method};

/// Where the sync of one database with one peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    /// The peer has not proven its key yet, or has just been asked.
    Asked,
    /// Both sides are finding out what the other lacks.
    Comparing,
    /// Entries are on their way.
    Transferring,
    /// Both hold what the other offered; what is new goes at once.
    Live,
    /// The peer does not hold it or does not let this side read it.
    Denied,
    /// The peer says that a key of this side could read it once and may not any more.
    Revoked,
    /// The peer may not read it here any more.
    Ended,
    /// One side has stopped syncing it.
    Left,
}

/// What a session can say of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// Where it stands.
    pub state: DatabaseState,
    /// Batches that wait for verdicts and entries that wait for parents.
    pub pending_in: u64,
    /// Entries that are still to be sent.
    pub pending_out: u64,
    /// What was sent and received in this session.
    pub cost: Cost,
    /// What the last round sent and received, once one has ended.
    pub last_round: Cost,
    /// Entries received in this session that were held already.
    pub duplicates_in: u64,
    /// How many rounds have ended.
    pub rounds: u64,
    /// How many round trips the last round took: how often this side had to wait for an answer before the
    /// last entry of the round had come, or was on its way. At least one, that of the announcements; the
    /// confirmation at the end, and room in the window, are not counted.
    pub round_trips: u32,
    /// How the last round found what differed.
    pub method: Method,
    /// What became of the tips in the last round, once one has ended.
    pub classes: Option<Classes>,
}

impl DatabaseStatus {
    /// Is the status of a database with which nothing has happened.
    pub(crate) fn new(state: DatabaseState) -> Self {
        Self {
            state,
            pending_in: 0,
            pending_out: 0,
            cost: Cost::default(),
            last_round: Cost::default(),
            duplicates_in: 0,
            rounds: 0,
            round_trips: 0,
            method: Method::Equal,
            classes: None,
        }
    }
}

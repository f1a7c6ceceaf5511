//! How it stands with peers and databases: what anyone can ask at any time.
//!
//! Invariant: what is said of a link is said only while it is open; the rest is what happened last, also before
//! a restart.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use weald_dag::{DatabaseId, EntryId, PublicKey, Refusal, Time};
use weald_sync::DatabaseStatus;

use super::attempts::Attempts;
use super::error::SyncError;
use super::history::SyncRecord;
use super::peer::PeerRecord;

/// How it stands with the link to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// No link, and none is wanted (nothing is kept in sync with it, or no address is known).
    Idle,
    /// It is being dialled.
    Connecting,
    /// A link is open and proven both ways.
    Connected,
    /// The last attempt failed; the next one comes at this time.
    Waiting {
        /// When.
        next_retry: SystemTime,
    },
}

/// What is known of a peer now.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// What is kept of it.
    pub record: PeerRecord,
    /// How it stands with the link.
    pub state: PeerState,
    /// When a link to it was last proven, also before a restart.
    pub last_connected: Option<SystemTime>,
    /// Why the last attempt or link failed, also before a restart; `None` once one works.
    pub last_error: Option<SyncError>,
    /// How long the last health check of the current or last link took there and back.
    pub round_trip: Option<Duration>,
    /// How many presence messages on the current or last link were not listened to: too many at once, of another
    /// time, forged, or by authors who may not read.
    pub presence_dropped: u64,
    /// How it stands with each database that is kept in sync with it or was synced with it.
    pub databases: BTreeMap<DatabaseId, SyncStatus>,
    pub(crate) attempts: Attempts,
}

impl PeerStatus {
    pub(crate) fn new(record: PeerRecord) -> Self {
        Self {
            record,
            state: PeerState::Idle,
            last_connected: None,
            last_error: None,
            round_trip: None,
            presence_dropped: 0,
            databases: BTreeMap::new(),
            attempts: Attempts::default(),
        }
    }

    /// Returns the peer's device key.
    pub const fn key(&self) -> PublicKey {
        self.record.key
    }

    /// Returns which part of the last [`ATTEMPTS_KEPT`](crate::ATTEMPTS_KEPT) attempts to reach it went well, from
    /// 0 to 1; `None` before the first.
    pub fn success_rate(&self) -> Option<f64> {
        self.attempts.rate()
    }

    /// Returns when it is dialled again; `None` where it does not wait for that.
    pub const fn next_retry(&self) -> Option<SystemTime> {
        match self.state {
            PeerState::Waiting { next_retry } => Some(next_retry),
            _ => None,
        }
    }
}

/// How it stands with one database and one peer.
#[derive(Debug, Clone, Default)]
pub struct SyncStatus {
    /// What the session of the open link says; `None` without a link.
    pub session: Option<DatabaseStatus>,
    /// Whether any of the database is here.
    pub has_local_data: bool,
    /// When both were last found to hold the same, also before a restart.
    pub last_success: Option<SystemTime>,
    /// Why the last attempt failed, also before a restart; `None` once one succeeded.
    pub last_error: Option<SyncError>,
    /// The last sync that ended.
    pub last: Option<SyncRecord>,
    /// How many rounds ended with both holding the same, since the start.
    pub rounds: u64,
    /// The entry of the peer that was last held back because its time lies ahead; `None` once none is.
    pub held_back: Option<(EntryId, Time)>,
    /// The entry of the peer that was last refused for good, since the start.
    pub refused: Option<(EntryId, Refusal)>,
    /// Whether the peer has stopped syncing it since both held the same.
    pub left: bool,
    pub(crate) attempts: Attempts,
}

impl SyncStatus {
    /// Returns which part of the last [`ATTEMPTS_KEPT`](crate::ATTEMPTS_KEPT) attempts to sync went well, from 0 to
    /// 1; `None` before the first.
    pub fn success_rate(&self) -> Option<f64> {
        self.attempts.rate()
    }
}

//! Links that came in and ended before their peer was proven: anyone can make many, so few events tell of them.
//!
//! Invariant: at most one event in [`REJECTION_EVERY`], and each link is counted in one.

use tokio::time::Instant;

use super::super::board::Board;
use super::super::error::SyncError;
use super::super::event::SyncEvent;
use super::super::limits::REJECTION_EVERY;
use crate::address::Address;

/// What is still to be told.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    told: Option<Instant>,
    untold: u64,
}

impl Rejections {
    /// Tells of a link, with those of which nothing was told since the last time.
    pub(super) fn tell(&mut self, board: &Board, from: &Address, error: Option<SyncError>) {
        let Some(error) = error else { return };
        self.untold += 1;
        let now = Instant::now();
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < REJECTION_EVERY) {
            return;
        }
        self.told = Some(now);
        let links = std::mem::take(&mut self.untold);
        board.tell(SyncEvent::Rejected { address: from.clone(), error, links });
    }
}

//! A known peer as the actor sees it: what is kept of it, and when it is dialled next.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::limits::DISTRUST;
use super::notice::Token;
use super::peer::PeerRecord;
use crate::address::Address;

/// A peer with its dialling.
pub(crate) struct Known {
    pub(crate) record: PeerRecord,
    pub(crate) backoff: Backoff,
    /// When it is dialled again.
    pub(crate) retry_at: Option<Instant>,
    /// The dial under way for it.
    pub(crate) dial: Option<Token>,
    /// Links to it that are proven.
    pub(crate) links: BTreeSet<Token>,
    /// Lasting failures in a row.
    distrusted: usize,
}

impl Known {
    pub(crate) const fn new(record: PeerRecord, backoff: Backoff) -> Self {
        Self { record, backoff, retry_at: None, dial: None, links: BTreeSet::new(), distrusted: 0 }
    }

    /// Returns whether it is to be kept in sync and may be dialled.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.record.databases.is_empty() && !self.record.addresses.is_empty()
    }

    /// Returns its addresses, each lasting failure bringing the next to the front.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut addresses = self.record.addresses.clone();
        if !addresses.is_empty() {
            let places = addresses.len();
            addresses.rotate_left(self.distrusted % places);
        }
        addresses
    }

    /// Takes note that it was proven on a link.
    pub(crate) fn proven(&mut self, link: Token) {
        self.links.insert(link);
        self.retry_at = None;
        self.distrusted = 0;
    }

    /// Takes note of a failure; returns when it is dialled next.
    ///
    /// After a lasting failure the other addresses come first, and once all have failed so it is left alone
    /// for a while.
    pub(crate) fn failed(&mut self, lasting: bool, random: u64) -> Duration {
        let mut pause = self.backoff.failed(random);
        if lasting {
            self.distrusted += 1;
            if self.distrusted >= self.record.addresses.len() {
                pause = pause.max(DISTRUST);
            }
        }
        self.retry_at = Some(Instant::now() + pause);
        pause
    }
}

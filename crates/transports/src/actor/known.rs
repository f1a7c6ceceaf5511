//! A peer that an actor knows, and when and where it is dialled.
//!
//! Invariant: an address that worked comes first until another does; what works where is no fact of the record.
//! Who answers at one address says nothing of the others, so one that poses as the peer costs it that address.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::backoff::Backoff;
use super::ingest::random;
use super::limits::DISTRUST;
use super::notes::{Notes, Retry};
use super::peer::{ADDRESSES_MAX, PeerRecord};
use crate::address::Address;

/// What a failure says of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure<'a> {
    /// It may go well.
    Passing,
    /// At this address it would only fail again.
    At(&'a Address),
    /// It would only fail again wherever the peer is: it has proven its key, and then broken the protocol.
    OfPeer,
}

/// A peer with its dialling.
pub(crate) struct Known {
    pub(crate) record: PeerRecord,
    /// Whether the host keeps it: it was dialled, registered or related to a database.
    pub(crate) kept: bool,
    pub(crate) backoff: Backoff,
    /// When it is dialled again.
    pub(crate) retry_at: Option<Instant>,
    /// How long the pause before that is in all.
    pub(crate) pause: Duration,
    /// Whether a dial is under way for it.
    pub(crate) dialling: bool,
    /// Whether a proven link to it is open.
    pub(crate) linked: bool,
    /// The addresses that lead to another peer, or to nothing that speaks as this side does, since the peer was
    /// last reached there.
    distrusted: Vec<Address>,
    /// Until when its links are refused, after it has broken the protocol.
    pub(crate) shunned_until: Option<Instant>,
    /// The addresses at which it was reached, the last one first.
    used: Vec<Address>,
}

impl Known {
    pub(crate) const fn new(record: PeerRecord, kept: bool, backoff: Backoff) -> Self {
        Self {
            record,
            kept,
            backoff,
            retry_at: None,
            pause: Duration::ZERO,
            dialling: false,
            linked: false,
            distrusted: Vec::new(),
            shunned_until: None,
            used: Vec::new(),
        }
    }

    /// Takes up what was noted before a restart.
    pub(crate) fn take_up(&mut self, notes: &Notes) {
        self.used.clone_from(&notes.used);
        self.backoff.resume(notes.failures);
        self.distrusted.clone_from(&notes.distrusted);
        // Who starts anew may have mended what failed: it is never left alone for longer than after other failures.
        let most = self.backoff.max();
        if let Some(retry) = notes.retry {
            let left = retry.left(SystemTime::now(), most);
            self.pause = retry.pause.min(most);
            self.retry_at = (!left.is_zero()).then(|| Instant::now() + left);
        }
    }

    /// Writes down what is to be known after a restart.
    pub(crate) fn note(&self, notes: &mut Notes) {
        notes.name.clone_from(&self.record.name);
        notes.used.clone_from(&self.used);
        notes.failures = self.backoff.failures();
        notes.distrusted.clone_from(&self.distrusted);
        notes.retry = self.retry_at.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Retry { at: SystemTime::now() + left, pause: self.pause }
        });
    }

    /// Returns whether it is to be kept in sync and may be dialled.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.record.databases.is_empty() && self.has_address()
    }

    pub(crate) fn has_address(&self) -> bool {
        !self.record.addresses.is_empty() || !self.used.is_empty()
    }

    /// Returns its addresses, those that worked last first.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut addresses = self.used.clone();
        let others = self.record.addresses.iter().filter(|address| !self.used.contains(address));
        addresses.extend(others.cloned());
        addresses
    }

    /// Returns the addresses that are tried only where the others have failed.
    pub(crate) fn distrusted(&self) -> &[Address] {
        &self.distrusted
    }

    /// Takes note of an address that works; returns whether the record changed.
    ///
    /// It is a fact worth keeping once. Where the record is full it is known here only, so that addresses
    /// that come and go for ever make no entries for ever.
    pub(crate) fn reached(&mut self, address: &Address) -> bool {
        self.distrusted.retain(|distrusted| distrusted != address);
        self.used.retain(|used| used != address);
        self.used.insert(0, address.clone());
        self.used.truncate(ADDRESSES_MAX);
        let addresses = &mut self.record.addresses;
        let new = !addresses.contains(address) && addresses.len() < ADDRESSES_MAX;
        if new {
            addresses.push(address.clone());
        }
        new
    }

    /// Takes note of a failure; returns the pause before the next attempt.
    ///
    /// An address where it would only fail again comes after the others from now on; where there is no other, or
    /// the failure is the peer's own, it is left alone for a while.
    pub(crate) fn failed(&mut self, failure: Failure<'_>) -> Duration {
        let mut pause = self.backoff.failed(random().map_or(0, u64::from_be_bytes));
        if self.is_hopeless(failure) {
            pause = pause.max(DISTRUST);
        }
        self.pause = pause;
        self.retry_at = Some(Instant::now() + pause);
        pause
    }

    fn is_hopeless(&mut self, failure: Failure<'_>) -> bool {
        let at = match failure {
            Failure::Passing => return false,
            Failure::OfPeer => return true,
            Failure::At(address) => address,
        };
        let addresses = self.addresses();
        // Those that are known no more are forgotten, which bounds it.
        self.distrusted.retain(|distrusted| distrusted != at && addresses.contains(distrusted));
        if addresses.contains(at) {
            self.distrusted.push(at.clone());
        }
        addresses.iter().all(|address| self.distrusted.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    fn known() -> Known {
        let record = PeerRecord::new(SecretKey::from_seed(&[1; 32]).public());
        let second = Duration::from_secs(1);
        Known::new(record, true, Backoff::new(second, 64 * second))
    }

    fn address(n: usize) -> Address {
        format!("memory:{n}").parse().unwrap()
    }

    #[test]
    fn p40_the_address_that_worked_last_comes_first_and_is_a_fact_once() {
        let mut known = known();
        let changed: Vec<bool> = [1, 2, 1, 2, 1].map(|n| known.reached(&address(n))).to_vec();
        assert_eq!(changed, [true, true, false, false, false]);
        assert_eq!(known.addresses(), [address(1), address(2)]);
    }

    #[test]
    fn whoever_poses_at_some_addresses_does_not_have_a_peer_left_alone() {
        let mut known = known();
        for n in [1, 2] {
            known.reached(&address(n));
        }
        for _ in 0..20 {
            assert!(known.failed(Failure::At(&address(1))) < DISTRUST);
            assert!(known.failed(Failure::Passing) < DISTRUST);
            assert_eq!(known.distrusted(), [address(1)]);
        }
        assert_eq!(known.failed(Failure::At(&address(2))), DISTRUST);
        // That it is reached at one says nothing of the other.
        known.reached(&address(2));
        assert_eq!(known.distrusted(), [address(1)]);
        assert_eq!(known.failed(Failure::OfPeer), DISTRUST, "it has broken the protocol itself");
        // Addresses that the peer does not have are not gathered.
        for n in 3..500 {
            known.failed(Failure::At(&address(n)));
        }
        assert_eq!(known.distrusted(), [address(1)]);
    }

    #[test]
    fn p58_addresses_that_come_and_go_for_ever_change_the_record_a_bounded_number_of_times() {
        let mut known = known();
        let changes = (0..500).filter(|n| known.reached(&address(n % 20))).count();
        assert_eq!(changes, ADDRESSES_MAX);
        assert_eq!(known.addresses()[0], address(19));
        assert!(known.addresses().len() <= 2 * ADDRESSES_MAX);
    }

    #[test]
    fn p26_a_pause_goes_on_after_a_restart() {
        let mut before = known();
        let pauses: Vec<_> = (0..4).map(|_| before.failed(Failure::Passing)).collect();
        let mut notes = Notes::default();
        before.note(&mut notes);
        let mut after = known();
        after.take_up(&Notes::decode(&notes.encode()).unwrap());
        let left = after.retry_at.unwrap().saturating_duration_since(Instant::now());
        assert!(left <= pauses[3] && left + Duration::from_secs(1) > pauses[3], "{left:?}");
        assert_eq!(after.backoff.failures(), 4);
        assert!(after.failed(Failure::Passing) >= Duration::from_secs(8));
    }
}

//! The requests for access that came to this device: what waits, and what was decided.
//!
//! Invariant: what waits is bounded for each device, address and database and in all, what is written is
//! bounded by the hour, and nothing that waits is pushed out by what comes later; of one key and database
//! there is one request.

use std::collections::BTreeMap;

use weald_auth::SignedRequest;
use weald_dag::{DatabaseId, PublicKey, RequestId};

use super::hourly::Hourly;

/// How many requests of one device may wait.
pub const REQUESTS_PER_DEVICE_MAX: usize = 4;
/// How many requests from one address may wait.
pub const REQUESTS_PER_ADDRESS_MAX: usize = 32;
/// How many requests for one database may wait.
pub const REQUESTS_PER_DATABASE_MAX: usize = 128;
/// How many requests may wait in all.
pub const REQUESTS_WAITING_MAX: usize = 512;
/// How many requests that were decided are remembered; the oldest go first.
pub const REQUESTS_DECIDED_MAX: usize = 512;
/// How often one device may ask within an hour, for whatever database.
pub const ASKS_PER_HOUR_MAX: u32 = 120;
/// How many requests from one address are written down within an hour, with those that take the place of an
/// earlier one; what is known and asked again is not.
const WRITTEN_PER_HOUR_MAX: u32 = 64;

/// Names a request: the database, and the key that asks.
pub(crate) type Place = (DatabaseId, PublicKey);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestState {
    /// Nobody has decided yet.
    Pending,
    /// It was granted.
    Approved,
    /// It was turned down.
    Rejected {
        /// Why, in words.
        reason: String,
    },
}

/// A request with what is known of it here.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) signed: SignedRequest,
    /// Where it came from: an address without its port.
    pub(crate) from: String,
    /// When it first came, in milliseconds since 1970.
    pub(crate) received: u64,
    pub(crate) state: RequestState,
}

impl Queued {
    fn place(&self) -> Place {
        (self.signed.request().database, self.signed.request().key)
    }

    pub(crate) fn is_open(&self, now: u64) -> bool {
        self.signed.request().expires > now
    }

    fn waits(&self, now: u64) -> bool {
        self.state == RequestState::Pending && self.is_open(now)
    }
}

/// What becomes of a request that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is known, and this is how it stands.
    Known(RequestState),
    /// It waits from now on; its row is to be written.
    Queued,
    /// There is no room.
    NotNow,
    /// The key has made a later one.
    Replayed,
}

/// The requests that came to this device.
#[derive(Default)]
pub(crate) struct Queue {
    all: BTreeMap<Place, Queued>,
    /// How often each device has asked.
    askers: Hourly<PublicKey>,
    /// How many requests from each address were written down.
    written: Hourly<String>,
}

impl Queue {
    /// Takes up a request that was kept.
    pub(crate) fn restore(&mut self, queued: Queued) {
        self.all.insert(queued.place(), queued);
    }

    /// Counts that a device asks; returns whether it may.
    pub(crate) fn may_ask(&mut self, device: &PublicKey, now: u64) -> bool {
        self.askers.count(device, now, ASKS_PER_HOUR_MAX)
    }

    /// Takes a request that somebody has to decide.
    pub(crate) fn admit(&mut self, signed: &SignedRequest, from: &str, now: u64) -> Admission {
        let request = signed.request();
        let place = (request.database, request.key);
        let known = self.all.get(&place).filter(|known| known.is_open(now));
        let Some(known) = known else {
            return self.wait(place, signed, from, now);
        };
        let is_same = known.signed.id() == signed.id();
        if !is_same && request.made <= known.signed.request().made {
            return Admission::Replayed;
        }
        match &known.state {
            RequestState::Pending if !is_same => self.replace(&place, signed, from, now),
            RequestState::Approved if !is_same => self.wait(place, signed, from, now),
            state => Admission::Known(state.clone()),
        }
    }

    fn wait(&mut self, place: Place, signed: &SignedRequest, from: &str, now: u64) -> Admission {
        if !self.has_room(&place, signed, from, now) || !self.may_write(from, now) {
            return Admission::NotNow;
        }
        let (signed, from) = (signed.clone(), from.to_owned());
        let state = RequestState::Pending;
        self.all.insert(place, Queued { signed, from, received: now, state });
        Admission::Queued
    }

    /// Puts a later request of the same key in place of the one that waits; it keeps its turn, and counts for
    /// the address that the first came from.
    fn replace(
        &mut self,
        place: &Place,
        signed: &SignedRequest,
        from: &str,
        now: u64,
    ) -> Admission {
        let device = signed.request().device;
        let waiting = || self.all.iter().filter(|(_, queued)| queued.waits(now));
        let of_device = waiting()
            .filter(|(other, queued)| *other != place && queued.signed.request().device == device);
        if of_device.count() >= REQUESTS_PER_DEVICE_MAX || !self.may_write(from, now) {
            return Admission::NotNow;
        }
        if let Some(queued) = self.all.get_mut(place) {
            queued.signed = signed.clone();
        }
        Admission::Queued
    }

    fn may_write(&mut self, from: &str, now: u64) -> bool {
        self.written.count(&from.to_owned(), now, WRITTEN_PER_HOUR_MAX)
    }

    fn has_room(&self, place: &Place, signed: &SignedRequest, from: &str, now: u64) -> bool {
        let device = signed.request().device;
        let (mut of_device, mut of_address, mut of_database, mut all) = (0, 0, 0, 0);
        for queued in self.all.values().filter(|queued| queued.waits(now)) {
            of_device += usize::from(queued.signed.request().device == device);
            of_address += usize::from(queued.from == from);
            of_database += usize::from(queued.signed.request().database == place.0);
            all += 1;
        }
        of_device < REQUESTS_PER_DEVICE_MAX
            && of_address < REQUESTS_PER_ADDRESS_MAX
            && of_database < REQUESTS_PER_DATABASE_MAX
            && all < REQUESTS_WAITING_MAX
    }

    /// Finds a request that has not expired.
    pub(crate) fn find(&self, id: &RequestId, now: u64) -> Option<&Queued> {
        self.all.values().find(|queued| queued.signed.id() == *id && queued.is_open(now))
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&Queued> {
        self.all.get(place)
    }

    /// Finds the request of a place if it is this one, nobody has decided on it, and no later one has taken
    /// its place.
    pub(crate) fn undecided(&self, place: &Place, id: &RequestId) -> Option<&Queued> {
        let is_it =
            |queued: &&Queued| queued.signed.id() == *id && queued.state == RequestState::Pending;
        self.all.get(place).filter(is_it)
    }

    /// Takes note of a decision.
    pub(crate) fn decide(&mut self, place: &Place, state: RequestState) {
        if let Some(queued) = self.all.get_mut(place) {
            queued.state = state;
        }
    }

    /// Returns all that have not expired, those that came first first.
    pub(crate) fn open(&self, now: u64) -> Vec<Queued> {
        let open = self.all.values().filter(|queued| queued.is_open(now));
        let mut open: Vec<_> = open.cloned().collect();
        open.sort_by_key(|queued| queued.received);
        open
    }

    /// Takes out what has expired, and of what was decided the oldest beyond the bound; at most `count`.
    pub(crate) fn sweep(&mut self, now: u64, count: usize) -> Vec<Place> {
        let expired = self.all.iter().filter(|(_, queued)| !queued.is_open(now));
        let mut gone: Vec<Place> = expired.map(|(place, _)| *place).take(count).collect();
        let decided = |queued: &&Queued| queued.state != RequestState::Pending;
        let mut old: Vec<&Queued> = self.all.values().filter(decided).collect();
        old.sort_by_key(|queued| queued.received);
        let excess = old.len().saturating_sub(REQUESTS_DECIDED_MAX);
        let room = count.saturating_sub(gone.len());
        gone.extend(old.iter().take(excess.min(room)).map(|queued| queued.place()));
        gone.iter().for_each(|place| drop(self.all.remove(place)));
        gone
    }
}

#[cfg(test)]
mod tests;

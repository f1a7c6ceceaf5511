//! Requests for access on this device, both ways: what peers ask is answered here, what they answer is kept.
//!
//! Invariant: what is decided is at rest before anybody is told; how much is looked up does not depend on
//! whether a database is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_bytes::ByteArray;
use weald_auth::{Level, SignedRequest};
use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_engine::all_held;
use weald_sync::RequestAnswer;
use weald_transports::{AccessEvent, EventTeller};

use super::policy::RequestPolicy;
use super::queue::{Admission, Place, Queue, Queued, RequestState};
use super::request_error::RequestError;
use super::request_rows::{
    MADE, MadeRow, POLICIES, PolicyRow, QUEUED, QueuedRow, load_made, load_policies, load_queue,
    made_key, policy_key, queued_key,
};
use super::requested::{Requested, RequestedBook, opened};
use super::short_code::{Salts, short_code};
use crate::access::Access;
use crate::clock::wall_millis;
use crate::core::Core;
use crate::database::Database;
use crate::error::Error;
use crate::rows::Rows;
use crate::sync::SyncRows;
use crate::user::Wanted;

/// How many requests that are over are taken out each time that one comes.
const SWEPT_AT_ONCE: usize = 4;
const TAKEN_BACK: &str = "what was granted was taken back";

/// The requests on this device.
pub(crate) struct RequestBook {
    rows: Arc<SyncRows>,
    access: Arc<Access>,
    wanted: Arc<Wanted>,
    device: PublicKey,
    salts: Salts,
    policies: Mutex<BTreeMap<DatabaseId, RequestPolicy>>,
    queue: Mutex<Queue>,
    made: Mutex<RequestedBook>,
    deciding: Mutex<()>,
    teller: OnceLock<EventTeller>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RequestBook {
    /// Takes up what was kept.
    pub(crate) fn load(
        core: &Core,
        database: &Database,
        rows: Arc<SyncRows>,
    ) -> Result<Self, Error> {
        Ok(Self {
            rows,
            access: Arc::clone(&core.access),
            wanted: Arc::clone(&core.wanted),
            device: core.device.public(),
            salts: Salts::of(&core.device),
            policies: Mutex::new(load_policies(database)?.into_iter().collect()),
            queue: Mutex::new(load_queue(database)?),
            made: Mutex::new(load_made(database)?),
            deciding: Mutex::default(),
            teller: OnceLock::new(),
        })
    }

    /// Has events told; before, nobody can listen.
    pub(crate) fn tell_by(&self, teller: EventTeller) {
        // It is set once, by whoever starts the actor.
        let _ = self.teller.set(teller);
    }

    fn tell(&self, event: AccessEvent) {
        if let Some(teller) = self.teller.get() {
            teller.tell(event);
        }
    }

    pub(crate) fn policy(&self, database: &DatabaseId) -> RequestPolicy {
        lock(&self.policies).get(database).copied().unwrap_or_default()
    }

    pub(crate) fn set_policy(
        &self,
        database: DatabaseId,
        policy: RequestPolicy,
    ) -> Result<(), Error> {
        let mut policies = lock(&self.policies);
        self.rows.put(POLICIES, &policy_key(&database), &PolicyRow::of(policy))?;
        policies.insert(database, policy);
        Ok(())
    }

    /// Answers a request of a peer; `from` is its address without the port.
    ///
    /// It blocks until what is to be kept is durable.
    pub(crate) fn asked(
        &self,
        peer: &PublicKey,
        from: &str,
        bytes: &[u8],
    ) -> Result<RequestAnswer, Error> {
        let now = wall_millis();
        if !lock(&self.queue).may_ask(peer, now) {
            return Ok(RequestAnswer::NotNow);
        }
        let checked = SignedRequest::decode(bytes)
            .and_then(|signed| signed.check(peer, &self.device, now).map(|()| signed));
        let signed = match checked {
            Ok(signed) => signed,
            Err(refusal) => return Ok(RequestAnswer::Refused { code: refusal.code() }),
        };
        let request = signed.request();
        let Some((policy, held)) = self.standing(&request.database, &request.key, now)? else {
            return Ok(RequestAnswer::Unavailable);
        };
        let is_covered = held.is_some_and(|held| held.covers(request.wanted));
        match policy {
            RequestPolicy::Refuse => Ok(RequestAnswer::Unavailable),
            _ if is_covered => self.covered(&(request.database, request.key)),
            RequestPolicy::Covered => Ok(RequestAnswer::Unavailable),
            RequestPolicy::Queue => self.admit(signed, from, held, now),
        }
    }

    /// Returns the policy of a database and what a key holds in it. All databases are looked at, so that
    /// time does not tell whether the one that is asked for is there; one that nobody here wants synced is not.
    fn standing(
        &self,
        database: &DatabaseId,
        key: &PublicKey,
        now: u64,
    ) -> Result<Option<(RequestPolicy, Option<Level>)>, Error> {
        let rows = Rows(self.rows.snapshot()?);
        let mut found = None;
        for held in all_held(&rows)?.into_iter().filter(|held| held.complete && !held.system) {
            let authority = self.access.of(&held, &rows)?;
            let level = authority.current().at(now).level_of(key);
            let standing = (self.policy(&held.id), level);
            if held.id == *database && self.wanted.combined(database).enabled {
                found = Some(standing);
            }
        }
        Ok(found)
    }

    /// The key holds what it wants: what may have waited for that is decided.
    fn covered(&self, place: &Place) -> Result<RequestAnswer, Error> {
        let mut queue = lock(&self.queue);
        if let Some(id) = queue.get(place).map(|queued| queued.signed.id()) {
            self.keep_decision(&mut queue, place, &id, RequestState::Approved)?;
        }
        Ok(RequestAnswer::Approved)
    }

    fn admit(
        &self,
        signed: SignedRequest,
        from: &str,
        held: Option<Level>,
        now: u64,
    ) -> Result<RequestAnswer, Error> {
        let mut queue = lock(&self.queue);
        for place in queue.sweep(now, SWEPT_AT_ONCE) {
            self.rows.delete(QUEUED, &queued_key(&place))?;
        }
        let place = (signed.request().database, signed.request().key);
        let (admission, id) = (queue.admit(&signed, from, now), signed.id());
        match admission {
            Admission::Queued => {
                if let Some(queued) = queue.get(&place) {
                    self.rows.put(QUEUED, &queued_key(&place), &QueuedRow::of(queued))?;
                }
                let (database, key) = place;
                self.tell(AccessEvent::Requested { request: id, database, key });
                Ok(self.pending(&signed))
            }
            Admission::Known(RequestState::Pending) => Ok(self.pending(&signed)),
            // Less may have been given than was wanted.
            Admission::Known(RequestState::Approved) if held.is_some() => {
                Ok(RequestAnswer::Approved)
            }
            Admission::Known(RequestState::Approved) => {
                Ok(RequestAnswer::Rejected { reason: TAKEN_BACK.to_owned() })
            }
            Admission::Known(RequestState::Rejected { reason }) => {
                Ok(RequestAnswer::Rejected { reason })
            }
            Admission::NotNow => Ok(RequestAnswer::NotNow),
            Admission::Replayed => {
                let code = weald_auth::RequestRefusal::Replayed.code();
                Ok(RequestAnswer::Refused { code })
            }
        }
    }

    fn pending(&self, signed: &SignedRequest) -> RequestAnswer {
        let salt = self.salts.salt(&signed.id(), &signed.request().device);
        RequestAnswer::Pending { salt: ByteArray::new(salt) }
    }

    pub(crate) fn short_code(&self, signed: &SignedRequest) -> String {
        let id = signed.id();
        short_code(&id, &self.salts.salt(&id, &signed.request().device))
    }

    /// Returns the requests that came and have not expired, those that came first first.
    pub(crate) fn open(&self) -> Vec<Queued> {
        lock(&self.queue).open(wall_millis())
    }

    /// Returns a request that waits to be decided.
    pub(crate) fn waiting(&self, id: &RequestId) -> Result<Queued, RequestError> {
        let queue = lock(&self.queue);
        let found = queue.find(id, wall_millis()).ok_or(RequestError::Unknown { id: *id })?;
        match found.state {
            RequestState::Pending => Ok(found.clone()),
            _ => Err(RequestError::Decided { id: *id }),
        }
    }

    /// Has others wait who decide, until what is returned is dropped.
    pub(crate) fn deciding(&self) -> MutexGuard<'_, ()> {
        lock(&self.deciding)
    }

    /// Keeps the decision on a request; returns whether it still was to be decided.
    pub(crate) fn decide(&self, queued: &Queued, state: RequestState) -> Result<bool, Error> {
        let request = queued.signed.request();
        let place = (request.database, request.key);
        self.keep_decision(&mut lock(&self.queue), &place, &queued.signed.id(), state)
    }

    fn keep_decision(
        &self,
        queue: &mut Queue,
        place: &Place,
        id: &RequestId,
        state: RequestState,
    ) -> Result<bool, Error> {
        let Some(undecided) = queue.undecided(place, id).cloned() else { return Ok(false) };
        let decided = Queued { state, ..undecided };
        self.rows.put(QUEUED, &queued_key(place), &QueuedRow::of(&decided))?;
        queue.decide(place, decided.state.clone());
        let (request, (database, key)) = (*id, *place);
        let approved = decided.state == RequestState::Approved;
        self.tell(AccessEvent::Decided { request, database, key, approved });
        Ok(true)
    }

    /// Keeps a request that is to be made, in place of an earlier one for the same.
    pub(crate) fn make(&self, signed: &SignedRequest) -> Result<(), Error> {
        let mut made = lock(&self.made);
        for id in made.superseded(signed, wall_millis()) {
            self.rows.delete(MADE, &made_key(&id))?;
            self.forget(&mut made, &id);
        }
        if !made.has_room() {
            return Err(RequestError::TooMany.into());
        }
        let requested = Requested { signed: signed.clone(), answer: None };
        self.rows.put(MADE, &made_key(&signed.id()), &MadeRow::of(&requested))?;
        made.insert(requested);
        Ok(())
    }

    /// Forgets a request that was made; returns whether it was there.
    pub(crate) fn withdraw(&self, id: &RequestId) -> Result<bool, Error> {
        let mut made = lock(&self.made);
        self.rows.delete(MADE, &made_key(id))?;
        Ok(self.forget(&mut made, id))
    }

    fn forget(&self, made: &mut RequestedBook, id: &RequestId) -> bool {
        let Some(database) = made.get(id).map(|made| made.signed.request().database) else {
            return false;
        };
        let was_made = made.remove(id);
        self.tell(AccessEvent::Withdrawn { request: *id, database });
        was_made
    }

    /// Returns a request that was made.
    pub(crate) fn made(&self, id: &RequestId) -> Option<Requested> {
        lock(&self.made).get(id).cloned()
    }

    /// Returns all requests that were made.
    pub(crate) fn all_made(&self) -> Vec<Requested> {
        lock(&self.made).all().cloned().collect()
    }

    /// Returns what is to be asked of a peer that was met.
    pub(crate) fn take_unsent(&self, peer: &PublicKey) -> Vec<Vec<u8>> {
        lock(&self.made).take_unsent(peer, wall_millis())
    }

    /// Takes a peer's answer; returns the database that it opens.
    ///
    /// It blocks until the answer is durable.
    pub(crate) fn answered(
        &self,
        peer: &PublicKey,
        id: &RequestId,
        answer: RequestAnswer,
    ) -> Result<Option<DatabaseId>, Error> {
        let mut made = lock(&self.made);
        let Some(requested) = made.answered(peer, id, answer, wall_millis()) else {
            return Ok(None);
        };
        self.rows.put(MADE, &made_key(id), &MadeRow::of(&requested))?;
        let database = requested.signed.request().database;
        self.tell(AccessEvent::Answered { request: *id, database });
        Ok(opened(&requested))
    }
}

//! The instance as its sync actor sees it: reads, and jobs for the writer thread.
//!
//! Invariant: it holds parts of the instance and never the whole, so that dropping the last handle of the
//! instance ends the actor and not the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weald_auth::Authority;
use weald_dag::{
    DatabaseId, EntryId, Graph, PublicKey, RequestId, SecretKey, Snapshot, StoreError, Verdict,
    Verified,
};
use weald_engine::{Held, all_held, held, taken_from};
use weald_store::{Settle, Writer};
use weald_sync::limits::KEYS_MAX;
use weald_sync::{
    ListedDatabase, LocalDatabase, NO_DATABASE, PresenceMessage, Reads, RequestAnswer,
};
use weald_transports::{Address, BoxFuture, Host, HostError, PeerRecord};

use super::choices::KeyChoices;
use super::{notes, peers};
use crate::access::Access;
use crate::clock::wall_millis;
use crate::desk::{Complete, Job, Make, Remember, Take};
use crate::key_ring::KeyRing;
use crate::presence::PresenceBoard;
use crate::reply::{Reply, reply};
use crate::requests::{InviteBook, RequestBook};
use crate::rows::Rows;
use crate::settings::NAME;
use crate::user::Wanted;

/// The parts of an instance that its sync actor uses.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Settle>,
    pub(super) writer: Writer<Job>,
    pub(super) access: Arc<Access>,
    pub(super) device: Arc<SecretKey>,
    pub(super) key_ring: Arc<KeyRing>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) invites: Arc<InviteBook>,
    pub(super) requests: Arc<RequestBook>,
    pub(super) presence: Arc<PresenceBoard>,
    pub(super) choices: Arc<KeyChoices>,
    /// The local number of the system database `_sync`.
    pub(super) database: u32,
    /// The peers kept, until the actor has taken them.
    pub(super) peers: Mutex<Vec<PeerRecord>>,
}

impl Parts {
    fn rows(&self) -> Result<Rows, StoreError> {
        self.store.snapshot().map(Rows)
    }

    /// Looks up a database that is not the instance's own and that users want synced.
    fn served(&self, rows: &Rows, id: &DatabaseId) -> Result<Option<Held>, StoreError> {
        Ok(held(rows, id)?.filter(|held| self.is_served(held)))
    }

    fn is_served(&self, held: &Held) -> bool {
        !held.system && self.wanted.combined(&held.id).enabled
    }

    fn readable_by(
        &self,
        held: &Held,
        rows: &Rows,
        keys: &[PublicKey],
    ) -> Result<bool, StoreError> {
        let authority: Arc<Authority> = self.access.of(held, rows)?;
        Ok(authority.current().at(wall_millis()).may_read(keys))
    }

    fn submit(&self, job: Job) -> Result<(), HostError> {
        self.writer.submit(job).map_err(|_| HostError::Closed)
    }
}

impl Reads for Parts {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn database(&self, id: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError> {
        let held = self.served(&self.rows()?, id)?;
        Ok(held.map(|held| LocalDatabase { number: held.number, complete: held.complete }))
    }

    fn may_read(&self, id: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError> {
        let rows = self.rows()?;
        let Some(held) = self.served(&rows, id)? else { return Ok(false) };
        self.readable_by(&held, &rows, keys)
    }

    fn known_to(&self, keys: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError> {
        let rows = self.rows()?;
        let mut known = Vec::new();
        for held in
            all_held(&rows)?.into_iter().filter(|held| held.complete && self.is_served(held))
        {
            let authority = self.access.of(&held, &rows)?;
            let current = authority.current().at(wall_millis());
            if current.may_read(keys) || keys.iter().any(|key| current.ever_held(key)) {
                known.push(held.id);
            }
        }
        Ok(known)
    }

    fn taken_from(
        &self,
        id: &DatabaseId,
        keys: &[PublicKey],
    ) -> Result<Option<Vec<EntryId>>, StoreError> {
        let rows = self.rows()?;
        let Some(held) = self.served(&rows, id)? else { return Ok(None) };
        taken_from(&rows, held.number, &*self.access.of(&held, &rows)?, keys)
    }

    fn keys_for(&self, id: &DatabaseId, peer: &PublicKey) -> Result<Vec<SecretKey>, StoreError> {
        let rows = self.rows()?;
        let mut unlocked = self.key_ring.unlocked();
        if *id == NO_DATABASE {
            let chosen = self.choices.for_peer(peer);
            unlocked.retain(|key| chosen.is_empty() || chosen.contains(&key.public()));
        } else if let Some(chosen) = self.choices.get(id, peer) {
            unlocked.retain(|key| key.public() == chosen);
        }
        let invites = self.invites.secrets(id);
        // What is known here of who may read may be old, so that a key is asked with where none holds
        // anything, also where anyone may read.
        let clone = |key: &Arc<SecretKey>| SecretKey::clone(key);
        if let Some(held) = self.served(&rows, id)? {
            let authority = self.access.of(&held, &rows)?;
            let current = authority.current();
            let holders = unlocked.iter().filter(|key| current.ever_held(&key.public()));
            let holders: Vec<_> = invites.iter().chain(holders).map(clone).collect();
            if !holders.is_empty() {
                return Ok(holders);
            }
        }
        Ok(invites.iter().chain(&unlocked).take(KEYS_MAX).map(clone).collect())
    }

    fn listed(
        &self,
        keys: &[PublicKey],
        after: Option<DatabaseId>,
        limit: usize,
    ) -> Result<Vec<ListedDatabase>, StoreError> {
        let rows = self.rows()?;
        let mut behind = all_held(&rows)?;
        behind.retain(|held| held.complete && Some(held.id) > after && self.is_served(held));
        behind.sort_unstable_by_key(|held| held.id);
        let mut listed = Vec::new();
        for held in behind {
            if listed.len() == limit {
                break;
            }
            let authority = self.access.of(&held, &rows)?;
            if !authority.current().at(wall_millis()).may_read(keys) {
                continue;
            }
            let name = authority.current().setting(NAME).unwrap_or_default().to_owned();
            let head = Graph::new(&rows, held.number).head()?;
            let entries = head.map_or(0, |(_, head)| head.needed);
            listed.push(ListedDatabase { id: held.id, name, entries });
        }
        Ok(listed)
    }
}

/// Waits for the writer thread's answer.
async fn answered<T, E: Into<HostError>>(
    submitted: Result<(), HostError>,
    reply: Reply<Result<T, E>>,
) -> Result<T, HostError> {
    submitted?;
    match reply.await {
        Some(outcome) => outcome.map_err(Into::into),
        None => Err(HostError::Closed),
    }
}

impl Host for Parts {
    fn device(&self) -> SecretKey {
        SecretKey::clone(&self.device)
    }

    fn name(&self) -> String {
        // Users have names, devices have none yet.
        String::new()
    }

    fn wanted(&self) -> Result<Vec<DatabaseId>, HostError> {
        let held = all_held(&self.rows()?)?;
        let here = held.into_iter().filter(|held| self.is_served(held)).map(|held| held.id);
        // Users may want what is not here yet.
        let wanted: BTreeSet<_> = here.chain(self.wanted.enabled()).collect();
        Ok(wanted.into_iter().collect())
    }

    fn syncs(&self, database: &DatabaseId) -> bool {
        self.wanted.combined(database).enabled
    }

    fn round_every(&self, database: &DatabaseId, _usual: Duration) -> Option<Duration> {
        self.wanted.combined(database).interval
    }

    fn ingest(
        &self,
        from: PublicKey,
        database: DatabaseId,
        parcels: Vec<Verified>,
    ) -> BoxFuture<'static, Result<Vec<(EntryId, Verdict)>, HostError>> {
        let (answer, reply) = reply();
        let own = self.rows().and_then(|rows| held(&rows, &database));
        let submitted = match own {
            Ok(Some(held)) if held.system => Err(HostError::NotServed),
            Ok(_) => {
                let faults = BTreeMap::new();
                let take = Take { from, database, parcels, faults, answer };
                self.submit(Job::Take(Box::new(take)))
            }
            Err(error) => Err(error.into()),
        };
        Box::pin(answered(submitted, reply))
    }

    fn complete(&self, database: DatabaseId) -> BoxFuture<'static, Result<(), HostError>> {
        let (answer, reply) = reply();
        let submitted = self.submit(Job::Complete(Complete { database, answer }));
        Box::pin(answered(submitted, reply))
    }

    fn arrived(&self, database: DatabaseId) {
        self.settled(database);
    }

    fn settled(&self, database: DatabaseId) {
        if let Err(error) = self.invites.redeem_heard(database) {
            tracing::warn!(%error, "an invite could not be used yet: it is tried again");
        }
    }

    fn asked(&self, peer: PublicKey, from: &Address, request: &[u8]) -> RequestAnswer {
        self.requests.asked(&peer, &from.host(), request).unwrap_or_else(|error| {
            tracing::warn!(%error, "a request for access could not be kept");
            RequestAnswer::NotNow
        })
    }

    fn requests_to(&self, peer: &PublicKey) -> Vec<Vec<u8>> {
        self.requests.take_unsent(peer)
    }

    fn answered(
        &self,
        peer: PublicKey,
        request: RequestId,
        answer: RequestAnswer,
    ) -> Option<DatabaseId> {
        self.requests.answered(&peer, &request, answer).unwrap_or_else(|error| {
            tracing::warn!(%error, "an answer could not be kept: it is asked for again");
            None
        })
    }

    fn heard(&self, database: DatabaseId, message: Arc<PresenceMessage>) {
        self.presence.heard(database, message);
    }

    fn peers(&self) -> Result<Vec<PeerRecord>, HostError> {
        Ok(std::mem::take(&mut *self.peers.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn save_peer(&self, record: PeerRecord) -> BoxFuture<'static, Result<(), HostError>> {
        let (answer, reply) = reply();
        let submitted = self.store.snapshot().map_err(HostError::from).and_then(|rows| {
            let commit = peers::commit(rows, self.database, &self.device, &record);
            let commit = commit.map_err(|error| HostError::Other(Arc::new(error)))?;
            self.submit(Job::Make(Box::new(Make { commit, answer })))
        });
        Box::pin(async move {
            submitted?;
            match reply.await {
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => Err(HostError::Other(Arc::new(error))),
                None => Err(HostError::Closed),
            }
        })
    }

    fn remembered(&self) -> Result<Vec<(PublicKey, Vec<u8>)>, HostError> {
        Ok(notes::load(&*self.store.snapshot()?)?)
    }

    fn remember(
        &self,
        notes: Vec<(PublicKey, Vec<u8>)>,
    ) -> BoxFuture<'static, Result<(), HostError>> {
        let (answer, reply) = reply();
        let rows = notes::rows(notes);
        let submitted = self.submit(Job::Remember(Remember { rows, answer }));
        Box::pin(answered(submitted, reply))
    }
}

//! The uses of invites that are pending, and what became of those that were made.
//!
//! Invariant: a use survives restarts with the secret half sealed, until the invite was not needed or cannot
//! be used any more. One that was made keeps it too: until a peer has the entry that grants the key, the
//! invite is the only way to bring it there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use weald_crdt::Key;
use weald_dag::{DatabaseId, PublicKey, SecretKey};
use weald_engine::held;
use weald_transports::{AccessEvent, EventTeller};

use super::{InviteError, Seat, UseInvite};
use crate::access::Access;
use crate::clock::wall_millis;
use crate::core::Core;
use crate::database::Database;
use crate::desk::Job;
use crate::error::{Error, ReadError};
use crate::reply::reply;
use crate::rows::Rows;
use crate::sync::{SyncRows, waited};

const INVITES: &str = "invites";
const CONTEXT: &[u8] = b"weald 2026 pending invite v1";

/// A use at rest.
#[derive(Serialize, Deserialize)]
struct InviteRow {
    name: String,
    sealed: ByteBuf,
    /// Whether the entry that grants the key was made.
    taken: bool,
}

/// A use of an invite.
#[derive(Clone)]
struct Use {
    name: String,
    /// The secret half.
    secret: Arc<SecretKey>,
    /// Whether the entry that grants the key was made.
    taken: bool,
    /// The secret half as it rests.
    sealed: Vec<u8>,
}

/// Names a use: the database, the public half of the invite, and the key that is to hold what it gives.
type Place = (DatabaseId, PublicKey, PublicKey);

/// The uses of invites on this device.
pub(crate) struct InviteBook {
    rows: Arc<SyncRows>,
    access: Arc<Access>,
    uses: Mutex<BTreeMap<Place, Use>>,
    teller: OnceLock<EventTeller>,
}

impl fmt::Debug for InviteBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteBook").finish_non_exhaustive()
    }
}

impl InviteBook {
    /// Takes up what was kept; a use that cannot be read is left out.
    pub(crate) fn load(
        core: &Arc<Core>,
        database: &Database,
        rows: Arc<SyncRows>,
    ) -> Result<Self, Error> {
        let mut uses = BTreeMap::new();
        for row in database.table::<InviteRow>(INVITES)?.rows() {
            let read = match row {
                Ok((key, row)) => read_use(core, &key, row),
                Err(ReadError::Misfit(_)) => None,
                Err(error) => return Err(error.into()),
            };
            match read {
                Some((place, found)) => drop(uses.insert(place, found)),
                None => tracing::warn!("a pending invite cannot be read: it is left out"),
            }
        }
        let access = Arc::clone(&core.access);
        Ok(Self { rows, access, uses: Mutex::new(uses), teller: OnceLock::new() })
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<Place, Use>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the secret halves of the invites to a database, to be proven to peers.
    pub(crate) fn secrets(&self, database: &DatabaseId) -> Vec<Arc<SecretKey>> {
        let uses = self.uses();
        let of_database = uses.iter().filter(|((of, ..), _)| of == database);
        // One invite may be used for several keys of this device.
        let by_invite: BTreeMap<_, _> =
            of_database.map(|((_, invite, _), used)| (*invite, Arc::clone(&used.secret))).collect();
        by_invite.into_values().collect()
    }

    /// Keeps an invite to be used for a key as soon as the database is here.
    pub(crate) fn keep(
        &self,
        core: &Core,
        database: DatabaseId,
        invite: &SecretKey,
        (key, name): (PublicKey, &str),
    ) -> Result<(), Error> {
        let place = (database, invite.public(), key);
        if self.uses().contains_key(&place) {
            return Ok(());
        }
        let (name, secret) = (name.to_owned(), Arc::new(invite.clone()));
        let sealed = core.sealer.seal(invite, &context(&place))?;
        let used = Use { name, secret, taken: false, sealed };
        self.rows.put(INVITES, &row_key(&place), &row(&used))?;
        self.uses().insert(place, used);
        Ok(())
    }

    /// Uses the invites that wait for a database, if it is all here; returns why one gave nothing.
    ///
    /// It blocks until the entries are durable. Called again, or twice at once, it uses nothing twice.
    pub(crate) fn redeem(&self, database: DatabaseId) -> Result<Vec<InviteError>, Error> {
        self.redeem_those(database, self.pending(&database))
    }

    /// As [`redeem`](Self::redeem), but of an invite whose making has not been heard of here nothing is said yet.
    pub(crate) fn redeem_heard(&self, database: DatabaseId) -> Result<Vec<InviteError>, Error> {
        let mut pending = self.pending(&database);
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let rows = Rows(self.rows.snapshot()?);
        let Some(held) = held(&rows, &database)? else { return Ok(Vec::new()) };
        let authority = self.access.of(&held, &rows)?;
        pending.retain(|((_, invite, _), _)| authority.current().ever_held(invite));
        self.redeem_those(database, pending)
    }

    fn pending(&self, database: &DatabaseId) -> Vec<(Place, Use)> {
        let of_database = |(place, used): (&Place, &Use)| {
            (place.0 == *database && !used.taken).then(|| (*place, used.clone()))
        };
        self.uses().iter().filter_map(of_database).collect()
    }

    fn redeem_those(
        &self,
        database: DatabaseId,
        pending: Vec<(Place, Use)>,
    ) -> Result<Vec<InviteError>, Error> {
        let mut failed = Vec::new();
        for (place, used) in pending {
            match self.take_seat(&place, &used) {
                None => return Ok(failed),
                Some(Ok(Seat::Taken(_))) => {
                    let used = Use { taken: true, ..used };
                    self.rows.put(INVITES, &row_key(&place), &row(&used))?;
                    // Whoever was at it at the same time has told it.
                    if !self.uses().insert(place, used).is_some_and(|before| before.taken) {
                        self.tell(AccessEvent::Joined { database, key: place.2 });
                    }
                }
                Some(Ok(Seat::Held(_))) => self.forget(&place)?,
                Some(Err(InviteError::Commit(error))) => return Err(error.into()),
                Some(Err(error)) => {
                    self.forget(&place)?;
                    let reason = error.to_string();
                    self.tell(AccessEvent::InviteFailed { database, reason });
                    failed.push(error);
                }
            }
        }
        Ok(failed)
    }

    /// Takes the seat of one invite; `None` while the database is not all here.
    fn take_seat(&self, place: &Place, used: &Use) -> Option<Result<Seat, InviteError>> {
        let (database, _, key) = *place;
        let number = match self.number(database) {
            Ok(number) => number?,
            Err(error) => return Some(Err(error.into())),
        };
        let (name, invite) = (Some(used.name.clone()), Arc::clone(&used.secret));
        let (answer, reply) = reply();
        let job = UseInvite { number, database, invite, key, name, answer };
        let submitted = self.rows.submit(Job::UseInvite(Box::new(job)));
        Some(submitted.map_err(InviteError::from).and_then(|()| waited(reply)))
    }

    fn number(&self, database: DatabaseId) -> Result<Option<u32>, weald_dag::StoreError> {
        let held = held(&*self.rows.snapshot()?, &database)?;
        Ok(held.filter(|held| held.complete && !held.system).map(|held| held.number))
    }

    /// Gives up an invite that peers say gives nothing any more.
    pub(crate) fn give_up(&self, database: DatabaseId, invite: PublicKey) -> Result<(), Error> {
        let places: Vec<Place> = self.uses().keys().copied().collect();
        let of_invite = places.iter().filter(|place| (place.0, place.1) == (database, invite));
        of_invite.into_iter().try_for_each(|place| self.forget(place))
    }

    fn forget(&self, place: &Place) -> Result<(), Error> {
        self.rows.delete(INVITES, &row_key(place))?;
        self.uses().remove(place);
        Ok(())
    }

    /// Returns the databases for which an invite is still to be used.
    pub(crate) fn waiting(&self) -> Vec<DatabaseId> {
        let mut waiting: Vec<_> = self
            .uses()
            .iter()
            .filter(|(_, used)| !used.taken)
            .map(|((database, ..), _)| *database)
            .collect();
        waiting.dedup();
        waiting
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

    /// Looks whether keys that became members of a database by an invite hold no more than anyone now:
    /// another use counts before theirs, or it was taken away. It waits for nothing.
    pub(crate) fn look_for_fallen(&self, database: DatabaseId) {
        let Some(authority) = self.access.get(&database) else { return };
        let current = authority.current().at(wall_millis());
        let mut fallen = Vec::new();
        for (place, used) in &*self.uses() {
            let is_made = place.0 == database && used.taken;
            if is_made && current.level_of(&place.2) == current.anyone_level() {
                fallen.push(*place);
            }
        }
        for place in fallen {
            self.uses().remove(&place);
            self.rows.delete_soon(INVITES, &row_key(&place));
            self.tell(AccessEvent::Fell { database, key: place.2 });
        }
    }
}

/// What the sealed secret is bound to.
fn context((database, invite, key): &Place) -> Vec<u8> {
    [CONTEXT, database.as_bytes(), invite.as_bytes(), key.as_bytes()].concat()
}

fn row_key((database, invite, key): &Place) -> Key {
    let parts = [database.as_bytes(), invite.as_bytes(), key.as_bytes()];
    Key::Tuple(parts.into_iter().map(|part| Key::Bytes(part.to_vec())).collect())
}

fn row(used: &Use) -> InviteRow {
    let Use { name, taken, sealed, .. } = used;
    InviteRow { name: name.clone(), sealed: ByteBuf::from(sealed.clone()), taken: *taken }
}

fn read_use(core: &Core, key: &Key, row: InviteRow) -> Option<(Place, Use)> {
    let Key::Tuple(parts) = key else { return None };
    let [Key::Bytes(database), Key::Bytes(invite), Key::Bytes(key)] = parts.as_slice() else {
        return None;
    };
    let database = DatabaseId::from_bytes(database.as_slice().try_into().ok()?);
    let place = (database, public_key(invite)?, public_key(key)?);
    let secret = core.sealer.open(&row.sealed, &context(&place))?;
    let secret = Some(secret).filter(|secret| secret.public() == place.1)?;
    let (secret, sealed) = (Arc::new(secret), row.sealed.into_vec());
    Some((place, Use { name: row.name, secret, taken: row.taken, sealed }))
}

fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    PublicKey::from_bytes(bytes.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests;

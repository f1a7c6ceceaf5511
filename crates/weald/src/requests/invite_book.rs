//! The uses of invites that are pending, and what became of those that were made.
//!
//! Invariant: a pending use survives restarts with its secret half sealed, until the invite was used, was
//! not needed or cannot be used any more.

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
use crate::sync::{SyncRows, waited};

const INVITES: &str = "invites";
const CONTEXT: &[u8] = b"weald 2026 pending invite v1";

/// A use at rest: pending while it has its sealed secret, made once it has its entry.
#[derive(Serialize, Deserialize)]
struct InviteRow {
    name: String,
    key: ByteBuf,
    sealed: Option<ByteBuf>,
    /// Whether the key was a member by it.
    taken: bool,
}

/// A use of an invite.
#[derive(Clone)]
struct Use {
    key: PublicKey,
    name: String,
    /// The secret half, until the invite was used.
    secret: Option<Arc<SecretKey>>,
}

/// Names a use: the database, and the public half of the invite.
type Place = (DatabaseId, PublicKey);

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

    /// Returns the secret halves of the invites to a database that are still to be used, to be proven to
    /// peers.
    pub(crate) fn pending(&self, database: &DatabaseId) -> Vec<Arc<SecretKey>> {
        let uses = self.uses();
        let of_database = uses.iter().filter(|((of, _), _)| of == database);
        of_database.filter_map(|(_, used)| used.secret.clone()).collect()
    }

    /// Keeps an invite to be used for a key as soon as the database is here.
    pub(crate) fn keep(
        &self,
        core: &Core,
        database: DatabaseId,
        invite: &SecretKey,
        (key, name): (PublicKey, &str),
    ) -> Result<(), Error> {
        let place = (database, invite.public());
        if self.uses().get(&place).is_some_and(|used| used.key == key) {
            return Ok(());
        }
        let sealed = core.sealer.seal(invite, &context(&place, &key))?;
        let sealed = Some(ByteBuf::from(sealed));
        let row = row(&key, name, sealed, false);
        self.rows.put(INVITES, &row_key(&place), &row)?;
        let (name, secret) = (name.to_owned(), Some(Arc::new(invite.clone())));
        self.uses().insert(place, Use { key, name, secret });
        Ok(())
    }

    /// Uses the invites that wait for a database, if it is all here; returns why one gave nothing.
    ///
    /// It blocks until the entries are durable. Called again, or twice at once, it uses nothing twice.
    pub(crate) fn redeem(&self, database: DatabaseId) -> Result<Vec<InviteError>, Error> {
        let of_database = |(place, used): (&Place, &Use)| {
            let secret = used.secret.clone().filter(|_| place.0 == database)?;
            Some((*place, used.clone(), secret))
        };
        let pending: Vec<_> = self.uses().iter().filter_map(of_database).collect();
        let mut failed = Vec::new();
        for (place, used, secret) in pending {
            match self.take_seat(database, &used, secret) {
                None => return Ok(failed),
                Some(Ok(Seat::Taken(_))) => {
                    let row = row(&used.key, &used.name, None, true);
                    self.rows.put(INVITES, &row_key(&place), &row)?;
                    let key = used.key;
                    self.uses().insert(place, Use { secret: None, ..used });
                    self.tell(AccessEvent::Joined { database, key });
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
    fn take_seat(
        &self,
        database: DatabaseId,
        used: &Use,
        invite: Arc<SecretKey>,
    ) -> Option<Result<Seat, InviteError>> {
        let number = match self.number(database) {
            Ok(number) => number?,
            Err(error) => return Some(Err(error.into())),
        };
        let (key, name) = (used.key, Some(used.name.clone()));
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
        self.forget(&(database, invite))
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
            .filter(|(_, used)| used.secret.is_some())
            .map(|((database, _), _)| *database)
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
            let is_made = place.0 == database && used.secret.is_none();
            if is_made && current.level_of(&used.key) == current.anyone_level() {
                fallen.push((*place, used.key));
            }
        }
        for (place, key) in fallen {
            self.uses().remove(&place);
            self.rows.delete_soon(INVITES, &row_key(&place));
            self.tell(AccessEvent::Fell { database, key });
        }
    }
}

/// What the sealed secret is bound to.
fn context((database, invite): &Place, key: &PublicKey) -> Vec<u8> {
    [CONTEXT, database.as_bytes(), invite.as_bytes(), key.as_bytes()].concat()
}

fn row_key((database, invite): &Place) -> Key {
    let parts = [database.as_bytes(), invite.as_bytes()];
    Key::Tuple(parts.into_iter().map(|part| Key::Bytes(part.to_vec())).collect())
}

fn row(key: &PublicKey, name: &str, sealed: Option<ByteBuf>, taken: bool) -> InviteRow {
    InviteRow { name: name.to_owned(), key: ByteBuf::from(*key.as_bytes()), sealed, taken }
}

fn read_use(core: &Core, key: &Key, row: InviteRow) -> Option<(Place, Use)> {
    let Key::Tuple(parts) = key else { return None };
    let [Key::Bytes(database), Key::Bytes(invite)] = parts.as_slice() else { return None };
    let database = DatabaseId::from_bytes(database.as_slice().try_into().ok()?);
    let place = (database, public_key(invite)?);
    let key = public_key(&row.key)?;
    let secret = match row.sealed {
        Some(sealed) => {
            let secret = core.sealer.open(&sealed, &context(&place, &key))?;
            Some(Arc::new(Some(secret).filter(|secret| secret.public() == place.1)?))
        }
        None if row.taken => None,
        None => return None,
    };
    Some((place, Use { key, name: row.name, secret }))
}

fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    PublicKey::from_bytes(bytes.try_into().ok()?).ok()
}

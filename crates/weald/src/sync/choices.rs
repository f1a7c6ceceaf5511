//! Which key of this device is proven to which peer for a database, where the app has chosen one.
//!
//! Invariant: where a key was chosen no other key of a user is proven there, also after restarts and while it
//! is locked; to see what a peer offers none but those chosen for it are, where any were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use weald_crdt::Key;
use weald_dag::{DatabaseId, PublicKey};

use super::rows::SyncRows;
use crate::database::Database;
use crate::error::{Error, ReadError};

const CHOICES: &str = "key_choices";

#[derive(Serialize, Deserialize)]
struct ChoiceRow {
    key: ByteBuf,
}

type Place = (DatabaseId, PublicKey);

/// The keys chosen.
pub(super) struct KeyChoices {
    rows: Arc<SyncRows>,
    chosen: RwLock<BTreeMap<Place, PublicKey>>,
    /// Held while a choice is written, so that what is in memory is what rests.
    changing: Mutex<()>,
}

impl KeyChoices {
    /// Takes up what was kept; a row that cannot be read is left out.
    pub(super) fn load(database: &Database, rows: Arc<SyncRows>) -> Result<Self, Error> {
        let mut chosen = BTreeMap::new();
        for row in database.table::<ChoiceRow>(CHOICES)?.rows() {
            let read = match row {
                Ok((key, row)) => place(&key).zip(public_key(&row.key)),
                Err(ReadError::Misfit(_)) => None,
                Err(error) => return Err(error.into()),
            };
            match read {
                Some((place, key)) => drop(chosen.insert(place, key)),
                None => tracing::warn!("which key is proven to a peer cannot be read"),
            }
        }
        Ok(Self { rows, chosen: RwLock::new(chosen), changing: Mutex::new(()) })
    }

    /// Returns the key that alone is proven to a peer for a database; `None` where none was chosen.
    pub(super) fn get(&self, database: &DatabaseId, peer: &PublicKey) -> Option<PublicKey> {
        let chosen = self.chosen.read().unwrap_or_else(PoisonError::into_inner);
        chosen.get(&(*database, *peer)).copied()
    }

    /// Returns the keys that were chosen for a peer, for whatever database.
    pub(super) fn for_peer(&self, peer: &PublicKey) -> Vec<PublicKey> {
        let chosen = self.chosen.read().unwrap_or_else(PoisonError::into_inner);
        let of_peer = chosen.iter().filter(|((_, of), _)| of == peer);
        of_peer.map(|(_, key)| *key).collect()
    }

    /// Chooses a key, or with `None` takes the choice back. It blocks until that is durable.
    pub(super) fn set(
        &self,
        database: DatabaseId,
        peer: PublicKey,
        key: Option<PublicKey>,
    ) -> Result<(), Error> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.get(&database, &peer) == key {
            return Ok(());
        }
        let place = (database, peer);
        match key {
            Some(key) => {
                let row = ChoiceRow { key: ByteBuf::from(*key.as_bytes()) };
                self.rows.put(CHOICES, &row_key(&place), &row)?;
            }
            None => self.rows.delete(CHOICES, &row_key(&place))?,
        }
        let mut chosen = self.chosen.write().unwrap_or_else(PoisonError::into_inner);
        match key {
            Some(key) => chosen.insert(place, key),
            None => chosen.remove(&place),
        };
        Ok(())
    }
}

fn row_key((database, peer): &Place) -> Key {
    Key::Tuple(vec![Key::Bytes(database.as_bytes().to_vec()), Key::Bytes(peer.as_bytes().to_vec())])
}

fn place(key: &Key) -> Option<Place> {
    let Key::Tuple(parts) = key else { return None };
    let [Key::Bytes(database), Key::Bytes(peer)] = parts.as_slice() else { return None };
    let database = database.as_slice().try_into().ok().map(DatabaseId::from_bytes)?;
    Some((database, public_key(peer)?))
}

fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    PublicKey::from_bytes(bytes.try_into().ok()?).ok()
}

//! Peers at rest: rows of the system database `_sync`, written when a fact changes and never for a sync alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use weald_crdt::{DraftError, Key, TableDraft, TableType, Value};
use weald_dag::{DatabaseId, Overlay, PublicKey, SecretKey, Snapshot};
use weald_engine::{Commit, StorePlace, StoreViewMut};
use weald_transports::PeerRecord;

use crate::database::Database;
use crate::error::{Error, ReadError};

const PEERS: &str = "peers";

#[derive(Serialize, Deserialize)]
struct PeerRow {
    name: String,
    addresses: Vec<String>,
    databases: Vec<ByteBuf>,
}

/// Reads the peers kept; rows and addresses that this build cannot read are left out.
pub(super) fn load(database: &Database) -> Result<Vec<PeerRecord>, Error> {
    let mut records = Vec::new();
    for row in database.table::<PeerRow>(PEERS)?.rows() {
        let (key, row) = match row {
            Ok((Key::Bytes(key), row)) => (key, row),
            Ok(_) => continue,
            Err(ReadError::Misfit(error)) => {
                tracing::warn!(%error, "what was kept of a peer cannot be read: it is left out");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let key = key.as_slice().try_into().ok().and_then(|key| PublicKey::from_bytes(key).ok());
        let Some(key) = key else { continue };
        let mut record = PeerRecord::new(key);
        record.name = row.name;
        record.addresses = row.addresses.iter().filter_map(|at| at.parse().ok()).collect();
        let ids = row.databases.iter().filter_map(|id| id.as_slice().try_into().ok());
        record.databases = ids.map(DatabaseId::from_bytes).collect();
        records.push(record);
    }
    Ok(records)
}

/// Makes the commit that keeps a peer in place of what was kept of it before.
pub(super) fn commit(
    rows: Arc<dyn Snapshot>,
    database: u32,
    device: &Arc<SecretKey>,
    record: &PeerRecord,
) -> Result<Commit, DraftError> {
    let row = PeerRow {
        name: record.name.clone(),
        addresses: record.addresses.iter().map(ToString::to_string).collect(),
        databases: record.databases.iter().map(|id| ByteBuf::from(*id.as_bytes())).collect(),
    };
    let value = Value::from_serde(&row)?;
    let mut staged = Overlay::new(rows);
    let place = StorePlace::new(database, PEERS, TableType::NAME);
    let mut draft = TableDraft::new();
    let key = Key::Bytes(record.key.as_bytes().to_vec());
    draft.put(&mut StoreViewMut::new(&mut staged, place), &key, &value)?;
    let sections = vec![(PEERS.to_owned(), draft.encode())];
    Ok(Commit { database, key: Arc::clone(device), sections, required: Vec::new() })
}

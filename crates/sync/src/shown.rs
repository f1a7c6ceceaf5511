//! The settings entries that show a peer what took its access, in the form of a batch.
//!
//! Invariant: they carry no data, and of too many the last stay, which are the limits themselves.

use serde_bytes::ByteBuf;
use weald_dag::{DatabaseId, Graph, Parcel, PublicKey, StoreError};

use crate::batch::RawParcels;
use crate::close::PeerFault;
use crate::limits::SHOWN_MAX_BYTES;
use crate::reads::Reads;

/// What a parcel takes beside body, signature and payloads, at most, in bytes.
const FRAME_BYTES: usize = 64;

/// Packs what took a database from these keys.
pub(crate) fn pack(
    database: &DatabaseId,
    keys: &[PublicKey],
    reads: &dyn Reads,
) -> Result<ByteBuf, StoreError> {
    let taken = reads.taken_from(database, keys)?.unwrap_or_default();
    let Some(local) = reads.database(database)? else {
        return Ok(ByteBuf::new());
    };
    let rows = reads.snapshot()?;
    let graph = Graph::new(&*rows, local.number);
    let (mut room, mut parcels) = (SHOWN_MAX_BYTES, Vec::new());
    for number in graph.numbers(&taken)?.into_iter().rev() {
        let parcel = graph.stored(number)?.parcel;
        let Some(left) = room.checked_sub(parcel.bytes() + FRAME_BYTES) else {
            break;
        };
        room = left;
        parcels.push(parcel);
    }
    parcels.reverse();
    Ok(ByteBuf::from(RawParcels::pack(&parcels).into_bytes()))
}

/// Reads what a peer shows; entries of a newer format are left out.
pub(crate) fn unpack(shown: &[u8]) -> Result<Vec<Parcel>, PeerFault> {
    Ok(RawParcels::of(shown.to_vec()).unpack()?.parcels)
}

//! A batch of entries on the wire: name, number, whether live, then the parcels with their lengths.
//!
//! Invariant: the bytes as they came are kept until the verdicts are known, so that a parcel that
//! must wait for parents can be read again; nothing is copied for the others.

use serde_bytes::ByteArray;
use weald_dag::limits::ENTRY_MAX;
use weald_dag::{EntryError, EntryId, Parcel, ParcelError};

use crate::close::PeerFault;
use crate::limits::BATCH_BYTES;
use crate::message::start_entries;
use crate::naming::{NAME_LEN, Name};

const LIVE: u8 = 1;
const LENGTH_LEN: usize = 4;
/// A parcel is an entry within its limit and the lengths around body and payloads.
const PARCEL_MAX: usize = ENTRY_MAX + (1 << 12);

/// A batch of entries as it came.
#[derive(Debug)]
pub(crate) struct EntryBatch {
    pub(crate) name: Name,
    pub(crate) number: u64,
    pub(crate) live: bool,
    pub(crate) raw: RawParcels,
}

/// Parcels with their lengths, in the bytes of their message.
#[derive(Debug)]
pub(crate) struct RawParcels {
    bytes: Vec<u8>,
    from: usize,
}

/// Parcels that were read, and how many could not be because of a newer format.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) newer: u64,
}

impl EntryBatch {
    pub(crate) fn decode(bytes: Vec<u8>, at: usize) -> Result<Self, PeerFault> {
        const GARBLED: PeerFault = PeerFault::Garbled { what: "a batch of entries" };
        let head = bytes.get(at..).unwrap_or_default();
        let (name, rest) = head.split_first_chunk::<NAME_LEN>().ok_or(GARBLED)?;
        let (number, rest) = rest.split_first_chunk::<8>().ok_or(GARBLED)?;
        let (flags, rest) = rest.split_first().ok_or(GARBLED)?;
        if flags & !LIVE != 0 {
            return Err(GARBLED);
        }
        Ok(Self {
            name: Name(ByteArray::new(*name)),
            number: u64::from_be_bytes(*number),
            live: flags & LIVE != 0,
            raw: RawParcels { from: bytes.len() - rest.len(), bytes },
        })
    }
}

impl RawParcels {
    /// Packs parcels that were read before.
    pub(crate) fn pack(parcels: &[Parcel]) -> Self {
        let mut bytes = Vec::new();
        parcels.iter().for_each(|parcel| put_parcel(&mut bytes, parcel));
        Self { bytes, from: 0 }
    }

    /// Takes the bytes of packed parcels.
    pub(crate) const fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, from: 0 }
    }

    /// Gives away the bytes of parcels that were packed here.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns how many bytes they take.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reads all parcels; those of a newer format are left out.
    pub(crate) fn unpack(&self) -> Result<Unpacked, PeerFault> {
        let mut rest = self.bytes.get(self.from..).unwrap_or_default();
        let mut unpacked = Unpacked::default();
        while !rest.is_empty() {
            match take_parcel(&mut rest)? {
                Some(parcel) => unpacked.parcels.push(parcel),
                None => unpacked.newer += 1,
            }
        }
        Ok(unpacked)
    }

    /// Reads those parcels again whose ids are asked for.
    pub(crate) fn find(&self, wanted: &dyn Fn(&EntryId) -> bool) -> Vec<Parcel> {
        let parcels = self.unpack().map(|unpacked| unpacked.parcels).unwrap_or_default();
        parcels.into_iter().filter(|parcel| wanted(&parcel.entry.id())).collect()
    }
}

fn take_parcel(rest: &mut &[u8]) -> Result<Option<Parcel>, PeerFault> {
    const GARBLED: PeerFault = PeerFault::Garbled { what: "a batch of entries" };
    let (length, after) = rest.split_first_chunk::<LENGTH_LEN>().ok_or(GARBLED)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > PARCEL_MAX {
        return Err(PeerFault::TooLong { what: "an entry", found: length, limit: PARCEL_MAX });
    }
    let (mut parcel, after) = after.split_at_checked(length).ok_or(GARBLED)?;
    *rest = after;
    match Parcel::decode(&mut parcel) {
        Ok(read) if parcel.is_empty() => Ok(Some(read)),
        Ok(_) => Err(GARBLED),
        Err(ParcelError::Entry(EntryError::NewerVersion { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn put_parcel(bytes: &mut Vec<u8>, parcel: &Parcel) {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; LENGTH_LEN]);
    parcel.encode(bytes);
    let length = u32::try_from(bytes.len() - at - LENGTH_LEN).unwrap_or(u32::MAX);
    if let Some(place) = bytes.get_mut(at..at + LENGTH_LEN) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Gathers parcels for one batch.
#[derive(Debug)]
pub(crate) struct Packer {
    message: Vec<u8>,
    entries: u64,
}

impl Packer {
    pub(crate) fn new(name: Name, number: u64, live: bool) -> Self {
        let mut message = start_entries();
        message.extend_from_slice(name.0.as_slice());
        message.extend_from_slice(&number.to_be_bytes());
        message.push(if live { LIVE } else { 0 });
        Self { message, entries: 0 }
    }

    pub(crate) fn push(&mut self, parcel: &Parcel) {
        put_parcel(&mut self.message, parcel);
        self.entries += 1;
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.message.len() >= BATCH_BYTES
    }

    pub(crate) const fn entries(&self) -> u64 {
        self.entries
    }

    pub(crate) fn into_message(self) -> Vec<u8> {
        self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weald_dag::{Fields, SecretKey, Section, Time, Verified};

    fn parcels() -> Vec<Parcel> {
        let key = SecretKey::from_seed(&[1; 32]);
        let parcel = |n: u8| {
            let payload = vec![n; 100];
            let fields = Fields {
                parents: vec![],
                time: Time::from_millis(1_800_000_000_000),
                author: key.public(),
                seq: 0,
                sections: vec![Section::of("log", &payload)],
                nonce: Some([n; 16]),
            };
            Verified::sign(fields, vec![payload], &key).unwrap().into_parcel()
        };
        (0..3).map(parcel).collect()
    }

    fn message(parcels: &[Parcel]) -> Vec<u8> {
        let mut packer = Packer::new(Name(ByteArray::new([9; NAME_LEN])), 7, true);
        parcels.iter().for_each(|parcel| packer.push(parcel));
        packer.into_message()
    }

    #[test]
    fn a_batch_reads_back() {
        let parcels = parcels();
        let batch = EntryBatch::decode(message(&parcels), 1).unwrap();
        assert_eq!((batch.number, batch.live), (7, true));
        assert_eq!(batch.raw.unpack().unwrap().parcels, parcels);
        let second = parcels[1].entry.id();
        assert_eq!(batch.raw.find(&|id| *id == second), parcels[1..2]);
        assert_eq!(RawParcels::pack(&parcels).unpack().unwrap().parcels, parcels);
    }

    #[test]
    fn entries_of_a_newer_format_are_left_out_and_counted() {
        let parcels = parcels();
        let mut bytes = message(&parcels);
        let body = parcels[1].entry.body();
        let at = bytes.windows(body.len()).position(|window| window == body).unwrap();
        assert_eq!(bytes[at + 1], 1, "the version comes first");
        bytes[at + 1] = 2;
        let unpacked = EntryBatch::decode(bytes, 1).unwrap().raw.unpack().unwrap();
        assert_eq!(unpacked.newer, 1);
        assert_eq!(unpacked.parcels, [parcels[0].clone(), parcels[2].clone()]);
    }

    #[test]
    fn a_batch_that_is_cut_is_refused() {
        let bytes = message(&parcels());
        for length in 1..bytes.len() {
            let batch = EntryBatch::decode(bytes[..length].to_vec(), 1);
            let read = batch.and_then(|batch| batch.raw.unpack());
            assert!(!read.is_ok_and(|unpacked| unpacked.parcels.len() == 3), "{length}");
        }
    }
}

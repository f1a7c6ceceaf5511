//! A batch of entries on the wire: name, number, how many are still to come, whether live and whether the
//! last of a round, then the parcels with their lengths.
//!
//! Invariant: the bytes as they came are kept until the verdicts are known, so that a parcel that
//! must wait for parents can be read again; nothing is copied for the others.

use serde_bytes::ByteArray;
use weald_dag::limits::ENTRY_MAX;
use weald_dag::{EntryError, EntryId, Parcel, ParcelError};

use crate::close::PeerFault;
use crate::limits::BATCH_BYTES;
use crate::naming::{NAME_LEN, Name};
use crate::varint;

const LIVE: u8 = 1;
const LAST: u8 = 2;
/// A parcel is an entry within its limit and the lengths around body and payloads.
const PARCEL_MAX: usize = ENTRY_MAX + (1 << 12);

/// A batch of entries as it came.
#[derive(Debug)]
pub(crate) struct EntryBatch {
    pub(crate) name: Name,
    pub(crate) number: u64,
    pub(crate) live: bool,
    /// Whether it is the last of what a round sends.
    pub(crate) last: bool,
    /// How many entries are to come after it, as far as was known when it was packed.
    pub(crate) left: u64,
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
        let (flags, mut rest) = rest.split_first().ok_or(GARBLED)?;
        let number = varint::take(&mut rest).ok_or(GARBLED)?;
        let left = varint::take(&mut rest).ok_or(GARBLED)?;
        if flags & !(LIVE | LAST) != 0 || flags & (LIVE | LAST) == LIVE | LAST {
            return Err(GARBLED);
        }
        Ok(Self {
            name: Name(ByteArray::new(*name)),
            number,
            live: flags & LIVE != 0,
            last: flags & LAST != 0,
            left,
            raw: RawParcels { from: bytes.len() - rest.len(), bytes },
        })
    }
}

impl RawParcels {
    /// Packs parcels that were read before.
    pub(crate) fn pack(parcels: &[Parcel]) -> Self {
        let mut bytes = Vec::new();
        let mut scratch = Vec::new();
        parcels.iter().for_each(|parcel| put_parcel(&mut bytes, parcel, &mut scratch));
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

    /// Returns whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.from >= self.bytes.len()
    }

    /// Returns how many bytes they hold in memory.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns how many bytes the parcels take with their lengths.
    pub(crate) const fn parcel_bytes(&self) -> usize {
        self.bytes.len() - self.from
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
    let length = varint::take(rest).ok_or(GARBLED)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > PARCEL_MAX {
        return Err(PeerFault::TooLong { what: "an entry", found: length, limit: PARCEL_MAX });
    }
    let (mut parcel, after) = rest.split_at_checked(length).ok_or(GARBLED)?;
    *rest = after;
    match Parcel::decode(&mut parcel) {
        Ok(read) if parcel.is_empty() => Ok(Some(read)),
        Ok(_) => Err(GARBLED),
        Err(ParcelError::Entry(EntryError::NewerVersion { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn put_parcel(bytes: &mut Vec<u8>, parcel: &Parcel, scratch: &mut Vec<u8>) {
    scratch.clear();
    parcel.encode(scratch);
    varint::put(bytes, scratch.len() as u64);
    bytes.extend_from_slice(scratch);
}

/// Gathers parcels for one batch.
#[derive(Debug)]
pub(crate) struct Packer {
    name: Name,
    number: u64,
    parcels: Vec<u8>,
    scratch: Vec<u8>,
    entries: u64,
}

/// What a batch is beside its parcels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Entries that go between rounds.
    Live,
    /// A part of what was asked for or what a round sends.
    Part,
    /// The last part of what a round sends.
    Last,
}

impl Packer {
    pub(crate) const fn new(name: Name, number: u64) -> Self {
        Self { name, number, parcels: Vec::new(), scratch: Vec::new(), entries: 0 }
    }

    pub(crate) fn push(&mut self, parcel: &Parcel) {
        put_parcel(&mut self.parcels, parcel, &mut self.scratch);
        self.entries += 1;
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.parcels.len() >= BATCH_BYTES
    }

    pub(crate) const fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns how many bytes the parcels take with their lengths.
    pub(crate) const fn parcel_bytes(&self) -> usize {
        self.parcels.len()
    }

    /// Returns the batch; `left` more entries are to come after it.
    pub(crate) fn finish(self, kind: Kind, left: u64) -> Vec<u8> {
        let mut batch = Vec::with_capacity(self.parcels.len() + NAME_LEN + 1 + 2 * varint::LEN_MAX);
        batch.extend_from_slice(self.name.0.as_slice());
        batch.push(match kind {
            Kind::Live => LIVE,
            Kind::Part => 0,
            Kind::Last => LAST,
        });
        varint::put(&mut batch, self.number);
        varint::put(&mut batch, left);
        batch.extend_from_slice(&self.parcels);
        batch
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
        let mut packer = Packer::new(Name(ByteArray::new([9; NAME_LEN])), 7);
        parcels.iter().for_each(|parcel| packer.push(parcel));
        packer.finish(Kind::Live, 300)
    }

    #[test]
    fn a_batch_reads_back() {
        let parcels = parcels();
        let batch = EntryBatch::decode(message(&parcels), 0).unwrap();
        assert_eq!((batch.number, batch.live, batch.last, batch.left), (7, true, false, 300));
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
        let unpacked = EntryBatch::decode(bytes, 0).unwrap().raw.unpack().unwrap();
        assert_eq!(unpacked.newer, 1);
        assert_eq!(unpacked.parcels, [parcels[0].clone(), parcels[2].clone()]);
    }

    #[test]
    fn a_batch_that_is_cut_is_refused() {
        let bytes = message(&parcels());
        for length in 1..bytes.len() {
            let batch = EntryBatch::decode(bytes[..length].to_vec(), 0);
            let read = batch.and_then(|batch| batch.raw.unpack());
            assert!(!read.is_ok_and(|unpacked| unpacked.parcels.len() == 3), "{length}");
        }
    }
}

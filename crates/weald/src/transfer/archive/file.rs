//! The bytes of an archive: a header, blocks of parcels packed by LZ4, a closing line.
//!
//! Invariant: after each part stands the BLAKE3 hash of all bytes before it, so nothing is unpacked
//! that is not what was written, and an end that is missing is seen.
//!
//! ```text
//! header   "WEALDARC", version u16, database id, count of entries u64; hash
//! block    1, length u32, packed length u32, packed parcels; hash
//! closing  0, count of entries u64; hash
//! ```
//! Numbers are little-endian; a parcel has the form that it has between peers.

use std::io::{self, BufReader, ErrorKind, Read, Write};

use weald_dag::limits::ENTRY_MAX;
use weald_dag::{DatabaseId, ID_LEN, Parcel};

use super::error::ArchiveError;

/// From how many bytes of entries on a block of an archive is closed, before packing.
pub const ARCHIVE_BLOCK_BYTES: usize = 256 << 10;

const MAGIC: &[u8; 8] = b"WEALDARC";
const VERSION: u16 = 1;
const CLOSING: u8 = 0;
const BLOCK: u8 = 1;
const HASH_LEN: usize = 32;
/// A block that was not full and one more parcel, with the lengths around body and payloads.
const BLOCK_MAX: usize = ARCHIVE_BLOCK_BYTES + ENTRY_MAX + (4 << 10);
const READ_BUFFER: usize = 64 << 10;

/// What an archive says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) database: DatabaseId,
    pub(super) entries: u64,
}

/// A part of an archive after the header.
#[derive(Debug)]
pub(super) enum Part {
    /// Parcels, one after the other.
    Block(Vec<u8>),
    /// The end, and how many entries there were.
    Closing(u64),
}

/// Writes the parts of an archive.
pub(super) struct Outgoing<W> {
    writer: W,
    hasher: blake3::Hasher,
    pub(super) bytes: u64,
}

impl<W: Write> Outgoing<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    pub(super) fn header(&mut self, header: &Header) -> io::Result<()> {
        let mut part = MAGIC.to_vec();
        part.extend_from_slice(&VERSION.to_le_bytes());
        part.extend_from_slice(header.database.as_bytes());
        part.extend_from_slice(&header.entries.to_le_bytes());
        self.part(part)
    }

    pub(super) fn block(&mut self, parcels: &[u8]) -> io::Result<()> {
        let packed = lz4_flex::block::compress(parcels);
        let mut part = vec![BLOCK];
        part.extend_from_slice(&length_of(parcels)?.to_le_bytes());
        part.extend_from_slice(&length_of(&packed)?.to_le_bytes());
        part.extend_from_slice(&packed);
        self.part(part)
    }

    pub(super) fn closing(&mut self, entries: u64) -> io::Result<()> {
        let mut part = vec![CLOSING];
        part.extend_from_slice(&entries.to_le_bytes());
        self.part(part)?;
        self.writer.flush()
    }

    /// Writes a part, and the hash of everything so far.
    fn part(&mut self, mut part: Vec<u8>) -> io::Result<()> {
        self.hasher.update(&part);
        let hash = self.hasher.finalize();
        self.hasher.update(hash.as_bytes());
        part.extend_from_slice(hash.as_bytes());
        self.writer.write_all(&part)?;
        self.bytes += part.len() as u64;
        Ok(())
    }
}

fn length_of(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| io::Error::from(ErrorKind::InvalidInput))
}

/// Reads the parts of an archive.
pub(super) struct Incoming<R> {
    reader: BufReader<R>,
    hasher: blake3::Hasher,
    pub(super) bytes: u64,
}

impl<R: Read> Incoming<R> {
    pub(super) fn new(reader: R) -> Self {
        let reader = BufReader::with_capacity(READ_BUFFER, reader);
        Self { reader, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    pub(super) fn header(&mut self) -> Result<Header, ArchiveError> {
        let magic = self.array::<8>().map_err(|error| match error {
            ArchiveError::Truncated => ArchiveError::NotAnArchive,
            other => other,
        })?;
        if magic != *MAGIC {
            return Err(ArchiveError::NotAnArchive);
        }
        let version = u16::from_le_bytes(self.array()?);
        if version > VERSION {
            return Err(ArchiveError::NewerVersion { found: version });
        }
        let database = DatabaseId::from_bytes(self.array::<ID_LEN>()?);
        let entries = u64::from_le_bytes(self.array()?);
        self.hash()?;
        if version != VERSION {
            return Err(self.damaged());
        }
        Ok(Header { database, entries })
    }

    pub(super) fn part(&mut self) -> Result<Part, ArchiveError> {
        match self.array::<1>()? {
            [BLOCK] => self.block().map(Part::Block),
            [CLOSING] => {
                let entries = u64::from_le_bytes(self.array()?);
                self.hash()?;
                self.end()?;
                Ok(Part::Closing(entries))
            }
            _ => Err(self.damaged()),
        }
    }

    fn block(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let length = self.length(BLOCK_MAX)?;
        let packed = self.length(lz4_flex::block::get_maximum_output_size(length))?;
        let mut bytes = vec![0; packed];
        self.fill(&mut bytes)?;
        self.hash()?;
        match lz4_flex::block::decompress(&bytes, length) {
            Ok(parcels) if parcels.len() == length => Ok(parcels),
            _ => Err(self.damaged()),
        }
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<(), ArchiveError> {
        let mut rest = [0];
        match self.reader.read_exact(&mut rest) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(ArchiveError::Read(error)),
            Ok(()) => Err(ArchiveError::Trailing),
        }
    }

    fn length(&mut self, limit: usize) -> Result<usize, ArchiveError> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        if length > limit { Err(self.damaged()) } else { Ok(length) }
    }

    fn hash(&mut self) -> Result<(), ArchiveError> {
        let expected = self.hasher.finalize();
        let found = self.array::<HASH_LEN>()?;
        if expected == found { Ok(()) } else { Err(self.damaged()) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ArchiveError::Truncated,
            _ => ArchiveError::Read(error),
        })?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    const fn damaged(&self) -> ArchiveError {
        ArchiveError::Damaged { at: self.bytes }
    }
}

/// Reads the parcels of a block.
pub(super) fn parcels(mut block: &[u8]) -> Result<Vec<Parcel>, ArchiveError> {
    let mut parcels = Vec::new();
    while !block.is_empty() {
        parcels.push(Parcel::decode(&mut block)?);
    }
    Ok(parcels)
}

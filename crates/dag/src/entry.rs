//! An entry's body: what is hashed into its id and signed.
//!
//! Invariant: an [`Entry`] was decoded from canonical bytes within the limits, keeps those bytes,
//! and its id is their hash. Whether its author signed it is another type's business.

use std::sync::{Arc, LazyLock};

use thiserror::Error;

use crate::cbor::{CodingError, Reader, Writer};
use crate::id::{DatabaseId, EntryId};
use crate::key::{KeyError, PublicKey};
use crate::limits::{
    BODY_MAX, ENTRY_MAX, FORMAT_VERSION, PARENTS_MAX, PAYLOAD_MAX, SECTIONS_MAX, STORE_NAME_MAX,
};
use crate::time::Time;

/// Length of the random bytes that make a root entry unlike any other.
pub const NONCE_LEN: usize = 16;
/// How many fields a body of version 1 has.
const FIELDS: usize = 7;

/// The hasher of ids, prepared once: cloning it is cheaper than deriving the context's key again.
static ID_HASHER: LazyLock<blake3::Hasher> =
    LazyLock::new(|| blake3::Hasher::new_derive_key("weald 2026 entry v1"));

/// What an entry says of its operations on one store: where they go, their hash and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Name of the store.
    pub store: String,
    /// BLAKE3 of the payload.
    pub hash: [u8; 32],
    /// Length of the payload in bytes.
    pub length: u64,
}

impl Section {
    /// Describes `payload` for the store `store`.
    pub fn of(store: impl Into<String>, payload: &[u8]) -> Self {
        let hash = *blake3::hash(payload).as_bytes();
        Self { store: store.into(), hash, length: payload.len() as u64 }
    }

    /// Returns whether `payload` is what the section names.
    pub fn is_of(&self, payload: &[u8]) -> bool {
        self.length == payload.len() as u64 && self.hash == *blake3::hash(payload).as_bytes()
    }
}

/// The fields of a body before it is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Ids of the entries before it, strictly ascending; empty for a root entry only.
    pub parents: Vec<EntryId>,
    /// When it was made.
    pub time: Time,
    /// Who signs it.
    pub author: PublicKey,
    /// The author's own count of its entries in this database; a hint.
    pub seq: u64,
    /// One for each store it touches, strictly ascending by name.
    pub sections: Vec<Section>,
    /// Random bytes in a root entry, `None` otherwise.
    pub nonce: Option<[u8; NONCE_LEN]>,
}

/// Why bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes are not canonical.
    #[error("the entry is not in canonical form: {0}")]
    Coding(#[from] CodingError),
    /// A newer format.
    #[error(
        "the entry has format version {found}, this build reads {FORMAT_VERSION}; update to read it"
    )]
    NewerVersion {
        /// The version that the entry names.
        found: u64,
    },
    /// More of something than the format allows.
    #[error("the entry has {found} {what}, the limit is {limit}; split it over several entries")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Parents or sections out of order, or twice.
    #[error("the entry's {what} are not strictly ascending")]
    Order {
        /// Parents or sections.
        what: &'static str,
    },
    /// A store without a name.
    #[error("a section of the entry names no store")]
    EmptyStoreName,
    /// A root entry has a nonce and no parents, every other parents and no nonce.
    #[error("the entry has {parents} parents, which does not agree with its nonce")]
    Nonce {
        /// How many parents.
        parents: usize,
    },
    /// There is not one payload for each section.
    #[error("{found} payloads were given for {expected} sections")]
    PayloadCount {
        /// How many were given.
        found: usize,
        /// How many sections there are.
        expected: usize,
    },
    /// A payload is not what its section names.
    #[error("the payload for store '{store}' is not what its section names; describe it again")]
    Payload {
        /// The store of the section.
        store: String,
    },
    /// The author is not a usable key.
    #[error("the entry's author is not a usable key: {0}")]
    Author(#[from] KeyError),
}

/// A body in canonical form, with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    id: EntryId,
    body: Arc<[u8]>,
    fields: Fields,
}

impl Entry {
    /// Encodes a body.
    ///
    /// # Errors
    /// [`EntryError`] where the fields break a rule of the format.
    pub fn encode(fields: Fields) -> Result<Self, EntryError> {
        check(&fields)?;
        let mut body = Vec::with_capacity(256);
        let mut writer = Writer(&mut body);
        writer.array(FIELDS);
        writer.unsigned(FORMAT_VERSION);
        writer.array(fields.parents.len());
        fields.parents.iter().for_each(|parent| writer.bytes(parent.as_bytes()));
        writer.unsigned(fields.time.raw());
        writer.bytes(fields.author.as_bytes());
        writer.unsigned(fields.seq);
        writer.array(fields.sections.len());
        for section in &fields.sections {
            writer.array(3);
            writer.text(&section.store);
            writer.bytes(&section.hash);
            writer.unsigned(section.length);
        }
        match &fields.nonce {
            Some(nonce) => writer.bytes(nonce),
            None => writer.null(),
        }
        Ok(Self { id: id_of(&body), body: body.into(), fields })
    }

    /// Decodes a body exactly as it was received.
    ///
    /// # Errors
    /// [`EntryError`] for anything but the one canonical form of an entry within the limits.
    pub fn decode(body: &[u8]) -> Result<Self, EntryError> {
        bounded("bytes of body", body.len() as u64, BODY_MAX)?;
        let fields = decode_fields(body)?;
        check(&fields)?;
        Ok(Self { id: id_of(body), body: body.into(), fields })
    }

    /// Returns the id: the hash of the body.
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// Returns the canonical bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the parents, strictly ascending.
    pub fn parents(&self) -> &[EntryId] {
        &self.fields.parents
    }

    /// Returns when the entry was made, by its author's clock.
    pub const fn time(&self) -> Time {
        self.fields.time
    }

    /// Returns who signed the entry.
    pub const fn author(&self) -> PublicKey {
        self.fields.author
    }

    /// Returns the author's own count of its entries in this database; nothing depends on it.
    pub const fn seq(&self) -> u64 {
        self.fields.seq
    }

    /// Returns the sections, strictly ascending by store.
    pub fn sections(&self) -> &[Section] {
        &self.fields.sections
    }

    /// Returns the random bytes that make a root entry unlike any other; `None` in every other.
    pub const fn nonce(&self) -> Option<[u8; NONCE_LEN]> {
        self.fields.nonce
    }

    /// Returns the id of the database that this entry is the root of, if it is a root.
    pub fn roots(&self) -> Option<DatabaseId> {
        self.fields.nonce.is_some().then_some(DatabaseId::from(self.id))
    }
}

fn id_of(body: &[u8]) -> EntryId {
    let mut hasher = ID_HASHER.clone();
    hasher.update(body);
    EntryId::from_bytes(*hasher.finalize().as_bytes())
}

fn bounded(what: &'static str, found: u64, limit: usize) -> Result<(), EntryError> {
    let limit = limit as u64;
    if found > limit { Err(EntryError::TooMany { what, found, limit }) } else { Ok(()) }
}

fn decode_fields(body: &[u8]) -> Result<Fields, EntryError> {
    let mut reader = Reader::new(body);
    let fields = reader.array("an entry")?;
    // The version comes first, so that a newer entry is told from a damaged one.
    let version = reader.unsigned("a format version")?;
    if version > FORMAT_VERSION {
        return Err(EntryError::NewerVersion { found: version });
    }
    if fields != FIELDS || version != FORMAT_VERSION {
        return Err(CodingError::Unexpected { at: 0, expected: "an entry of version 1" }.into());
    }
    let count = reader.array("parents")?;
    bounded("parents", count as u64, PARENTS_MAX)?;
    let mut parents = Vec::with_capacity(count);
    for _ in 0..count {
        parents.push(EntryId::from_bytes(reader.bytes("a parent id of 32 bytes")?));
    }
    let time = Time::from_raw(reader.unsigned("a time")?);
    let author = PublicKey::from_bytes(reader.bytes("an author of 32 bytes")?)?;
    let seq = reader.unsigned("a sequence number")?;
    let count = reader.array("sections")?;
    bounded("sections", count as u64, SECTIONS_MAX)?;
    let mut sections = Vec::with_capacity(count);
    for _ in 0..count {
        sections.push(decode_section(&mut reader)?);
    }
    let nonce = if reader.null() { None } else { Some(reader.bytes("a nonce of 16 bytes")?) };
    reader.end()?;
    Ok(Fields { parents, time, author, seq, sections, nonce })
}

fn decode_section(reader: &mut Reader<'_>) -> Result<Section, EntryError> {
    if reader.array("a section")? != 3 {
        return Err(CodingError::Unexpected { at: 0, expected: "sections of three fields" }.into());
    }
    let store = reader.text("a store name")?;
    bounded("bytes of store name", store.len() as u64, STORE_NAME_MAX)?;
    Ok(Section {
        store: store.to_owned(),
        hash: reader.bytes("a payload hash of 32 bytes")?,
        length: reader.unsigned("a payload length")?,
    })
}

/// Checks what the format asks of fields, whether they are to be encoded or were decoded.
fn check(fields: &Fields) -> Result<(), EntryError> {
    bounded("parents", fields.parents.len() as u64, PARENTS_MAX)?;
    bounded("sections", fields.sections.len() as u64, SECTIONS_MAX)?;
    if !fields.parents.is_sorted_by(|a, b| a < b) {
        return Err(EntryError::Order { what: "parents" });
    }
    if !fields.sections.is_sorted_by(|a, b| a.store < b.store) {
        return Err(EntryError::Order { what: "sections" });
    }
    if fields.parents.is_empty() != fields.nonce.is_some() {
        return Err(EntryError::Nonce { parents: fields.parents.len() });
    }
    let mut total = 0u64;
    for section in &fields.sections {
        if section.store.is_empty() {
            return Err(EntryError::EmptyStoreName);
        }
        bounded("bytes of store name", section.store.len() as u64, STORE_NAME_MAX)?;
        bounded("bytes in one section", section.length, PAYLOAD_MAX)?;
        total += section.length;
    }
    bounded("bytes of payloads", total, ENTRY_MAX - BODY_MAX)
}

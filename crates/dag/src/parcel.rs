//! An entry on its way: body, signature and the payloads that travel with it.
//!
//! Invariant: a [`Parcel`] is what somebody says; a [`Verified`] parcel's signature and payload
//! hashes have been checked.

use ed25519_zebra::{VerificationKeyBytes, batch};
use thiserror::Error;

use crate::cbor::CodingError;
use crate::entry::{Entry, EntryError, Fields};
use crate::id::EntryId;
use crate::key::{Domain, SIGNATURE_LEN, SecretKey, Signature};
use crate::limits::{BODY_MAX, PAYLOAD_MAX};
use crate::random::Randomness;
use crate::varint;

/// How many signatures are verified together: of more each costs hardly less, and one that fails has
/// all of them verified one by one.
pub const VERIFY_BATCH: usize = 1_024;

/// An entry with its signature and those of its payloads that are at hand; nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The entry.
    pub entry: Entry,
    /// The author's signature over the id.
    pub signature: Signature,
    /// For each section its payload, or `None` where it did not come along.
    pub payloads: Vec<Option<Vec<u8>>>,
}

/// What is wrong with a parcel: the fault of who sent it, not of the entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The signature is not the author's.
    #[error("entry {id:?}: the signature is not its author's")]
    Signature {
        /// The entry that it came with.
        id: EntryId,
    },
    /// A payload is not what its section names.
    #[error(
        "entry {id:?}: the payload of store '{store}' has another hash or length than the entry says"
    )]
    Payload {
        /// The entry that it came with.
        id: EntryId,
        /// The store of the section.
        store: String,
    },
    /// There is not one place for each section's payload.
    #[error("entry {id:?}: {found} payloads came for {expected} sections")]
    Count {
        /// The entry that they came with.
        id: EntryId,
        /// How many came.
        found: usize,
        /// How many sections there are.
        expected: usize,
    },
    /// The payload of a section did not come along, where all were asked for.
    #[error("entry {id:?}: the payload of store '{store}' did not come along; send all of them")]
    Withheld {
        /// The entry that came without it.
        id: EntryId,
        /// The store of the section.
        store: String,
    },
}

impl Fault {
    /// Returns the entry that it is about.
    pub const fn id(&self) -> EntryId {
        match self {
            Self::Signature { id }
            | Self::Payload { id, .. }
            | Self::Count { id, .. }
            | Self::Withheld { id, .. } => *id,
        }
    }
}

/// Why bytes are not a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParcelError {
    /// The body is not an entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The frame around it is damaged.
    #[error("the parcel is damaged: {0}")]
    Frame(#[from] CodingError),
}

/// A parcel whose signature is its author's and whose payloads are what its sections name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Parcel);

impl Verified {
    /// Makes and signs an entry of one's own; `payloads` belong to the sections, in their order.
    ///
    /// # Errors
    /// [`EntryError`] where the fields break a rule of the format, or the payloads are not what the
    /// sections name.
    pub fn sign(
        fields: Fields,
        payloads: Vec<Vec<u8>>,
        key: &SecretKey,
    ) -> Result<Self, EntryError> {
        let entry = Entry::encode(Fields { author: key.public(), ..fields })?;
        let (found, expected) = (payloads.len(), entry.sections().len());
        if found != expected {
            return Err(EntryError::PayloadCount { found, expected });
        }
        let mut sections = entry.sections().iter().zip(&payloads);
        if let Some((section, _)) = sections.find(|(section, payload)| !section.is_of(payload)) {
            return Err(EntryError::Payload { store: section.store.clone() });
        }
        let signature = key.sign(Domain::Entry, entry.id().as_bytes());
        let payloads = payloads.into_iter().map(Some).collect();
        Ok(Self(Parcel { entry, signature, payloads }))
    }

    /// Returns the parcel.
    pub const fn parcel(&self) -> &Parcel {
        &self.0
    }

    /// Returns the entry.
    pub const fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// Gives the parcel away.
    pub fn into_parcel(self) -> Parcel {
        self.0
    }
}

impl Parcel {
    /// Checks that the payloads that came are what the sections name.
    ///
    /// # Errors
    /// [`Fault::Payload`] or [`Fault::Count`].
    pub fn check_payloads(&self) -> Result<(), Fault> {
        let id = self.entry.id();
        let (found, expected) = (self.payloads.len(), self.entry.sections().len());
        if found != expected {
            return Err(Fault::Count { id, found, expected });
        }
        for (section, payload) in self.entry.sections().iter().zip(&self.payloads) {
            if payload.as_ref().is_some_and(|payload| !section.is_of(payload)) {
                return Err(Fault::Payload { id, store: section.store.clone() });
            }
        }
        Ok(())
    }

    /// Checks that the payload of every section came along.
    ///
    /// # Errors
    /// [`Fault::Withheld`] for the first that did not.
    pub fn check_complete(&self) -> Result<(), Fault> {
        let mut sections = self.entry.sections().iter().zip(&self.payloads);
        let Some((section, _)) = sections.find(|(_, payload)| payload.is_none()) else {
            return Ok(());
        };
        Err(Fault::Withheld { id: self.entry.id(), store: section.store.clone() })
    }

    /// Returns the length of body, signature and payloads in bytes.
    pub fn bytes(&self) -> usize {
        let payloads: usize = self.payloads.iter().flatten().map(Vec::len).sum();
        self.entry.body().len() + SIGNATURE_LEN + payloads
    }

    /// Appends the wire form: body and signature, then each payload, all with their lengths.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::put(out, self.entry.body().len() as u64);
        out.extend_from_slice(self.entry.body());
        out.extend_from_slice(self.signature.as_bytes());
        for payload in &self.payloads {
            // Zero means that it does not come along, so lengths are one up.
            varint::put(out, payload.as_ref().map_or(0, |payload| payload.len() as u64 + 1));
            out.extend_from_slice(payload.as_deref().unwrap_or_default());
        }
    }

    /// Takes one parcel from the front of `bytes`.
    ///
    /// # Errors
    /// [`ParcelError`] when the frame or the body is not as it should be.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, ParcelError> {
        let length = varint::take_length(bytes, BODY_MAX)?;
        let entry = Entry::decode(varint::take_bytes(bytes, length)?)?;
        let signature = Signature::from_bytes(varint::take_array(bytes)?);
        let mut payloads = Vec::with_capacity(entry.sections().len());
        for _ in entry.sections() {
            payloads.push(match varint::take_length(bytes, PAYLOAD_MAX + 1)? {
                0 => None,
                length => Some(varint::take_bytes(bytes, length - 1)?.to_vec()),
            });
        }
        Ok(Self { entry, signature, payloads })
    }
}

/// Verifies parcels in batches, by ZIP-215, and names each that fails.
///
/// The coefficients of a batch are drawn from `seed`, which must be random and not known to whoever
/// made the signatures. The answer has one item for each parcel, in order.
pub fn verify(parcels: Vec<Parcel>, seed: [u8; 32]) -> Vec<Result<Verified, Fault>> {
    let mut randomness = Randomness::from_seed(seed);
    let mut verdicts = Vec::with_capacity(parcels.len());
    let mut rest = parcels.into_iter().peekable();
    while rest.peek().is_some() {
        let chunk: Vec<Parcel> = rest.by_ref().take(VERIFY_BATCH).collect();
        let mut verifier = batch::Verifier::new();
        chunk.iter().for_each(|parcel| verifier.queue(item(parcel)));
        let all_signed = verifier.verify(&mut randomness).is_ok();
        verdicts.extend(chunk.into_iter().map(|parcel| {
            if !all_signed && item(&parcel).verify_single().is_err() {
                return Err(Fault::Signature { id: parcel.entry.id() });
            }
            parcel.check_payloads().map(|()| Verified(parcel))
        }));
    }
    verdicts
}

fn item(parcel: &Parcel) -> batch::Item {
    let key = VerificationKeyBytes::from(*parcel.entry.author().as_bytes());
    let signature = ed25519_zebra::Signature::from_bytes(parcel.signature.as_bytes());
    let message = Domain::Entry.message(parcel.entry.id().as_bytes());
    (key, signature, &message).into()
}

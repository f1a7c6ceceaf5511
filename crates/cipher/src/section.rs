//! Sealed sections: `[type, 1, [], [epoch ‖ nonce ‖ sealed]]`, in the form that all sections have.
//!
//! Invariant: a section opens only as one of the store, author and database that it was sealed for.

use weald_crdt::{MAX_PAYLOAD_BYTES, OwnDraft, SEALED_TYPE, Value, operations};
use zeroize::Zeroizing;

use crate::aead::{self, KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::epoch::{EpochId, EpochKey};
use crate::error::CipherError;
use crate::padding;

const VERSION: u64 = 1;
/// What sealing adds to the padded content, with room for the heads of the section.
const OVERHEAD: usize = EpochId::LEN + NONCE_LEN + TAG_LEN + 256;

/// What a section is sealed for, beside its epoch.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The id of the database.
    pub database: &'a [u8; 32],
    /// The name of the store.
    pub store: &'a str,
    /// Who signs the entry.
    pub author: &'a [u8; 32],
}

impl Binding<'_> {
    /// All parts but the last have fixed lengths, so no two bindings give the same bytes.
    fn context(&self, epoch: EpochId) -> Vec<u8> {
        let parts: [&[u8]; 4] =
            [self.database, self.author, epoch.as_bytes(), self.store.as_bytes()];
        parts.concat()
    }
}

fn section_key(key: &EpochKey) -> Zeroizing<[u8; KEY_LEN]> {
    key.derive("weald 2026 sealed section v1")
}

/// Seals a whole section. `nonce` must be random.
///
/// # Errors
/// [`CipherError::TooLong`] if the sealed section is longer than a section may be.
pub fn seal_section(
    key: &EpochKey,
    nonce: [u8; 24],
    binding: &Binding<'_>,
    section: &[u8],
) -> Result<Vec<u8>, CipherError> {
    let epoch = key.id();
    let padded = padding::pad(section, MAX_PAYLOAD_BYTES - OVERHEAD);
    let sealed = aead::seal(&section_key(key), nonce, &binding.context(epoch), &padded)?;
    let parts: [&[u8]; 3] = [epoch.as_bytes(), &nonce, &sealed];
    let mut draft = OwnDraft::new(SEALED_TYPE, VERSION);
    draft.push(&Value::Bytes(parts.concat()))?;
    Ok(draft.encode())
}

/// Returns the epoch that a sealed section names.
///
/// # Errors
/// [`CipherError::Void`] or [`CipherError::Malformed`] if it is not a sealed section of this version.
pub fn section_epoch(payload: &[u8]) -> Result<EpochId, CipherError> {
    parts(payload).map(|(epoch, _, _)| epoch)
}

/// Opens a sealed section.
///
/// # Errors
/// [`CipherError::NotOpened`] if it is of another epoch or binding or was changed, and as for
/// [`section_epoch`].
pub fn open_section(
    key: &EpochKey,
    binding: &Binding<'_>,
    payload: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CipherError> {
    let (epoch, nonce, sealed) = parts(payload)?;
    if epoch != key.id() {
        return Err(CipherError::NotOpened);
    }
    let mut opened = aead::open(&section_key(key), nonce, &binding.context(epoch), &sealed)?;
    padding::unpad(&mut opened).ok_or(CipherError::Malformed { what: "no end of the content" })?;
    Ok(opened)
}

fn parts(payload: &[u8]) -> Result<(EpochId, [u8; NONCE_LEN], Vec<u8>), CipherError> {
    let malformed = |what| CipherError::Malformed { what };
    let operations = operations(payload, SEALED_TYPE, VERSION)?;
    let [Value::Bytes(bytes)] = operations.as_slice() else {
        return Err(malformed("a sealed section has one operation, which is bytes"));
    };
    let short = || malformed("a sealed section is too short");
    let (epoch, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    let (nonce, sealed) = rest.split_first_chunk().ok_or_else(short)?;
    Ok((EpochId::from_bytes(*epoch), *nonce, sealed.to_vec()))
}

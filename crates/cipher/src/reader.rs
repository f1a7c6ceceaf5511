//! Keys wrapped for one reader: X25519 with a key of the sender's that is used once.
//!
//! Invariant: a wrap opens with the private key of its reader only, and gives the key of the epoch
//! that it is for, or nothing.

use ed25519_dalek::{SigningKey, VerifyingKey};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::aead::{self, KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::epoch::{EpochId, EpochKey};
use crate::error::CipherError;

/// Length of a wrapped key in bytes: the sender's key and the sealed one.
pub const READER_WRAP_LEN: usize = 32 + KEY_LEN + TAG_LEN;

/// Each wrap has a key of its own, which seals once.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// Wraps a key for whoever has the private half of the Ed25519 key `reader`. `ephemeral` must be
/// random and not be used again.
///
/// # Errors
/// [`CipherError::UnusableKey`] if `reader` is not a point of the curve or of small order.
pub fn wrap_for_reader(
    key: &EpochKey,
    ephemeral: [u8; 32],
    reader: &[u8; 32],
    (database, store): (&[u8; 32], &str),
) -> Result<[u8; READER_WRAP_LEN], CipherError> {
    let point = VerifyingKey::from_bytes(reader).map_err(|_| CipherError::UnusableKey)?;
    let theirs = PublicKey::from(point.to_montgomery().to_bytes());
    let ours = StaticSecret::from(ephemeral);
    let sender = PublicKey::from(&ours);
    let shared = ours.diffie_hellman(&theirs);
    if !shared.was_contributory() {
        return Err(CipherError::UnusableKey);
    }
    let wrapping = agree(shared.as_bytes(), &sender, &theirs);
    let context = context(database, key.id(), reader, store);
    let sealed = aead::seal(&wrapping, NONCE, &context, key.bytes())?;
    let mut wrap = [0; READER_WRAP_LEN];
    let bytes = sender.as_bytes().iter().chain(&sealed);
    wrap.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    Ok(wrap)
}

/// Opens a wrapped key with the reader's Ed25519 `seed`.
///
/// # Errors
/// [`CipherError::NotOpened`] if it is for another reader, store or epoch, or was changed.
pub fn unwrap_as_reader(
    seed: &[u8; 32],
    epoch: EpochId,
    (database, store): (&[u8; 32], &str),
    wrap: &[u8; READER_WRAP_LEN],
) -> Result<EpochKey, CipherError> {
    let (sender, sealed) = wrap.split_first_chunk::<32>().ok_or(CipherError::NotOpened)?;
    let signing = SigningKey::from_bytes(seed);
    let reader = signing.verifying_key();
    let scalar = Zeroizing::new(signing.to_scalar_bytes());
    let ours = StaticSecret::from(*scalar);
    let theirs = PublicKey::from(*sender);
    let shared = ours.diffie_hellman(&theirs);
    if !shared.was_contributory() {
        return Err(CipherError::NotOpened);
    }
    let wrapping = agree(shared.as_bytes(), &theirs, &PublicKey::from(&ours));
    let context = context(database, epoch, reader.as_bytes(), store);
    let bytes = aead::open(&wrapping, NONCE, &context, sealed)?;
    let bytes: &[u8; KEY_LEN] = bytes.as_slice().try_into().map_err(|_| CipherError::NotOpened)?;
    let key = EpochKey::new(*bytes);
    if key.id() == epoch { Ok(key) } else { Err(CipherError::NotOpened) }
}

fn agree(shared: &[u8; 32], sender: &PublicKey, reader: &PublicKey) -> Zeroizing<[u8; KEY_LEN]> {
    let mut hasher = blake3::Hasher::new_derive_key("weald 2026 sealed reader wrap v1");
    hasher.update(shared).update(sender.as_bytes()).update(reader.as_bytes());
    Zeroizing::new(*hasher.finalize().as_bytes())
}

fn context(database: &[u8; 32], epoch: EpochId, reader: &[u8; 32], store: &str) -> Vec<u8> {
    [database.as_slice(), epoch.as_bytes(), reader, store.as_bytes()].concat()
}

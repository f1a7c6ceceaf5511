//! Sealing of secrets at rest: XChaCha20-Poly1305 with a random nonce, bound to what they are for.
//!
//! Invariant: a secret leaves this module sealed, or in memory that is overwritten when dropped.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use weald_dag::{SecretKey, StoreError};
use zeroize::Zeroizing;

use crate::entropy;

/// Length of a sealing key in bytes.
pub(crate) const SEAL_KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
const SEED_LEN: usize = 32;
/// Length of a sealed secret in bytes: nonce, secret and tag.
pub(crate) const SEALED_LEN: usize = NONCE_LEN + SEED_LEN + 16;

/// Seals the secret keys of an instance.
pub(crate) struct Sealer {
    key: Zeroizing<[u8; SEAL_KEY_LEN]>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    pub(crate) const fn new(key: Zeroizing<[u8; SEAL_KEY_LEN]>) -> Self {
        Self { key }
    }

    /// Draws a new sealing key.
    pub(crate) fn random() -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; SEAL_KEY_LEN]);
        entropy::fill(key.as_mut_slice())?;
        Ok(Self::new(key))
    }

    pub(crate) fn key(&self) -> &[u8; SEAL_KEY_LEN] {
        &self.key
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.key).into())
    }

    /// Seals a secret key; it opens only with the same context.
    pub(crate) fn seal(&self, secret: &SecretKey, context: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal_bytes(&secret.to_seed(), context)
    }

    /// Opens what [`Sealer::seal`] gave; `None` if it is damaged or of another key or context.
    pub(crate) fn open(&self, sealed: &[u8], context: &[u8]) -> Option<SecretKey> {
        Some(SecretKey::from_seed(&*self.open_bytes(sealed, context)?))
    }

    /// Seals a secret of 32 bytes, such as another sealing key, into [`SEALED_LEN`] bytes.
    pub(crate) fn seal_bytes(
        &self,
        secret: &[u8; SEED_LEN],
        context: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_LEN] = entropy::bytes()?;
        let payload = Payload { msg: secret, aad: context };
        // The only error is a message of more than 256 GiB.
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| {
            StoreError::Corrupt { what: "a secret key that is too long to be sealed".into() }
        })?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Sealer::seal_bytes`] gave; `None` if it is damaged or of another key or context.
    pub(crate) fn open_bytes(
        &self,
        sealed: &[u8],
        context: &[u8],
    ) -> Option<Zeroizing<[u8; SEED_LEN]>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg: sealed, aad: context };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok();
        let opened = Zeroizing::new(opened?);
        let mut secret = Zeroizing::new([0; SEED_LEN]);
        if opened.len() != SEED_LEN {
            return None;
        }
        secret.copy_from_slice(&opened);
        Some(secret)
    }
}

/// Draws a new secret key.
pub(crate) fn new_secret() -> Result<SecretKey, StoreError> {
    let mut seed = Zeroizing::new([0; SEED_LEN]);
    entropy::fill(seed.as_mut_slice())?;
    Ok(SecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_context_only() {
        let (sealer, secret) = (Sealer::random().unwrap(), new_secret().unwrap());
        let mut sealed = sealer.seal(&secret, b"one").unwrap();
        let opened = sealer.open(&sealed, b"one").unwrap();
        assert_eq!(opened.public(), secret.public());
        assert!(sealer.open(&sealed, b"other").is_none());
        assert!(Sealer::random().unwrap().open(&sealed, b"one").is_none());
        assert!(!sealed.windows(8).any(|part| secret.to_seed().starts_with(part)));
        *sealed.last_mut().unwrap() ^= 1;
        assert!(sealer.open(&sealed, b"one").is_none());
        assert!(sealer.open(b"short", b"one").is_none());
    }

    #[test]
    fn debug_shows_no_secret() {
        let sealer = Sealer::new(Zeroizing::new([0xab; SEAL_KEY_LEN]));
        let shown = format!("{sealer:?}");
        assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
    }
}

//! XChaCha20-Poly1305, as everything here uses it.
//!
//! Invariant: a nonce is random or a keyed hash of what it seals, so two contents never share one
//! under a key.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::error::CipherError;

/// Length of a key in bytes.
pub(crate) const KEY_LEN: usize = 32;
/// Length of a nonce in bytes.
pub(crate) const NONCE_LEN: usize = 24;
/// How many bytes sealing adds.
pub(crate) const TAG_LEN: usize = 16;

/// Seals a content; it opens only with the same key, nonce and context.
pub(crate) fn seal(
    key: &[u8; KEY_LEN],
    nonce: [u8; NONCE_LEN],
    context: &[u8],
    content: &[u8],
) -> Result<Vec<u8>, CipherError> {
    let payload = Payload { msg: content, aad: context };
    // The only error is a content of more than 256 GiB.
    let too_long = |_| CipherError::Malformed { what: "a content that is too long" };
    XChaCha20Poly1305::new(&(*key).into()).encrypt(&XNonce::from(nonce), payload).map_err(too_long)
}

/// Opens what [`seal`] gave.
pub(crate) fn open(
    key: &[u8; KEY_LEN],
    nonce: [u8; NONCE_LEN],
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CipherError> {
    let payload = Payload { msg: sealed, aad: context };
    let opened = XChaCha20Poly1305::new(&(*key).into()).decrypt(&XNonce::from(nonce), payload);
    opened.map(Zeroizing::new).map_err(|_| CipherError::NotOpened)
}

//! Keys, and signatures over domain-separated digests.
//!
//! Invariant: a [`PublicKey`] is encoded canonically and is not of small order, and nothing but a
//! 32-byte digest of our own making is ever signed.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::Signer;
use thiserror::Error;

use crate::text::{SHORT_ID_LEN, TextError, bytes_from_text, text_of};

/// Length of a public key, and of a secret key's seed, in bytes.
pub const KEY_LEN: usize = 32;
/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// What a signature is for. Each use has a prefix of its own, so that none passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// An entry, by its author, over its id.
    Entry,
    /// The digest of a handshake, by a device.
    Hello,
    /// The possession of a key inside a session.
    Possession,
    /// A request for access to a database.
    Request,
    /// A presence message on a topic of a database.
    Presence,
}

impl Domain {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Entry => b"weald/entry/v1",
            Self::Hello => b"weald/hello/v1",
            Self::Possession => b"weald/possession/v1",
            Self::Request => b"weald/request/v1",
            Self::Presence => b"weald/presence/v1",
        }
    }

    /// Returns the bytes that are signed for `digest`.
    pub fn message(self, digest: &[u8; 32]) -> Vec<u8> {
        [self.prefix(), digest].concat()
    }
}

/// Why 32 bytes are not a usable public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The same point has a smaller encoding.
    #[error("the key is not encoded canonically")]
    NonCanonical,
    /// Signatures by such a key prove nothing.
    #[error("the key is of small order")]
    SmallOrder,
}

/// An Ed25519 public key in canonical form and not of small order.
///
/// Whether the bytes are a point of the curve is shown by the first signature that verifies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

/// The `y` of the points whose order divides 8, without the sign bit of `x`, canonical.
const SMALL_ORDER_Y: [[u8; KEY_LEN]; 5] = [
    hex(b"0000000000000000000000000000000000000000000000000000000000000000"),
    hex(b"0100000000000000000000000000000000000000000000000000000000000000"),
    hex(b"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex(b"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    hex(b"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
];
/// The prime 2^255 − 19, little-endian.
const FIELD_PRIME: [u8; KEY_LEN] =
    hex(b"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");

#[allow(clippy::indexing_slicing)] // evaluated at compile time only
const fn hex(text: &[u8; 2 * KEY_LEN]) -> [u8; KEY_LEN] {
    const fn digit(c: u8) -> u8 {
        if c >= b'a' { c - b'a' + 10 } else { c - b'0' }
    }
    let mut bytes = [0; KEY_LEN];
    let mut i = 0;
    while i < KEY_LEN {
        bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    bytes
}

impl PublicKey {
    /// Takes the 32 bytes of a key.
    ///
    /// # Errors
    /// [`KeyError`] for a non-canonical or small-order encoding.
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Result<Self, KeyError> {
        let mut y = bytes;
        if let Some(last) = y.last_mut() {
            *last &= 0x7f;
        }
        if y.iter().rev().ge(FIELD_PRIME.iter().rev()) {
            return Err(KeyError::NonCanonical);
        }
        if SMALL_ORDER_Y.contains(&y) {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(bytes))
    }

    /// Returns the 32 bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Returns the first 10 characters of the text form, for people.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT_ID_LEN);
        text
    }

    /// Returns whether `signature` over `digest` is valid by ZIP-215.
    pub fn verifies(&self, domain: Domain, digest: &[u8; 32], signature: &Signature) -> bool {
        let Ok(key) = ed25519_zebra::VerificationKey::try_from(self.0) else {
            return false;
        };
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        key.verify(&signature, &domain.message(digest)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text_of(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Why a text is not a public key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyTextError {
    /// The text is not 32 bytes in base32.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The bytes are not a usable key.
    #[error("the text is not a usable public key: {0}")]
    Key(#[from] KeyError),
}

impl FromStr for PublicKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        Ok(Self::from_bytes(bytes_from_text(text)?)?)
    }
}

/// An Ed25519 signature: 64 bytes that prove nothing until they are verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// Takes the 64 bytes of a signature.
    pub const fn from_bytes(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the 64 bytes of the signature.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// An Ed25519 secret key. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// Makes the key of a 32-byte seed, which must be random and secret.
    pub fn from_seed(seed: &[u8; KEY_LEN]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Returns the seed, for sealing it. Overwrite it after use.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; KEY_LEN]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a digest for one use.
    pub fn sign(&self, domain: Domain, digest: &[u8; 32]) -> Signature {
        Signature(self.0.sign(&domain.message(digest)).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_domain_and_digest_only() {
        let key = SecretKey::from_seed(&[1; 32]);
        let signature = key.sign(Domain::Entry, &[2; 32]);
        assert!(key.public().verifies(Domain::Entry, &[2; 32], &signature));
        assert!(!key.public().verifies(Domain::Hello, &[2; 32], &signature));
        assert!(!key.public().verifies(Domain::Entry, &[3; 32], &signature));
    }

    #[test]
    fn every_small_order_and_non_canonical_key_is_refused() {
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut bytes = y;
                bytes[31] |= sign;
                assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::SmallOrder));
                if let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
                    assert!(key.is_weak(), "the list agrees with the curve library");
                }
            }
        }
        let mut above = FIELD_PRIME;
        above[0] += 3;
        assert_eq!(PublicKey::from_bytes(above), Err(KeyError::NonCanonical));
        assert_eq!(PublicKey::from_bytes(FIELD_PRIME), Err(KeyError::NonCanonical));
        assert_eq!(PublicKey::from_bytes([0xff; 32]), Err(KeyError::NonCanonical));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = SecretKey::from_seed(&[9; 32]);
        assert!(!format!("{key:?}").contains("9, 9"));
        assert!(!format!("{key:?}").contains("0909"));
    }
}

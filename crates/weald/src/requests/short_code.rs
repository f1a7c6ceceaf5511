//! The short code of a request: six digits that the one who asks and the one who decides can compare.
//!
//! Invariant: it depends on all of the request and on bytes that whoever is asked has chosen after the request
//! was there, so nobody can make a request whose code is that of another. Whoever is asked can choose what code
//! the one who asks sees: between two people it proves something only where the one knows which device it asks.
//!
//! The code is the first 8 bytes of BLAKE3 in its key derivation mode, with the context
//! `weald 2026 request code v1`, over the id of the request and the salt of the answer, as a little-endian
//! number modulo 1,000,000.

use weald_dag::{PublicKey, RequestId, SecretKey};
use weald_sync::SALT_LEN;
use zeroize::Zeroizing;

/// Chooses the salts of a device's answers: the same for the same request, and known to nobody else before.
pub(crate) struct Salts(Zeroizing<[u8; 32]>);

impl Salts {
    pub(crate) fn of(device: &SecretKey) -> Self {
        let seed = device.to_seed();
        Self(Zeroizing::new(blake3::derive_key("weald 2026 request salts v1", seed.as_slice())))
    }

    pub(crate) fn salt(&self, id: &RequestId, device: &PublicKey) -> [u8; SALT_LEN] {
        let mut salt = [0; SALT_LEN];
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(id.as_bytes()).update(device.as_bytes());
        hasher.finalize_xof().fill(&mut salt);
        salt
    }
}

/// Returns the code, as `123 456`.
pub(crate) fn short_code(id: &RequestId, salt: &[u8; SALT_LEN]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("weald 2026 request code v1");
    hasher.update(id.as_bytes()).update(salt);
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    let code = u64::from_le_bytes(bytes) % 1_000_000;
    format!("{:03} {:03}", code / 1_000, code % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_six_digits_and_depend_on_request_and_salt() {
        let id = |byte| RequestId::from_bytes([byte; 32]);
        let code = short_code(&id(1), &[2; SALT_LEN]);
        assert_eq!(code.len(), 7);
        assert!(code.chars().all(|c| c.is_ascii_digit() || c == ' '));
        assert_ne!(code, short_code(&id(2), &[2; SALT_LEN]));
        assert_ne!(code, short_code(&id(1), &[3; SALT_LEN]));
        let salts = |seed| Salts::of(&SecretKey::from_seed(&[seed; 32]));
        let of = SecretKey::from_seed(&[9; 32]).public();
        assert_eq!(salts(1).salt(&id(1), &of), salts(1).salt(&id(1), &of));
        assert_ne!(salts(1).salt(&id(1), &of), salts(2).salt(&id(1), &of));
    }
}

//! The text of an invite's secret half: lower-case base32 of the seed and three bytes of its checksum.
//!
//! Invariant: a seed has one text; a text with a character changed or left out is not taken.

use data_encoding::BASE32_NOPAD;
use weald_dag::{KEY_LEN, SecretKey};
use zeroize::Zeroizing;

const CHECKSUM_LEN: usize = 3;
const LEN: usize = KEY_LEN + CHECKSUM_LEN;

fn checksum(seed: &[u8; KEY_LEN]) -> [u8; CHECKSUM_LEN] {
    let [a, b, c, ..] = blake3::derive_key("weald 2026 invite checksum v1", seed);
    [a, b, c]
}

/// Writes the secret half of an invite.
pub(super) fn text_of(invite: &SecretKey) -> Zeroizing<String> {
    let seed = invite.to_seed();
    let mut bytes = Zeroizing::new([0; LEN]);
    let (head, tail) = bytes.split_at_mut(KEY_LEN);
    head.copy_from_slice(seed.as_slice());
    tail.copy_from_slice(&checksum(&seed));
    let mut text = Zeroizing::new(BASE32_NOPAD.encode(bytes.as_slice()));
    text.make_ascii_lowercase();
    text
}

/// Reads the secret half of an invite; `None` unless it is whole.
pub(super) fn from_text(text: &str) -> Option<SecretKey> {
    if text.len() != BASE32_NOPAD.encode_len(LEN) || text.bytes().any(|c| c.is_ascii_uppercase()) {
        return None;
    }
    let text = Zeroizing::new(text.to_ascii_uppercase());
    let bytes = Zeroizing::new(BASE32_NOPAD.decode(text.as_bytes()).ok()?);
    let (seed, sum) = bytes.split_first_chunk::<KEY_LEN>()?;
    (checksum(seed) == *sum).then(|| SecretKey::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_not_copied_whole_is_no_invite() {
        let invite = SecretKey::from_seed(&[7; KEY_LEN]);
        let text = text_of(&invite);
        assert_eq!(from_text(&text).map(|read| read.public()), Some(invite.public()));
        for at in 0..text.len() {
            let mut changed: Vec<u8> = text.bytes().collect();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(from_text(&changed).is_none(), "character {at}");
            assert!(from_text(&text[..at]).is_none());
        }
        assert!(from_text(&text.to_ascii_uppercase()).is_none());
    }
}

//! What both sides say first, and the digest that all proofs of a session are over.
//!
//! Invariant: the digest covers both Hellos whole, the transport's channel binding and the device
//! key that the dialler expects, so that nobody between them can change a byte unnoticed.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use weald_dag::PublicKey;

use crate::close::{CloseReason, PeerFault};
use crate::limits::{HELLO_MAX, NAME_MAX, VERSION_MAX, VERSION_MIN};
use crate::message::{from_cbor, to_cbor};

/// The feature bit of a side that does not seal its frames.
pub(crate) const UNSEALED: u64 = 1;

/// The first message of either side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) versions: (u16, u16),
    pub(crate) device: ByteArray<32>,
    pub(crate) nonce: ByteArray<32>,
    pub(crate) ephemeral: ByteArray<32>,
    pub(crate) features: u64,
    pub(crate) name: String,
    /// The device key that the dialler expects.
    pub(crate) expects: Option<ByteArray<32>>,
}

/// The range of versions alone, which every later protocol keeps readable.
#[derive(Deserialize)]
struct Versions {
    versions: (u16, u16),
}

/// A peer's Hello that passed its checks.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) device: PublicKey,
    pub(crate) hello: Hello,
    pub(crate) bytes: Vec<u8>,
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// Reads and checks a peer's Hello.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Heard, CloseReason> {
        let garbled = || PeerFault::Garbled { what: "a hello" };
        if bytes.len() > HELLO_MAX {
            let what = "hello";
            return Err(PeerFault::TooLong { what, found: bytes.len(), limit: HELLO_MAX }.into());
        }
        let Versions { versions: (min, max) } = from_cbor(bytes).ok_or_else(garbled)?;
        if min > VERSION_MAX || max < VERSION_MIN {
            return Err(CloseReason::Version { min, max });
        }
        let hello: Self = from_cbor(bytes).ok_or_else(garbled)?;
        let device = PublicKey::from_bytes(*hello.device).map_err(|_| garbled())?;
        let found = hello.name.chars().count();
        if found > NAME_MAX {
            let what = "characters of name";
            return Err(PeerFault::TooMany { what, found, limit: NAME_MAX }.into());
        }
        Ok(Heard { device, hello, bytes: bytes.to_vec() })
    }

    /// Returns the name as people may be shown it: one line, no control characters.
    pub(crate) fn shown_name(&self) -> String {
        self.name.chars().filter(|c| !c.is_control()).collect()
    }
}

/// Returns the digest of all that was said before the proofs.
pub(crate) fn transcript(
    dialler: &[u8],
    responder: &[u8],
    binding: Option<&[u8]>,
    expected: Option<&[u8; 32]>,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("weald 2026 sync transcript v1");
    let expected = expected.map(<[u8; 32]>::as_slice);
    for part in [Some(dialler), Some(responder), binding, expected] {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(part.unwrap_or_default());
    }
    *hasher.finalize().as_bytes()
}

/// Derives 32 bytes for one use from a transcript and what else it depends on.
pub(crate) fn derive(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weald_dag::SecretKey;

    fn hello() -> Hello {
        Hello {
            versions: (VERSION_MIN, VERSION_MAX),
            device: ByteArray::new(*SecretKey::from_seed(&[1; 32]).public().as_bytes()),
            nonce: ByteArray::new([2; 32]),
            ephemeral: ByteArray::new([3; 32]),
            features: 0,
            name: "desk".into(),
            expects: None,
        }
    }

    #[test]
    fn a_hello_reads_back() {
        let heard = Hello::decode(&hello().encode()).unwrap();
        assert_eq!(heard.hello.shown_name(), "desk");
        assert_eq!(heard.device, SecretKey::from_seed(&[1; 32]).public());
    }

    #[test]
    fn versions_that_do_not_overlap_are_told_apart_from_garbage() {
        let newer = Hello { versions: (7, 9), ..hello() }.encode();
        assert!(matches!(Hello::decode(&newer), Err(CloseReason::Version { min: 7, max: 9 })));
        assert!(matches!(
            Hello::decode(b"GET / HTTP/1.1"),
            Err(CloseReason::Fault(PeerFault::Garbled { .. }))
        ));
    }

    #[test]
    fn long_names_weak_devices_and_trailing_bytes_are_refused() {
        let long = Hello { name: "x".repeat(NAME_MAX + 1), ..hello() }.encode();
        assert!(matches!(Hello::decode(&long), Err(CloseReason::Fault(PeerFault::TooMany { .. }))));
        let weak = Hello { device: ByteArray::new([0; 32]), ..hello() }.encode();
        assert!(Hello::decode(&weak).is_err());
        let mut trailing = hello().encode();
        trailing.push(0);
        assert!(Hello::decode(&trailing).is_err());
        assert!(Hello::decode(&vec![0; HELLO_MAX + 1]).is_err());
    }

    #[test]
    fn every_part_of_a_transcript_counts() {
        let base = transcript(b"a", b"b", None, None);
        assert_ne!(base, transcript(b"b", b"a", None, None));
        assert_ne!(base, transcript(b"ab", b"", None, None));
        assert_ne!(base, transcript(b"a", b"b", Some(b""), None));
        assert_ne!(base, transcript(b"a", b"b", None, Some(&[0; 32])));
    }
}

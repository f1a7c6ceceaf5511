//! Sealed frames: what one side sends, only the other can read, once, in order.
//!
//! Invariant: a counter is never used twice with a key; each direction has a key of its own.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::close::PeerFault;
use crate::hello::derive;
use crate::options::Role;

const COUNTER_LEN: usize = 8;
/// How many bytes sealing adds to a frame.
pub(crate) const SEAL_LEN: usize = COUNTER_LEN + 16;

/// Seals what goes out and opens what comes in.
pub(crate) struct Seal {
    out: ChaCha20Poly1305,
    sent: u64,
    inward: ChaCha20Poly1305,
    received: u64,
}

impl Seal {
    /// Agrees on keys by the exchange and the transcript.
    pub(crate) fn agree(
        role: Role,
        ours: &StaticSecret,
        theirs: [u8; 32],
        transcript: &[u8; 32],
    ) -> Result<Self, PeerFault> {
        let shared = ours.diffie_hellman(&PublicKey::from(theirs));
        if !shared.was_contributory() {
            return Err(PeerFault::WeakExchange);
        }
        let cipher = |context| {
            let key = Zeroizing::new(derive(context, &[shared.as_bytes(), transcript]));
            ChaCha20Poly1305::new(&Key::from(*key))
        };
        let of_dialler = cipher("weald 2026 sync seal of dialler v1");
        let of_responder = cipher("weald 2026 sync seal of responder v1");
        let (out, inward) = match role {
            Role::Dialler => (of_dialler, of_responder),
            Role::Responder => (of_responder, of_dialler),
        };
        Ok(Self { out, sent: 0, inward, received: 0 })
    }

    /// Appends counter and sealed content to `frame`, whose bytes so far are authenticated too.
    pub(crate) fn seal(&mut self, frame: &mut Vec<u8>, mut content: Vec<u8>) {
        let counter = self.sent;
        self.sent += 1;
        frame.extend_from_slice(&counter.to_be_bytes());
        // It fails only for contents of 256 GiB, which no frame is; an empty content would not open.
        if self.out.encrypt_in_place(&nonce(counter), frame, &mut content).is_err() {
            content.clear();
        }
        frame.append(&mut content);
    }

    /// Opens what follows the `header` in a frame.
    pub(crate) fn open(&mut self, header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, PeerFault> {
        let Some((counter, content)) = sealed.split_first_chunk::<COUNTER_LEN>() else {
            return Err(PeerFault::Tampered);
        };
        let found = u64::from_be_bytes(*counter);
        let expected = self.received;
        if found != expected {
            return Err(PeerFault::OutOfOrder { expected, found });
        }
        let mut content = content.to_vec();
        let authenticated = [header, counter].concat();
        self.inward
            .decrypt_in_place(&nonce(found), &authenticated, &mut content)
            .map_err(|_| PeerFault::Tampered)?;
        self.received += 1;
        Ok(content)
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    let (_, tail) = bytes.split_at_mut(4);
    tail.copy_from_slice(&counter.to_be_bytes());
    Nonce::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Seal, Seal) {
        let (a, b) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
        let publics = (PublicKey::from(&a).to_bytes(), PublicKey::from(&b).to_bytes());
        let dialler = Seal::agree(Role::Dialler, &a, publics.1, &[9; 32]).unwrap();
        (dialler, Seal::agree(Role::Responder, &b, publics.0, &[9; 32]).unwrap())
    }

    fn sealed(seal: &mut Seal, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![7];
        seal.seal(&mut frame, content.to_vec());
        frame
    }

    #[test]
    fn sealed_frames_open_once_and_in_order() {
        let (mut a, mut b) = pair();
        let frames = [sealed(&mut a, b"one"), sealed(&mut a, b"two"), sealed(&mut a, b"three")];
        assert_eq!(b.open(&[7], &frames[0][1..]).unwrap(), b"one");
        let replayed = b.open(&[7], &frames[0][1..]);
        assert_eq!(replayed, Err(PeerFault::OutOfOrder { expected: 1, found: 0 }));
        let skipped = b.open(&[7], &frames[2][1..]);
        assert_eq!(skipped, Err(PeerFault::OutOfOrder { expected: 1, found: 2 }));
        assert_eq!(b.open(&[7], &frames[1][1..]).unwrap(), b"two");
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let (mut a, mut b) = pair();
        let frame = sealed(&mut a, b"content");
        for at in 1..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            assert!(b.open(&[7], &changed[1..]).is_err(), "byte {at}");
        }
        assert!(b.open(&[8], &frame[1..]).is_err(), "the header counts");
        assert!(a.open(&[7], &frame[1..]).is_err(), "a frame does not open where it came from");
        assert_eq!(b.open(&[7], &frame[1..]).unwrap(), b"content");
        assert_eq!(frame.len(), 1 + SEAL_LEN + b"content".len());
    }

    #[test]
    fn weak_points_are_refused() {
        let secret = StaticSecret::from([1; 32]);
        for point in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            let agreed = Seal::agree(Role::Dialler, &secret, point, &[0; 32]);
            assert_eq!(agreed.err(), Some(PeerFault::WeakExchange));
        }
    }
}

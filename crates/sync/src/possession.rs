//! Proof that a peer holds keys beside its device key.
//!
//! Invariant: a proof is over the transcript of one session, the device that makes it, the name of one
//! database in that session and the key, so it can be shown neither in another session, nor by the peer
//! that it was shown to, nor for another database.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use weald_dag::{Domain, PublicKey, SecretKey, Signature};

use crate::close::PeerFault;
use crate::hello::derive;
use crate::limits::KEYS_MAX;
use crate::naming::Name;

/// A key and a signature by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyProof {
    key: ByteArray<32>,
    signature: ByteArray<64>,
}

/// The name stands for the database: who does not know its id checks the proof all the same, so that
/// what is known cannot be told from what is not.
fn digest(transcript: &[u8; 32], device: &PublicKey, name: Name, key: &[u8; 32]) -> [u8; 32] {
    let parts = [transcript.as_slice(), device.as_bytes(), name.0.as_slice(), key];
    derive("weald 2026 sync possession v1", &parts)
}

/// Proves the keys to the other side of a session, for one database; `device` is the key proven in the
/// handshake.
pub(crate) fn prove(
    transcript: &[u8; 32],
    device: &PublicKey,
    name: Name,
    keys: &[SecretKey],
) -> Vec<KeyProof> {
    let proof = |secret: &SecretKey| {
        let key = secret.public();
        let digest = digest(transcript, device, name, key.as_bytes());
        KeyProof {
            key: ByteArray::new(*key.as_bytes()),
            signature: ByteArray::new(*secret.sign(Domain::Possession, &digest).as_bytes()),
        }
    };
    keys.iter().map(proof).collect()
}

/// Returns the keys that the proofs prove; `device` is the key of who proves.
pub(crate) fn check(
    transcript: &[u8; 32],
    device: &PublicKey,
    name: Name,
    proofs: &[KeyProof],
) -> Result<Vec<PublicKey>, PeerFault> {
    if proofs.len() > KEYS_MAX {
        let what = "keys";
        return Err(PeerFault::TooMany { what, found: proofs.len(), limit: KEYS_MAX });
    }
    let check = |proof: &KeyProof| {
        let key = PublicKey::from_bytes(*proof.key)
            .map_err(|_| PeerFault::Garbled { what: "a public key" })?;
        let digest = digest(transcript, device, name, key.as_bytes());
        let signature = Signature::from_bytes(*proof.signature);
        if key.verifies(Domain::Possession, &digest, &signature) {
            Ok(key)
        } else {
            Err(PeerFault::BadKeyProof { key })
        }
    };
    proofs.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_session_its_device_and_its_database_only() {
        let [name, another] = [1, 2].map(|n| Name(ByteArray::new([n; 16])));
        let (device, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let user = SecretKey::from_seed(&[3; 32]);
        let proofs = prove(&[7; 32], &device.public(), name, std::slice::from_ref(&user));
        assert_eq!(check(&[7; 32], &device.public(), name, &proofs), Ok(vec![user.public()]));
        let bad = Err(PeerFault::BadKeyProof { key: user.public() });
        assert_eq!(check(&[8; 32], &device.public(), name, &proofs), bad);
        assert_eq!(check(&[7; 32], &other.public(), name, &proofs), bad, "shown back by the peer");
        assert_eq!(check(&[7; 32], &device.public(), another, &proofs), bad);
    }
}

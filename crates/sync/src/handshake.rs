//! Hello and proof, both ways: who is at the other end.
//!
//! Invariant: nothing but the handshake is answered before the peer's proof holds.

use serde_bytes::ByteArray;
use weald_dag::{Domain, PublicKey, Randomness, SecretKey, Signature};
use x25519_dalek::StaticSecret;

use crate::close::{CloseReason, Farewell, PeerFault};
use crate::frame::{GOODBYE, HELLO, PROOF, check_length};
use crate::hello::{Heard, Hello, UNSEALED, derive, transcript};
use crate::limits::{NAME_MAX, VERSION_MAX, VERSION_MIN};
use crate::naming::Naming;
use crate::options::{Role, SessionOptions};
use crate::seal::Seal;

/// A handshake that is not finished.
pub(crate) struct Handshake {
    role: Role,
    device: SecretKey,
    expected: Option<PublicKey>,
    binding: Option<Vec<u8>>,
    sealed: bool,
    ephemeral: StaticSecret,
    hello: Hello,
    bytes: Vec<u8>,
    heard: Option<Heard>,
}

/// What a finished handshake gives.
pub(crate) struct Peered {
    pub(crate) peer: PublicKey,
    pub(crate) name: String,
    pub(crate) first_use: bool,
    pub(crate) transcript: [u8; 32],
    pub(crate) seal: Option<Seal>,
    pub(crate) naming: Naming,
}

/// What a frame of the handshake leads to.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) send: Vec<Vec<u8>>,
    pub(crate) done: Option<Peered>,
}

impl Handshake {
    pub(crate) fn new(options: &SessionOptions) -> Self {
        let mut randomness = Randomness::from_seed(options.seed);
        let ephemeral = StaticSecret::from(randomness.bytes());
        let expected = options.expected_peer.filter(|_| options.role == Role::Dialler);
        let sealed = !options.plain && options.channel_binding.is_none();
        let hello = Hello {
            versions: (VERSION_MIN, VERSION_MAX),
            device: ByteArray::new(*options.device.public().as_bytes()),
            nonce: ByteArray::new(randomness.bytes()),
            ephemeral: ByteArray::new(x25519_dalek::PublicKey::from(&ephemeral).to_bytes()),
            features: if sealed { 0 } else { UNSEALED },
            name: options.name.chars().take(NAME_MAX).collect(),
            expects: expected.map(|key| ByteArray::new(*key.as_bytes())),
        };
        Self {
            role: options.role,
            device: options.device.clone(),
            expected,
            binding: options.channel_binding.clone(),
            sealed,
            ephemeral,
            bytes: hello.encode(),
            hello,
            heard: None,
        }
    }

    /// Returns the frame that a dialler starts with.
    pub(crate) fn first(&self) -> Option<Vec<u8>> {
        (self.role == Role::Dialler).then(|| self.hello_frame())
    }

    fn hello_frame(&self) -> Vec<u8> {
        [&[HELLO], self.bytes.as_slice()].concat()
    }

    /// Takes a frame of the peer.
    pub(crate) fn handle(&mut self, frame: &[u8]) -> Result<Step, CloseReason> {
        check_length(frame)?;
        match frame.split_first() {
            Some((&HELLO, bytes)) if self.heard.is_none() => self.hear(bytes),
            Some((&PROOF, bytes)) if self.heard.is_some() => self.prove(bytes),
            Some((&GOODBYE, bytes)) => Err(CloseReason::Told(farewell(bytes))),
            Some(_) => Err(PeerFault::Unexpected { what: "a frame before its proof" }.into()),
            None => Err(PeerFault::Garbled { what: "a frame" }.into()),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<Step, CloseReason> {
        let heard = Hello::decode(bytes)?;
        self.check(&heard)?;
        let mut step = Step::default();
        self.heard = Some(heard);
        if self.role == Role::Responder {
            step.send = vec![self.hello_frame(), self.proof_frame()];
        }
        Ok(step)
    }

    fn check(&self, heard: &Heard) -> Result<(), CloseReason> {
        let ours = self.device.public();
        if let Some(expected) = self.expected.filter(|expected| *expected != heard.device) {
            return Err(CloseReason::WrongPeer { expected, found: heard.device });
        }
        if heard.device == ours {
            return Err(CloseReason::Ourselves);
        }
        let expects = heard.hello.expects.filter(|_| self.role == Role::Responder);
        if let Some(expects) = expects.filter(|expects| **expects != *ours.as_bytes()) {
            let expected = PublicKey::from_bytes(*expects)
                .map_err(|_| PeerFault::Garbled { what: "a public key" })?;
            return Err(CloseReason::WrongPeer { expected, found: ours });
        }
        if (heard.hello.features & UNSEALED == 0) != self.sealed {
            return Err(CloseReason::Sealing { sealed_here: self.sealed });
        }
        Ok(())
    }

    fn transcript(&self) -> [u8; 32] {
        let Some(heard) = &self.heard else {
            return [0; 32];
        };
        let (dialler, responder, expects) = match self.role {
            Role::Dialler => (&self.bytes, &heard.bytes, &self.hello.expects),
            Role::Responder => (&heard.bytes, &self.bytes, &heard.hello.expects),
        };
        transcript(dialler, responder, self.binding.as_deref(), expects.as_deref())
    }

    fn proof_digest(&self, role: Role) -> [u8; 32] {
        let role: &[u8] = match role {
            Role::Dialler => b"dialler",
            Role::Responder => b"responder",
        };
        derive("weald 2026 sync proof v1", &[&self.transcript(), role])
    }

    fn proof_frame(&self) -> Vec<u8> {
        let signature = self.device.sign(Domain::Hello, &self.proof_digest(self.role));
        [&[PROOF], signature.as_bytes().as_slice()].concat()
    }

    fn prove(&self, bytes: &[u8]) -> Result<Step, CloseReason> {
        let Some(heard) = &self.heard else {
            return Err(PeerFault::Unexpected { what: "a proof before its hello" }.into());
        };
        let signature = bytes.try_into().map_err(|_| PeerFault::Garbled { what: "a proof" })?;
        let (digest, nonces) = match self.role {
            Role::Dialler => {
                (self.proof_digest(Role::Responder), (&self.hello.nonce, &heard.hello.nonce))
            }
            Role::Responder => {
                (self.proof_digest(Role::Dialler), (&heard.hello.nonce, &self.hello.nonce))
            }
        };
        if !heard.device.verifies(Domain::Hello, &digest, &Signature::from_bytes(signature)) {
            return Err(PeerFault::BadProof.into());
        }
        let transcript = self.transcript();
        let agree = || Seal::agree(self.role, &self.ephemeral, *heard.hello.ephemeral, &transcript);
        let seal = if self.sealed { Some(agree()?) } else { None };
        let send = if self.role == Role::Dialler { vec![self.proof_frame()] } else { vec![] };
        let done = Peered {
            peer: heard.device,
            name: heard.hello.shown_name(),
            first_use: self.role == Role::Dialler && self.expected.is_none(),
            transcript,
            seal,
            naming: Naming::new(nonces.0, nonces.1),
        };
        Ok(Step { send, done: Some(done) })
    }
}

/// Reads what a goodbye outside the seal says.
pub(crate) fn farewell(bytes: &[u8]) -> Farewell {
    bytes.first().map_or(Farewell::Done, |code| Farewell::from_code(*code))
}

/// Returns the goodbye of a side that has not finished its handshake.
pub(crate) fn goodbye(farewell: Farewell) -> Vec<u8> {
    vec![GOODBYE, farewell.code()]
}

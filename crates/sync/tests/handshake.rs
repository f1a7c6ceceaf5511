//! A peer that chooses its bytes as it likes: it gets nothing signed but proofs of this one session,
//! and passes for nobody else. The handshake is written here a second time, from the specification.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use ciborium::Value;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use weald_dag::{
    DatabaseId, Domain, Entry, Fields, NONCE_LEN, Parcel, PublicKey, SecretKey, Signature, Time,
    verify,
};
use weald_sync::{CloseReason, Output, PeerFault, Role, Session, SessionOptions};
use world::{Node, options};

const HELLO: u8 = 0;
const PROOF: u8 = 1;
/// A message of one frame, unsealed.
const OPEN: u8 = 3;
const UNSEALED: u64 = 1;
const DOMAINS: [Domain; 5] =
    [Domain::Entry, Domain::Hello, Domain::Possession, Domain::Request, Domain::Presence];

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Hello {
    versions: (u16, u16),
    device: ByteArray<32>,
    nonce: ByteArray<32>,
    ephemeral: ByteArray<32>,
    features: u64,
    name: String,
    expects: Option<ByteArray<32>>,
}

impl Hello {
    fn of(device: &SecretKey) -> Self {
        Self {
            versions: (1, 1),
            device: ByteArray::new(*device.public().as_bytes()),
            nonce: ByteArray::new([1; 32]),
            ephemeral: ByteArray::new(point(&[9; 32])),
            features: UNSEALED,
            name: "somebody".into(),
            expects: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).unwrap();
        bytes
    }

    fn frame(&self) -> Vec<u8> {
        [&[HELLO][..], &self.encode()].concat()
    }

    fn decode(frame: &[u8]) -> Self {
        assert_eq!(frame[0], HELLO);
        ciborium::from_reader(&frame[1..]).unwrap()
    }
}

/// Returns the public half of an ephemeral secret.
fn point(secret: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*secret)).to_bytes()
}

fn keyed(context: &str, parts: &[Option<&[u8]>]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default());
    }
    *hasher.finalize().as_bytes()
}

/// Returns the digest of both Hellos, as they went over the link.
fn transcript(dialler: &[u8], responder: &[u8]) -> [u8; 32] {
    let expects = Hello::decode(dialler).expects;
    let parts =
        [Some(&dialler[1..]), Some(&responder[1..]), None, expects.as_ref().map(|e| &e[..])];
    keyed("weald 2026 sync transcript v1", &parts)
}

fn proof_digest(transcript: &[u8; 32], role: &str) -> [u8; 32] {
    keyed("weald 2026 sync proof v1", &[Some(transcript), Some(role.as_bytes())])
}

/// What a database is called in a session.
fn name_of(database: &DatabaseId, dialler: &Hello, responder: &Hello) -> [u8; 16] {
    let nonces = [&dialler.nonce[..], &responder.nonce[..]];
    let key = keyed("weald 2026 sync names v1", &nonces.map(Some));
    let mut name = [0; 16];
    blake3::Hasher::new_keyed(&key).update(database.as_bytes()).finalize_xof().fill(&mut name);
    name
}

fn possession_digest(
    transcript: &[u8; 32],
    device: &PublicKey,
    name: &[u8; 16],
    key: &PublicKey,
) -> [u8; 32] {
    let parts = [&transcript[..], device.as_bytes(), name, key.as_bytes()];
    keyed("weald 2026 sync possession v1", &parts.map(Some))
}

fn proof(key: &SecretKey, domain: Domain, digest: &[u8; 32]) -> Vec<u8> {
    [&[PROOF][..], key.sign(domain, digest).as_bytes()].concat()
}

fn signature(frame: &[u8]) -> Signature {
    assert_eq!(frame[0], PROOF);
    Signature::from_bytes(frame[1..].try_into().unwrap())
}

/// The database that is asked for.
fn wanted() -> DatabaseId {
    DatabaseId::from_bytes([8; 32])
}

/// A session of an honest node, and what it has sent.
struct Victim {
    node: Node,
    session: Session,
    sent: Vec<Vec<u8>>,
    closed: Option<CloseReason>,
}

impl Victim {
    fn new(role: Role, seed: u8, change: impl FnOnce(&mut SessionOptions)) -> Self {
        let node = Node::new(seed);
        let mut options = SessionOptions { plain: true, ..options(role, &node.device, seed) };
        change(&mut options);
        let mut victim =
            Self { session: Session::new(options, 0), node, sent: Vec::new(), closed: None };
        victim.drain();
        victim
    }

    /// One that dials for a database, for which it will prove a user's key.
    fn dialling(seed: u8, user: &SecretKey) -> Self {
        let mut victim = Self::new(Role::Dialler, seed, |_| {});
        victim.node.keys = vec![user.clone()];
        victim.session.relate(0, wanted(), &victim.node);
        victim
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(frame) => self.sent.push(frame),
                Output::Close(reason) => self.closed = Some(reason),
                Output::Ingest { .. } | Output::Event(_) => {}
            }
        }
    }

    fn hear(&mut self, frame: &[u8]) {
        self.session.handle_frame(1, frame, &self.node);
        self.drain();
    }

    fn fault(&self) -> &PeerFault {
        match &self.closed {
            Some(CloseReason::Fault(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }
}

/// Every string of 64 bytes in the unsealed messages among these frames.
fn signatures_in(frames: &[Vec<u8>]) -> Vec<Signature> {
    fn collect(value: &Value, found: &mut Vec<Signature>) {
        match value {
            Value::Bytes(bytes) if bytes.len() == 64 => {
                found.push(Signature::from_bytes(bytes[..].try_into().unwrap()));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Map(items) => items.iter().for_each(|(key, value)| {
                collect(key, found);
                collect(value, found);
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for frame in frames.iter().filter(|frame| frame[0] == OPEN) {
        // A part that is whole and not compressed, with controls in it.
        assert_eq!(frame[1..3], [0, 0]);
        let mut rest = &frame[3..];
        while !rest.is_empty() {
            collect(&ciborium::from_reader(&mut rest).unwrap(), &mut found);
        }
    }
    found
}

/// An entry that the peer would like the victim to sign.
fn coveted(author: PublicKey, nonce: [u8; NONCE_LEN]) -> Entry {
    let time = Time::from_millis(1_800_000_000_000);
    let sections = Vec::new();
    Entry::encode(Fields {
        parents: Vec::new(),
        time,
        author,
        seq: 0,
        sections,
        nonce: Some(nonce),
    })
    .unwrap()
}

fn is_entry(entry: &Entry, signature: Signature) -> bool {
    verify(vec![Parcel { entry: entry.clone(), signature, payloads: Vec::new() }], [1; 32])[0]
        .is_ok()
}

/// Asserts that a signature holds for this digest in this domain, and for none else of all that was
/// said.
fn assert_signs_only(
    key: &PublicKey,
    signature: &Signature,
    (domain, digest): (Domain, [u8; 32]),
    said: &[[u8; 32]],
) {
    assert!(key.verifies(domain, &digest, signature));
    for other in DOMAINS {
        assert!(other == domain || !key.verifies(other, &digest, signature), "{other:?}");
        for said in said.iter().filter(|said| **said != digest) {
            assert!(!key.verifies(other, said, signature), "{other:?}");
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        Just("weald/entry/v1".to_owned()),
        Just("weald/request/v1".to_owned()),
        Just("weald/presence/v1".to_owned())
    ]
}

/// How the peer fills the 32 bytes that it is free to choose.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Random([u8; 32]),
    EntryId,
    VictimsKey,
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(Choice::Random),
        Just(Choice::EntryId),
        Just(Choice::VictimsKey)
    ]
}

impl Choice {
    fn bytes(self, entry: &Entry, victim: &PublicKey) -> [u8; 32] {
        match self {
            Self::Random(bytes) => bytes,
            Self::EntryId => *entry.id().as_bytes(),
            Self::VictimsKey => *victim.as_bytes(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// The victim answers; the peer has chosen everything before that.
    #[test]
    fn a_handshake_cannot_be_used_to_have_anything_signed_by_who_answers(
        nonce in choice(), ephemeral in choice(), name in name(), random: [u8; NONCE_LEN],
        versions in prop_oneof![Just((1, 1)), (0..2_u16, 1..u16::MAX)], expects: bool,
    ) {
        let mut victim = Victim::new(Role::Responder, 5, |_| {});
        let device = victim.node.device.public();
        let entry = coveted(device, random);
        let mallory = SecretKey::from_seed(&[6; 32]);
        let mut hello = Hello { versions, name, ..Hello::of(&mallory) };
        hello.nonce = ByteArray::new(nonce.bytes(&entry, &device));
        hello.ephemeral = ByteArray::new(ephemeral.bytes(&entry, &device));
        hello.expects = expects.then(|| ByteArray::new(*device.as_bytes()));
        victim.hear(&hello.frame());
        prop_assert_eq!(victim.sent.len(), 2, "a hello and a proof");
        let transcript = transcript(&hello.frame(), &victim.sent[0]);
        let signature = signature(&victim.sent[1]);
        let name = name_of(&wanted(), &hello, &Hello::decode(&victim.sent[0]));
        let said = [
            *hello.nonce, *hello.ephemeral, *entry.id().as_bytes(), *device.as_bytes(), transcript,
            proof_digest(&transcript, "dialler"),
            possession_digest(&transcript, &mallory.public(), &name, &device),
            possession_digest(&transcript, &device, &name, &device),
        ];
        let expected = (Domain::Hello, proof_digest(&transcript, "responder"));
        assert_signs_only(&device, &signature, expected, &said);
        prop_assert!(!is_entry(&entry, signature));
    }

    /// The victim dials and proves user keys too; the peer chooses after it has heard the victim.
    #[test]
    fn a_handshake_cannot_be_used_to_have_anything_signed_by_who_dials(
        nonce in choice(), ephemeral in choice(), name in name(), random: [u8; NONCE_LEN],
    ) {
        let user = SecretKey::from_seed(&[77; 32]);
        let mut victim = Victim::dialling(5, &user);
        let device = victim.node.device.public();
        let mallory = SecretKey::from_seed(&[6; 32]);
        let mut hello = Hello { name, ..Hello::of(&mallory) };
        let coveted = [coveted(device, random), coveted(user.public(), random)];
        hello.nonce = ByteArray::new(nonce.bytes(&coveted[1], &user.public()));
        hello.ephemeral = ByteArray::new(ephemeral.bytes(&coveted[0], &device));
        let transcript = transcript(&victim.sent[0], &hello.frame());
        victim.hear(&hello.frame());
        prop_assert_eq!(victim.sent.len(), 1, "nothing is signed before the peer has proven its key");
        victim.hear(&proof(&mallory, Domain::Hello, &proof_digest(&transcript, "responder")));
        prop_assert!(victim.closed.is_none(), "{:?}", victim.closed);
        let mut said = vec![
            *hello.nonce, *hello.ephemeral, transcript, *device.as_bytes(),
            proof_digest(&transcript, "responder"),
        ];
        said.extend(coveted.iter().map(|entry| *entry.id().as_bytes()));
        let signed = proof_digest(&transcript, "dialler");
        assert_signs_only(&device, &signature(&victim.sent[1]), (Domain::Hello, signed), &said);
        said.push(signed);
        let possessions = signatures_in(&victim.sent[2..]);
        prop_assert!(!possessions.is_empty(), "the user's key is proven");
        let name = name_of(&wanted(), &Hello::decode(&victim.sent[0]), &hello);
        for signature in possessions {
            prop_assert!(user.public().verifies(
                Domain::Possession,
                &possession_digest(&transcript, &device, &name, &user.public()),
                &signature,
            ));
            for domain in DOMAINS {
                prop_assert!(!said.iter().any(|said| user.public().verifies(domain, said, &signature)));
            }
            prop_assert!(!coveted.iter().any(|entry| is_entry(entry, signature)));
        }
    }
}

/// Runs the handshake of a peer with this key against who answers, up to its proof.
fn dial(victim: &mut Victim, key: &SecretKey, hello: &Hello, domain: Domain, role: &str) {
    victim.hear(&hello.frame());
    let transcript = transcript(&hello.frame(), &victim.sent[0]);
    victim.hear(&proof(key, domain, &proof_digest(&transcript, role)));
}

#[test]
fn the_handshake_as_it_is_specified_opens_a_session() {
    let mut victim = Victim::new(Role::Responder, 5, |_| {});
    let key = SecretKey::from_seed(&[6; 32]);
    dial(&mut victim, &key, &Hello::of(&key), Domain::Hello, "dialler");
    assert_eq!(victim.session.peer(), Some(key.public()), "{:?}", victim.closed);
}

#[test]
fn a_signature_for_something_else_is_no_proof() {
    let key = SecretKey::from_seed(&[6; 32]);
    for domain in [Domain::Entry, Domain::Possession, Domain::Request, Domain::Presence] {
        let mut victim = Victim::new(Role::Responder, 5, |_| {});
        dial(&mut victim, &key, &Hello::of(&key), domain, "dialler");
        assert_eq!(*victim.fault(), PeerFault::BadProof, "{domain:?}");
        assert_eq!(victim.session.peer(), None);
    }
    // The signature of a published entry by that key.
    let mut victim = Victim::new(Role::Responder, 5, |_| {});
    let entry = coveted(key.public(), [3; NONCE_LEN]);
    let mut hello = Hello::of(&key);
    hello.nonce = ByteArray::new(*entry.id().as_bytes());
    victim.hear(&hello.frame());
    victim.hear(&proof(&key, Domain::Entry, entry.id().as_bytes()));
    assert_eq!(*victim.fault(), PeerFault::BadProof);
}

#[test]
fn a_key_that_is_claimed_and_not_held_is_no_ones() {
    let (mallory, alice) = (SecretKey::from_seed(&[6; 32]), SecretKey::from_seed(&[7; 32]));
    let mut victim = Victim::new(Role::Responder, 5, |_| {});
    dial(&mut victim, &mallory, &Hello::of(&alice), Domain::Hello, "dialler");
    assert_eq!(*victim.fault(), PeerFault::BadProof);
}

#[test]
fn a_handshake_that_is_thrown_back_fails() {
    // Its own hello, at both ends.
    let mut dialler = Victim::new(Role::Dialler, 5, |_| {});
    let own = dialler.sent[0].clone();
    dialler.hear(&own);
    assert!(matches!(dialler.closed, Some(CloseReason::Ourselves)), "{:?}", dialler.closed);
    let mut answering = Victim::new(Role::Responder, 5, |_| {});
    answering.hear(&own);
    assert!(matches!(answering.closed, Some(CloseReason::Ourselves)), "{:?}", answering.closed);
    // Its own proof, by a peer that claims another key.
    let mut victim = Victim::new(Role::Responder, 5, |_| {});
    victim.hear(&Hello::of(&SecretKey::from_seed(&[6; 32])).frame());
    let own = victim.sent[1].clone();
    victim.hear(&own);
    assert_eq!(*victim.fault(), PeerFault::BadProof);
    // A proof for the other end of the link.
    let mut victim = Victim::new(Role::Responder, 5, |_| {});
    let key = SecretKey::from_seed(&[6; 32]);
    dial(&mut victim, &key, &Hello::of(&key), Domain::Hello, "responder");
    assert_eq!(*victim.fault(), PeerFault::BadProof);
}

/// Lets two sealed sessions talk through somebody who changes their Hellos, until the dialler has
/// heard the other's proof.
fn between(change: impl Fn(&mut Hello), back: impl Fn(&mut Hello)) -> (Victim, Victim) {
    let mut bob = Victim::new(Role::Responder, 2, |options| options.plain = false);
    let expected = bob.node.device.public();
    let mut alice = Victim::new(Role::Dialler, 1, |options| {
        (options.plain, options.expected_peer) = (false, Some(expected));
    });
    let mut hello = Hello::decode(&alice.sent[0]);
    change(&mut hello);
    bob.hear(&hello.frame());
    if let [hello, proof] = &bob.sent[..] {
        let mut changed = Hello::decode(hello);
        back(&mut changed);
        alice.hear(&changed.frame());
        alice.hear(proof);
    }
    (alice, bob)
}

#[test]
fn nobody_between_two_peers_can_put_keys_of_its_own() {
    let mine = ByteArray::new(point(&[42; 32]));
    let (alice, _) = between(|_| {}, |_| {});
    assert!(alice.session.peer().is_some(), "who changes nothing only carries");
    let swap = |hello: &mut Hello| hello.ephemeral = mine;
    let keep = |_: &mut Hello| {};
    for (alice, _) in [between(swap, swap), between(swap, keep), between(keep, swap)] {
        assert_eq!(*alice.fault(), PeerFault::BadProof);
        assert_eq!(alice.session.peer(), None);
    }
    let renamed = |hello: &mut Hello| hello.name = "the bank".into();
    assert_eq!(*between(keep, renamed).0.fault(), PeerFault::BadProof);
    // Who puts its own device key is told from the expected one, even with a good proof.
    let mallory = SecretKey::from_seed(&[6; 32]);
    let device = ByteArray::new(*mallory.public().as_bytes());
    let (alice, _) = between(keep, |hello| hello.device = device);
    assert!(matches!(alice.closed, Some(CloseReason::WrongPeer { .. })), "{:?}", alice.closed);
}

#[test]
fn possession_of_a_key_is_shown_to_one_peer_in_one_session() {
    let user = SecretKey::from_seed(&[77; 32]);
    let mallory = SecretKey::from_seed(&[6; 32]);
    // Alice dials Mallory and proves her user's key.
    let mut alice = Victim::dialling(1, &user);
    let hello = Hello::of(&mallory);
    let transcript = transcript(&alice.sent[0], &hello.frame());
    alice.hear(&hello.frame());
    alice.hear(&proof(&mallory, Domain::Hello, &proof_digest(&transcript, "responder")));
    let shown = alice.sent.last().unwrap().clone();
    assert_eq!(signatures_in(std::slice::from_ref(&shown)).len(), 1);
    // Mallory shows it to Bob, and back to Alice.
    let mut bob = Victim::new(Role::Responder, 2, |_| {});
    dial(&mut bob, &mallory, &hello, Domain::Hello, "dialler");
    assert_eq!(bob.session.peer(), Some(mallory.public()));
    bob.hear(&shown);
    assert_eq!(*bob.fault(), PeerFault::BadKeyProof { key: user.public() });
    alice.hear(&shown);
    assert_eq!(*alice.fault(), PeerFault::BadKeyProof { key: user.public() });
    assert!(!alice.session.peer_keys(&wanted()).contains(&user.public()));
}

#[test]
fn keys_that_prove_nothing_are_no_devices() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for weak in [[0; 32], one, minus_one, [0xff; 32]] {
        let mut victim = Victim::new(Role::Responder, 5, |_| {});
        let mut hello = Hello::of(&SecretKey::from_seed(&[6; 32]));
        hello.device = ByteArray::new(weak);
        victim.hear(&hello.frame());
        assert!(matches!(victim.fault(), PeerFault::Garbled { .. }), "{weak:?}");
        assert!(victim.sent.iter().all(|frame| frame[0] != PROOF), "nothing is signed for it");
    }
    // A weak exchange, by a peer whose proof is good.
    let mut victim = Victim::new(Role::Responder, 5, |options| options.plain = false);
    let key = SecretKey::from_seed(&[6; 32]);
    let hello = Hello { features: 0, ephemeral: ByteArray::new([0; 32]), ..Hello::of(&key) };
    dial(&mut victim, &key, &hello, Domain::Hello, "dialler");
    assert_eq!(*victim.fault(), PeerFault::WeakExchange);
}

//! Entries that are forged, replayed, signed again or signed for something else.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest, Sha512};
use weald::{Fault, Instance, Parcel, Refusal, Signature, Verdict};
use weald_auth::Operation;
use weald_dag::{Domain, Entry, SecretKey, Verified};

use crate::scene::{ADMIN, STRANGER, Scene, WRITER, key, unsigned};

fn is_bad_signature(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fault(Fault::Signature { .. }))
}

#[test]
fn a_signature_by_another_key_is_the_senders_fault_and_keeps_nothing_out() {
    let scene = Scene::new();
    let before = scene.seen();
    let honest = scene.entry(WRITER, "chat", &scene.speech());
    let mut forged = unsigned(honest.clone());
    for forger in [STRANGER, ADMIN] {
        forged.signature = key(forger).sign(Domain::Entry, honest.entry.id().as_bytes());
        assert!(is_bad_signature(&scene.send_one(forged.clone())));
    }
    assert!(is_bad_signature(&scene.send_one(unsigned(honest.clone()))));
    assert_eq!(scene.seen(), before);
    // Another peer has the good one: nothing is remembered against its id.
    assert!(matches!(scene.send_one(honest), Verdict::Stored(_)));
    assert_eq!(scene.texts(), ["hello", "hello"]);
}

#[test]
fn no_flipped_bit_gets_in() {
    let scene = Scene::new();
    let before = scene.seen();
    let honest = scene.entry(WRITER, "chat", &scene.speech());
    let mut wire = Vec::new();
    honest.encode(&mut wire);
    let mut changed = Vec::new();
    for bit in 0..wire.len() * 8 {
        let mut bytes = wire.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut rest = bytes.as_slice();
        // What does not decode ends there; what decodes must be caught.
        if let Ok(parcel) = Parcel::decode(&mut rest)
            && rest.is_empty()
        {
            changed.push(parcel);
        }
    }
    assert!(changed.len() > 1_000, "most flips decode: {}", changed.len());
    for verdict in scene.send(changed) {
        assert!(matches!(verdict, Verdict::Fault(_)), "{verdict:?}");
    }
    assert_eq!(scene.seen(), before);
    assert!(matches!(scene.send_one(honest), Verdict::Stored(_)));
}

#[test]
fn a_signature_of_one_entry_does_not_hold_for_another() {
    let scene = Scene::new();
    let published = scene.parcels().pop().unwrap();
    let author = scene.alice.default_key();
    let before = scene.seen();
    // What Alice signed, under words that she did not say.
    let fields = scene.fields(author, "chat", &scene.speech());
    let entry = Entry::encode(fields).unwrap();
    let payloads = vec![Some(scene.speech())];
    let replayed = Parcel { entry, signature: published.signature, payloads };
    assert!(is_bad_signature(&scene.send_one(replayed)));
    // Her entry with the payload of another.
    let mut other = published;
    other.payloads = vec![Some(b"other words".to_vec())];
    assert!(matches!(scene.send_one(other), Verdict::Fault(Fault::Payload { .. })));
    assert_eq!(scene.seen(), before);
}

/// A valid signature by the same key over the same entry, with another nonce.
fn sign_again(seed: u8, entry: &Entry) -> Signature {
    let expanded: [u8; 64] = Sha512::digest([seed; 32]).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(expanded[..32].try_into().unwrap()));
    let nonce = Scalar::from_bytes_mod_order_wide(&Sha512::digest(b"another nonce").into());
    let point = (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes();
    let hash = Sha512::new().chain_update(point).chain_update(entry.author().as_bytes());
    let message = Domain::Entry.message(entry.id().as_bytes());
    let k = Scalar::from_bytes_mod_order_wide(&hash.chain_update(message).finalize().into());
    let s = (nonce + k * secret).to_bytes();
    Signature::from_bytes([point, s].concat().try_into().unwrap())
}

#[test]
fn the_same_entry_signed_again_is_the_same_entry() {
    let scene = Scene::new();
    let first = scene.entry(WRITER, "chat", &scene.speech());
    let mut again = first.clone();
    again.signature = sign_again(WRITER, &first.entry);
    assert!(first.signature.as_bytes() != again.signature.as_bytes());
    // Another replica gets the other signature, and ends with the same.
    let other = Instance::in_memory().unwrap();
    let bob = other.create_user("bob", None).unwrap();
    let all = [scene.parcels(), vec![again.clone()]].concat();
    let verdicts = other.ingest(key(99).public(), scene.room.id(), all).unwrap();
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Stored(_))));
    assert!(matches!(scene.send_one(first.clone()), Verdict::Stored(_)));
    let before = scene.seen();
    assert!(matches!(scene.send_one(again), Verdict::Duplicate(_)));
    assert_eq!(scene.seen(), before);
    let kept = scene.parcels().pop().unwrap();
    assert_eq!(kept.signature, first.signature, "what is stored stays as it came first");
    let copy = bob.open_database(&scene.room.id()).unwrap();
    assert_eq!(copy.tips().unwrap(), scene.room.tips().unwrap());
    assert_eq!(copy.state_digest().unwrap(), scene.room.state_digest().unwrap());
}

#[test]
fn an_entry_of_another_database_is_none_of_this_one() {
    let scene = Scene::new();
    let elsewhere = Scene::new();
    let before = scene.seen();
    // Mallory administers a database of her own and gives herself everything there.
    let subject = weald::Subject::Key(key(STRANGER).public());
    let gift =
        Operation::Grant { subject, level: weald::Level::Admin(5), name: None, expires: None };
    let granted = elsewhere.settings(ADMIN, std::slice::from_ref(&gift));
    assert!(matches!(elsewhere.send_one(granted.clone()), Verdict::Stored(_)));
    for verdict in scene.send(elsewhere.parcels()) {
        let kept_out = matches!(verdict, Verdict::Refused(_) | Verdict::Missing(_));
        assert!(kept_out, "{verdict:?}");
    }
    // An entry that stands in both graphs, so that the grant is among its ancestors.
    let mut fields = scene.fields(key(STRANGER).public(), "chat", &scene.speech());
    fields.parents.push(granted.entry.id());
    fields.parents.sort_unstable();
    fields.time = scene.later(1 << 20);
    let both = Verified::sign(fields, vec![scene.speech()], &key(STRANGER)).unwrap().into_parcel();
    let verdict = scene.send_one(both);
    assert!(matches!(verdict, Verdict::Refused(_) | Verdict::Missing(_)), "{verdict:?}");
    // The same operations under her own name here.
    let copied = scene.settings(STRANGER, &[gift]);
    let verdict = scene.send_one(copied);
    assert!(matches!(verdict, Verdict::Refused(Refusal::Authority { .. })), "{verdict:?}");
    assert_eq!(scene.seen(), before);
    assert!(scene.instance.verify().unwrap().is_sound());
}

#[test]
fn a_signature_for_another_use_is_none_for_an_entry() {
    let scene = Scene::new();
    let before = scene.seen();
    let honest = scene.entry(WRITER, "chat", &scene.speech());
    let mut other = honest.clone();
    for domain in [Domain::Hello, Domain::Possession, Domain::Request, Domain::Presence] {
        other.signature = key(WRITER).sign(domain, honest.entry.id().as_bytes());
        assert!(is_bad_signature(&scene.send_one(other.clone())), "{domain:?}");
    }
    assert_eq!(scene.seen(), before);
    assert!(matches!(scene.send_one(honest), Verdict::Stored(_)));
}

#[test]
fn settings_without_their_payload_or_with_that_of_others_are_not_taken() {
    let scene = Scene::new();
    let before = scene.seen();
    let set = |value: &str| Operation::Set { key: "topic".into(), value: value.into() };
    let honest = scene.settings(ADMIN, &[set("one")]);
    let mut withheld = honest.clone();
    withheld.payloads = vec![None];
    let verdict = scene.send_one(withheld);
    assert!(matches!(verdict, Verdict::Fault(Fault::Withheld { .. })), "{verdict:?}");
    let mut swapped = honest.clone();
    swapped.payloads = scene.settings(ADMIN, &[set("two")]).payloads;
    let verdict = scene.send_one(swapped);
    assert!(matches!(verdict, Verdict::Fault(Fault::Payload { .. })), "{verdict:?}");
    assert_eq!(scene.seen(), before);
    assert!(matches!(scene.send_one(honest), Verdict::Stored(_)));
    assert_eq!(scene.room.settings().get("topic").unwrap().as_deref(), Some("one"));
}

#[test]
fn who_holds_nothing_and_who_may_only_write_change_no_settings() {
    let scene = Scene::new();
    let before = scene.seen();
    let subject = weald::Subject::Key(key(WRITER).public());
    let operations = [
        Operation::Grant { subject, level: weald::Level::Admin(0), name: None, expires: None },
        Operation::Limit { subject: weald::Subject::Key(scene.alice.default_key()), to: None },
        Operation::Set { key: "name".into(), value: "mine".into() },
    ];
    for author in [STRANGER, WRITER] {
        for operation in &operations {
            let verdict = scene.send_one(scene.settings(author, std::slice::from_ref(operation)));
            let refused = matches!(verdict, Verdict::Refused(Refusal::Authority { .. }));
            assert!(refused, "{operation:?}: {verdict:?}");
        }
    }
    let verdict = scene.send_one(scene.entry(STRANGER, "chat", &scene.speech()));
    assert!(matches!(verdict, Verdict::Refused(Refusal::Authority { .. })), "{verdict:?}");
    assert_eq!(scene.seen(), before);
}

/// Makes entries until one has an id of ten leading zero bits, and takes the smallest.
fn mined(make: impl Fn(u64) -> Parcel) -> Parcel {
    let mut best = make(0);
    for seq in 1..4_096 {
        if best.entry.id().as_bytes()[0] == 0 && best.entry.id().as_bytes()[1] < 64 {
            break;
        }
        let next = make(seq);
        if next.entry.id() < best.entry.id() {
            best = next;
        }
    }
    best
}

#[test]
fn a_mined_id_outranks_nobody_who_came_before() {
    let scene = Scene::new();
    let alice = scene.alice.default_key();
    let limit = |subject| Operation::Limit { subject: weald::Subject::Key(subject), to: None };
    let payload = weald_auth::encode_operations(&[limit(alice)]).unwrap();
    let against = |secret: &SecretKey| {
        mined(|seq| {
            let mut fields = scene.fields(secret.public(), "_settings", &payload);
            fields.seq = seq;
            Verified::sign(fields, vec![payload.clone()], secret).unwrap().into_parcel()
        })
    };
    scene.send_one(against(&key(ADMIN)));
    assert_eq!(scene.room.settings().permission_of(&alice).unwrap(), Some(weald::Level::Admin(0)));
    scene.say("still here");
    assert_eq!(scene.texts(), ["hello", "still here"]);
}

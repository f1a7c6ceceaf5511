//! Keys by which nothing can be proven: nobody's author, device or member.

use weald::{Level, Parcel, PublicKey, Refusal, Subject, Verdict};
use weald_auth::{Operation, encode_operations};
use weald_dag::{Domain, Entry, EntryError, KeyError, ParcelError, Section};

use crate::scene::{ADMIN, Scene, key};

/// Points of small order, one that is not encoded canonically, and both signs.
fn weak_keys() -> Vec<[u8; 32]> {
    let number = |low: u8, rest: u8, top: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, top);
        bytes
    };
    vec![
        number(0, 0, 0),
        number(0, 0, 0x80),
        number(1, 0, 0),
        number(1, 0, 0x80),
        number(0xec, 0xff, 0x7f),
        number(0xec, 0xff, 0xff),
        number(0xed, 0xff, 0x7f),
        number(0xee, 0xff, 0xff),
        number(0xff, 0xff, 0xff),
    ]
}

/// Puts other bytes in the place of these, which must be there once.
fn put(bytes: &[u8], from: &[u8; 32], to: &[u8; 32]) -> Vec<u8> {
    let places: Vec<usize> =
        (0..=bytes.len() - 32).filter(|at| bytes[*at..].starts_with(from)).collect();
    let [at] = places[..] else { panic!("{places:?}") };
    [&bytes[..at], to, &bytes[at + 32..]].concat()
}

#[test]
fn a_weak_key_is_no_author() {
    let scene = Scene::new();
    let honest = scene.entry(ADMIN, "chat", &scene.speech());
    for weak in weak_keys() {
        assert!(PublicKey::from_bytes(weak).is_err());
        let body = put(honest.entry.body(), key(ADMIN).public().as_bytes(), &weak);
        let decoded = Entry::decode(&body);
        assert!(matches!(decoded, Err(EntryError::Author(_))), "{decoded:?}");
        let mut wire = Vec::new();
        honest.encode(&mut wire);
        let wire = put(&wire, key(ADMIN).public().as_bytes(), &weak);
        let decoded = Parcel::decode(&mut wire.as_slice());
        assert!(matches!(decoded, Err(ParcelError::Entry(EntryError::Author(_)))), "{decoded:?}");
    }
}

#[test]
fn a_weak_key_is_granted_invited_and_limited_nothing() {
    let scene = Scene::new();
    let before = scene.seen();
    let stand_in = key(200).public();
    let subject = Subject::Key(stand_in);
    let operations = [
        Operation::Grant { subject, level: Level::Write(10), name: None, expires: None },
        Operation::Invite { key: stand_in, gives: Level::Read, uses: 1, expires: None },
        Operation::Limit { subject, to: None },
    ];
    for operation in operations {
        let payload = encode_operations(std::slice::from_ref(&operation)).unwrap();
        for weak in weak_keys() {
            let payload = put(&payload, stand_in.as_bytes(), &weak);
            let verdict = scene.send_one(scene.entry(ADMIN, "_settings", &payload));
            let refused = matches!(verdict, Verdict::Refused(Refusal::Settings { .. }));
            assert!(refused, "{operation:?}: {verdict:?}");
        }
    }
    assert_eq!(scene.seen(), before);
}

/// The neutral point: with it as key, a signature of zeros would hold for every message.
#[test]
fn no_signature_holds_for_a_weak_key_that_slipped_in_as_text() {
    for weak in weak_keys() {
        let text = data_encoding::BASE32_NOPAD.encode(&weak).to_lowercase();
        let parsed = text.parse::<PublicKey>();
        assert!(parsed.is_err(), "{text}");
    }
    assert!(matches!(PublicKey::from_bytes([0; 32]), Err(KeyError::SmallOrder)));
    // A key off the curve passes for one until something must hold: then nothing does.
    let mut off = [0; 32];
    off[0] = 2;
    if let Ok(off) = PublicKey::from_bytes(off) {
        let signature = weald::Signature::from_bytes([0; 64]);
        assert!(!off.verifies(
            Domain::Entry,
            Section::of("s", b"").hash[..].try_into().unwrap(),
            &signature
        ));
    }
}

//! Requests for access: one encoding, strict bounds, and good for one place and time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use weald_auth::{
    AccessRequest, Level, REQUEST_AHEAD_MAX_MS, REQUEST_LIFETIME_MAX_MS, REQUEST_MAX,
    REQUEST_NAME_MAX, REQUEST_NOTE_MAX, RequestRefusal, SignedRequest,
};
use weald_dag::{DatabaseId, Domain, RequestId, SecretKey};

const NOW: u64 = 1_000_000_000;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn request() -> AccessRequest {
    AccessRequest {
        database: DatabaseId::from_bytes([9; 32]),
        key: secret(1).public(),
        device: secret(2).public(),
        audience: secret(3).public(),
        wanted: Level::Write(15),
        nonce: [4; 16],
        made: NOW,
        expires: NOW + 1_000,
        name: "bob".into(),
        note: "let me in".into(),
    }
}

fn checked(signed: &SignedRequest, now: u64) -> Result<(), RequestRefusal> {
    signed.check(&secret(2).public(), &secret(3).public(), now)
}

proptest! {
    #[test]
    fn a_request_reads_back_and_no_other_bytes_pass_for_it(
        name in "[a-zé]{0,60}", note in ".{0,100}", kind in 0_u8..3, priority: u32,
        at: prop::sample::Index, bit in 0_u8..8,
    ) {
        let wanted = match kind {
            0 => Level::Admin(priority),
            1 => Level::Write(priority),
            _ => Level::Read,
        };
        let signed = AccessRequest { name, note, wanted, ..request() }.sign(&secret(1)).unwrap();
        prop_assert_eq!(&SignedRequest::decode(signed.bytes()).unwrap(), &signed);
        let mut changed = signed.bytes().to_vec();
        changed[at.index(signed.bytes().len())] ^= 1 << bit;
        prop_assert!(SignedRequest::decode(&changed).is_err());
        prop_assert!(SignedRequest::decode(&signed.bytes()[..at.index(signed.bytes().len())]).is_err());
        changed = [signed.bytes(), &[0]].concat();
        prop_assert!(SignedRequest::decode(&changed).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = SignedRequest::decode(&bytes);
        let _ = SignedRequest::decode(&[&[1], bytes.as_slice()].concat());
    }
}

#[test]
fn a_request_holds_for_its_sender_audience_and_time_only() {
    let signed = request().sign(&secret(1)).unwrap();
    assert_eq!(checked(&signed, NOW), Ok(()));
    let (device, audience) = (secret(2).public(), secret(3).public());
    assert_eq!(signed.check(&audience, &audience, NOW), Err(RequestRefusal::WrongSender));
    assert_eq!(signed.check(&device, &device, NOW), Err(RequestRefusal::WrongAudience));
    assert_eq!(checked(&signed, NOW + 1_000), Err(RequestRefusal::Expired));
    assert_eq!(checked(&signed, NOW - REQUEST_AHEAD_MAX_MS), Ok(()));
    assert_eq!(checked(&signed, NOW - REQUEST_AHEAD_MAX_MS - 1), Err(RequestRefusal::TooFarAhead));
}

#[test]
fn bounds_are_refused_on_both_sides() {
    let long = |what| Err(RequestRefusal::TooLong { what });
    let over = AccessRequest { name: "x".repeat(REQUEST_NAME_MAX + 1), ..request() };
    assert_eq!(over.sign(&secret(1)), long("name"));
    let over = AccessRequest { note: "x".repeat(REQUEST_NOTE_MAX + 1), ..request() };
    assert_eq!(over.sign(&secret(1)), long("note"));
    let expires = NOW + REQUEST_LIFETIME_MAX_MS + 1;
    assert_eq!(AccessRequest { expires, ..request() }.sign(&secret(1)), long("lifetime"));
    assert_eq!(request().sign(&secret(2)), Err(RequestRefusal::BadSignature));
    assert_eq!(SignedRequest::decode(&vec![1; REQUEST_MAX + 1]), long("length"));
    let most = AccessRequest {
        name: "x".repeat(REQUEST_NAME_MAX),
        note: "x".repeat(REQUEST_NOTE_MAX),
        ..request()
    };
    assert_eq!(most.sign(&secret(1)).unwrap().bytes().len(), REQUEST_MAX);
}

#[test]
fn a_signature_of_another_domain_is_none() {
    let signed = request().sign(&secret(1)).unwrap();
    let body = &signed.bytes()[..signed.bytes().len() - 64];
    for domain in [Domain::Entry, Domain::Hello, Domain::Possession] {
        let other = secret(1).sign(domain, RequestId::of(body).as_bytes());
        let forged = [body, other.as_bytes()].concat();
        assert_eq!(SignedRequest::decode(&forged), Err(RequestRefusal::BadSignature));
    }
    let mut newer = signed.bytes().to_vec();
    newer[0] = 2;
    assert_eq!(SignedRequest::decode(&newer), Err(RequestRefusal::NewerVersion { found: 2 }));
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    for code in 0..9 {
        assert_eq!(RequestRefusal::from_code(code).code(), code);
    }
    assert_eq!(RequestRefusal::from_code(200), RequestRefusal::Malformed);
}

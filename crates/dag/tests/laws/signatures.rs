//! The one validity rule (ZIP-215) on crafted keys and signatures: alone, in batches and beside
//! others the verdict is the same, and a culprit is named.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};
use weald_dag::{
    Domain, Entry, Fault, Fields, KeyError, Parcel, PublicKey, Signature, VERIFY_BATCH, verify,
};

use crate::make::{child, golden_lines, hex, root, signed, unhex};

const SIGNATURES: &str = include_str!("../golden/signatures.txt");
/// The order of the group, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

struct Case {
    name: String,
    valid: bool,
    entry: Entry,
    signature: [u8; 64],
}

impl Case {
    fn parcel(&self) -> Parcel {
        let signature = Signature::from_bytes(self.signature);
        Parcel { entry: self.entry.clone(), signature, payloads: Vec::new() }
    }
}

fn scalar(seed: &str) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(seed).into())
}

/// Every encoding of a point whose order divides 8: the eight canonical ones, then the others.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> =
        EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    let prime = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    for (y, sign) in
        [(1, true), (0xec, true), (0xed, false), (0xed, true), (0xee, false), (0xee, true)]
    {
        let mut bytes: [u8; 32] = unhex(prime).try_into().unwrap();
        if y == 1 {
            bytes = [0; 32];
        }
        bytes[0] = y;
        bytes[31] |= if sign { 0x80 } else { 0 };
        encodings.push(bytes);
    }
    encodings
}

/// An entry by an author that may be any 32 bytes that pass for a key.
fn entry_by(author: [u8; 32]) -> Entry {
    let author = PublicKey::from_bytes(author).unwrap();
    Entry::encode(Fields { author, ..root() }).unwrap()
}

/// Makes `s = r + k·a` for the nonce point encoded as `nonce_point`.
fn sign(entry: &Entry, secret: Scalar, nonce: Scalar, nonce_point: [u8; 32]) -> [u8; 64] {
    let message = Domain::Entry.message(entry.id().as_bytes());
    let hash = Sha512::new().chain_update(nonce_point).chain_update(entry.author().as_bytes());
    let k = Scalar::from_bytes_mod_order_wide(&hash.chain_update(message).finalize().into());
    join(nonce_point, (nonce + k * secret).to_bytes())
}

fn join(nonce_point: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    [nonce_point, s].concat().try_into().unwrap()
}

/// 32 bytes that look like a canonical key and are no point of the curve.
fn off_curve() -> [u8; 32] {
    let candidates = (2..=u8::MAX).map(|y| {
        let mut bytes = [0; 32];
        bytes[0] = y;
        bytes
    });
    let mut off = candidates.filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_none());
    off.next().unwrap()
}

/// Adds the order of the group to `s`: the same scalar, not reduced.
fn unreduced(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(unhex(ORDER)) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    signature
}

fn cases() -> Vec<Case> {
    let (secret, nonce) = (scalar("secret"), scalar("nonce"));
    let point = |of: EdwardsPoint| of.compress().to_bytes();
    let public = ED25519_BASEPOINT_POINT * secret;
    let nonce_point = ED25519_BASEPOINT_POINT * nonce;
    let entry = entry_by(point(public));
    let honest = sign(&entry, secret, nonce, point(nonce_point));
    let mut cases = Vec::new();
    let mut add = |name: String, valid, entry: &Entry, signature| {
        cases.push(Case { name, valid, entry: entry.clone(), signature });
    };
    add("honest".into(), true, &entry, honest);
    for (n, small) in small_order_encodings().into_iter().enumerate() {
        let signature = sign(&entry, secret, Scalar::ZERO, small);
        add(format!("small-order-r-{n}"), true, &entry, signature);
    }
    for (n, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let mixed = entry_by(point(public + torsion));
        let signature = sign(&mixed, secret, nonce, point(nonce_point));
        add(format!("mixed-order-key-{n}"), true, &mixed, signature);
        let signature = sign(&entry, secret, nonce, point(nonce_point + torsion));
        add(format!("mixed-order-r-{n}"), true, &entry, signature);
        let signature = sign(&mixed, secret, Scalar::ZERO, point(*torsion));
        add(format!("mixed-order-key-small-order-r-{n}"), true, &mixed, signature);
    }
    add("unreduced-s".into(), false, &entry, unreduced(honest));
    add(
        "other-s".into(),
        false,
        &entry,
        sign(&entry, secret + Scalar::ONE, nonce, point(nonce_point)),
    );
    add("other-r".into(), false, &entry, join(point(public), honest[32..].try_into().unwrap()));
    add("r-off-curve".into(), false, &entry, sign(&entry, secret, nonce, off_curve()));
    add("zero".into(), false, &entry, [0; 64]);
    add("all-ones".into(), false, &entry, [0xff; 64]);
    let nobody = entry_by(off_curve());
    add("key-off-curve".into(), false, &nobody, sign(&nobody, secret, nonce, point(nonce_point)));
    add("key-off-curve-zero".into(), false, &nobody, [0; 64]);
    cases
}

fn golden() -> Vec<Case> {
    let case = |line: &Vec<&str>| {
        let [name, verdict, body, signature] = line[..] else { panic!("four words: {line:?}") };
        Case {
            name: name.into(),
            valid: verdict == "valid",
            entry: Entry::decode(&unhex(body)).unwrap(),
            signature: unhex(signature).try_into().unwrap(),
        }
    };
    golden_lines(SIGNATURES).iter().map(case).collect()
}

#[test]
fn crafted_signatures_are_those_under_version_control() {
    let line = |case: &Case| {
        let verdict = if case.valid { "valid" } else { "invalid" };
        format!("{} {verdict} {} {}", case.name, hex(case.entry.body()), hex(&case.signature))
    };
    let written: Vec<String> = cases().iter().map(line).collect();
    let golden: Vec<String> = golden_lines(SIGNATURES).iter().map(|line| line.join(" ")).collect();
    assert!(golden == written, "now made:\n{}\n", written.join("\n"));
}

#[test]
fn alone_and_in_a_batch_the_verdict_is_that_of_the_rule() {
    for Case { name, valid, entry, signature } in golden() {
        let signature = Signature::from_bytes(signature);
        let alone = entry.author().verifies(Domain::Entry, entry.id().as_bytes(), &signature);
        assert_eq!(alone, valid, "{name} alone");
        let parcel = Parcel { entry, signature, payloads: Vec::new() };
        assert_eq!(verify(vec![parcel], [3; 32])[0].is_ok(), valid, "{name} in a batch of one");
    }
}

#[test]
fn what_is_valid_stays_so_beside_all_others() {
    let cases = golden();
    for seed in 0..8 {
        let valid = cases.iter().filter(|case| case.valid).map(Case::parcel).collect();
        assert!(verify(valid, [seed; 32]).iter().all(Result::is_ok));
        let all = cases.iter().map(Case::parcel).collect();
        for (case, verdict) in cases.iter().zip(verify(all, [seed; 32])) {
            assert_eq!(verdict.is_ok(), case.valid, "{} beside all others", case.name);
        }
    }
}

#[test]
fn one_culprit_among_many_is_named_and_no_other() {
    let first = signed(root(), Vec::new()).into_parcel();
    let later = |n: usize| {
        let time = weald_dag::Time::from_raw(first.entry.time().raw() + n as u64);
        signed(child(vec![first.entry.id()], time), vec![vec![n as u8]]).into_parcel()
    };
    let honest: Vec<Parcel> = (1..=VERIFY_BATCH + 40).map(later).collect();
    for culprit in [0, 1, VERIFY_BATCH - 1, VERIFY_BATCH, VERIFY_BATCH + 39] {
        let mut parcels = honest.clone();
        parcels[culprit].signature = honest[(culprit + 1) % honest.len()].signature;
        let id = parcels[culprit].entry.id();
        let verdicts = verify(parcels, [culprit as u8; 32]);
        assert_eq!(verdicts[culprit], Err(Fault::Signature { id }));
        assert_eq!(verdicts.iter().filter(|verdict| verdict.is_err()).count(), 1);
    }
    let mut parcels = honest;
    parcels[5].payloads[0] = Some(b"other".to_vec());
    let verdicts = verify(parcels, [0; 32]);
    assert!(matches!(verdicts[5], Err(Fault::Payload { .. })));
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_err()).count(), 1);
    assert!(verify(Vec::new(), [0; 32]).is_empty());
}

#[test]
fn no_encoding_of_a_small_order_point_is_a_key() {
    for (n, encoding) in small_order_encodings().into_iter().enumerate() {
        assert!(CompressedEdwardsY(encoding).decompress().unwrap().is_small_order());
        let refusal = PublicKey::from_bytes(encoding).unwrap_err();
        assert_eq!(refusal == KeyError::NonCanonical, n >= 10, "encoding {n}: {refusal}");
    }
    for low in 0xed..=0xff {
        for sign in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, sign);
            assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::NonCanonical));
        }
    }
}

#[test]
fn a_signature_holds_for_no_other_domain() {
    let case = &golden()[0];
    let signature = Signature::from_bytes(case.signature);
    let holds =
        |domain| case.entry.author().verifies(domain, case.entry.id().as_bytes(), &signature);
    assert!(holds(Domain::Entry));
    assert!(
        ![Domain::Hello, Domain::Possession, Domain::Request, Domain::Presence]
            .into_iter()
            .any(holds)
    );
}

#[test]
fn what_is_signed_has_the_payloads_that_it_names() {
    let sections = vec![weald_dag::Section::of("s", b"one")];
    let fields = weald_dag::Fields { sections, ..crate::make::root() };
    let sign = |payloads: &[&[u8]]| {
        let payloads = payloads.iter().map(|payload| payload.to_vec()).collect();
        weald_dag::Verified::sign(fields.clone(), payloads, &crate::make::KEYS[0]).map(drop)
    };
    assert_eq!(sign(&[b"one"]), Ok(()));
    let store = "s".to_owned();
    assert_eq!(sign(&[b"two"]), Err(weald_dag::EntryError::Payload { store }));
    let none = weald_dag::EntryError::PayloadCount { found: 0, expected: 1 };
    assert_eq!(sign(&[]), Err(none));
}

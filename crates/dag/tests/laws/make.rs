//! Entries, parcels and strategies for the tests beside this file.

use std::sync::LazyLock;

use proptest::prelude::*;
use weald_dag::{Entry, EntryId, Fields, NONCE_LEN, PublicKey, SecretKey, Section, Time, Verified};

/// Keys to sign with.
pub(crate) static KEYS: LazyLock<Vec<SecretKey>> =
    LazyLock::new(|| (1..6).map(|seed| SecretKey::from_seed(&[seed; 32])).collect());

pub(crate) fn author() -> PublicKey {
    KEYS[0].public()
}

/// Fields of a root entry without sections.
pub(crate) fn root() -> Fields {
    Fields {
        parents: Vec::new(),
        time: Time::from_millis(1_700_000_000_000),
        author: author(),
        seq: 0,
        sections: Vec::new(),
        nonce: Some([7; NONCE_LEN]),
    }
}

/// Fields of an entry after `parents`, which may come in any order.
pub(crate) fn child(mut parents: Vec<EntryId>, time: Time) -> Fields {
    parents.sort_unstable();
    Fields { parents, time, nonce: None, ..root() }
}

/// Signs an entry whose sections are those of `payloads`, on stores `s00`, `s01` and so on.
pub(crate) fn signed(fields: Fields, payloads: Vec<Vec<u8>>) -> Verified {
    let sections = payloads.iter().enumerate();
    let sections =
        sections.map(|(place, payload)| Section::of(format!("s{place:02}"), payload)).collect();
    Verified::sign(Fields { sections, ..fields }, payloads, &KEYS[0]).unwrap()
}

/// Reads the fields back out of an entry.
pub(crate) fn fields_of(entry: &Entry) -> Fields {
    let body = entry.body();
    let nonce = entry.roots().map(|_| body[body.len() - NONCE_LEN..].try_into().unwrap());
    Fields {
        parents: entry.parents().to_vec(),
        time: entry.time(),
        author: entry.author(),
        seq: entry.seq(),
        sections: entry.sections().to_vec(),
        nonce,
    }
}

/// Numbers near each length of their encoding.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..30_u64,
        250..260_u64,
        65_530..65_540_u64,
        0xffff_fff0..0x1_0000_0010_u64,
        any::<u64>(),
    ]
}

fn section() -> impl Strategy<Value = (String, [u8; 32], u64)> {
    let length = prop_oneof![0..30_u64, 250..260_u64, 65_530..65_540_u64];
    ("[a-z_é]{1,30}", any::<[u8; 32]>(), length)
}

/// Fields of any entry.
pub(crate) fn fields() -> impl Strategy<Value = Fields> {
    let parents = prop::collection::btree_set(any::<[u8; 32]>(), 0..5);
    let sections = prop::collection::vec(section(), 0..5);
    let nonce = any::<[u8; NONCE_LEN]>();
    (parents, number(), 0..5_usize, number(), sections, nonce).prop_map(
        |(parents, time, author, seq, mut sections, nonce)| {
            sections.sort();
            sections.dedup_by(|a, b| a.0 == b.0);
            Fields {
                nonce: parents.is_empty().then_some(nonce),
                parents: parents.into_iter().map(EntryId::from_bytes).collect(),
                time: Time::from_raw(time),
                author: KEYS[author].public(),
                seq,
                sections: sections
                    .into_iter()
                    .map(|(store, hash, length)| Section { store, hash, length })
                    .collect(),
            }
        },
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The lines of a golden file that are not comments, split at spaces.
pub(crate) fn golden_lines(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(' ').collect()).collect()
}

//! Each limit of the format at its bound and one beyond, when writing and when reading.

use weald_dag::limits::{
    BODY_MAX, ENTRY_MAX, PARENTS_MAX, PAYLOAD_MAX, SECTIONS_MAX, STORE_NAME_MAX,
};
use weald_dag::{Entry, EntryError, EntryId, Fields, Parcel, Section, Time};

use crate::make::{child, root, signed};

fn parents(count: usize) -> Vec<EntryId> {
    (0..count).map(|n| EntryId::from_bytes([n as u8; 32])).collect()
}

fn sections(lengths: impl IntoIterator<Item = u64>) -> Vec<Section> {
    let each = lengths.into_iter().enumerate();
    each.map(|(n, length)| Section { store: format!("{n:03}"), hash: [9; 32], length }).collect()
}

/// Writes fields without any check, as someone else's program may.
fn forged(fields: &Fields) -> Vec<u8> {
    let mut out = vec![0x87, 1];
    head(&mut out, 4, fields.parents.len() as u64);
    fields.parents.iter().for_each(|parent| bytes(&mut out, parent.as_bytes()));
    head(&mut out, 0, fields.time.raw());
    bytes(&mut out, fields.author.as_bytes());
    head(&mut out, 0, fields.seq);
    head(&mut out, 4, fields.sections.len() as u64);
    for section in &fields.sections {
        out.push(0x83);
        head(&mut out, 3, section.store.len() as u64);
        out.extend(section.store.as_bytes());
        bytes(&mut out, &section.hash);
        head(&mut out, 0, section.length);
    }
    match &fields.nonce {
        Some(nonce) => bytes(&mut out, nonce),
        None => out.push(0xf6),
    }
    out
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, 2, bytes.len() as u64);
    out.extend(bytes);
}

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let width = match n {
        0..24 => return out.push(major << 5 | n as u8),
        24..0x100 => 0,
        0x100..0x1_0000 => 1,
        0x1_0000..0x1_0000_0000 => 2,
        _ => 3,
    };
    out.push(major << 5 | (24 + width));
    out.extend(&n.to_be_bytes()[8 - (1 << width)..]);
}

fn accepted(fields: Fields) {
    let entry = Entry::encode(fields.clone()).unwrap();
    assert_eq!(entry.body(), forged(&fields));
    assert_eq!(Entry::decode(entry.body()).unwrap(), entry);
}

fn refused(fields: Fields, expected: &EntryError) {
    assert_eq!(Entry::decode(&forged(&fields)).as_ref(), Err(expected));
    assert_eq!(Entry::encode(fields).as_ref(), Err(expected));
}

fn too_many(what: &'static str, limit: usize) -> EntryError {
    EntryError::TooMany { what, found: limit as u64 + 1, limit: limit as u64 }
}

#[test]
fn parents_have_a_bound() {
    let time = Time::from_millis(1);
    accepted(child(parents(1), time));
    accepted(child(parents(PARENTS_MAX), time));
    refused(child(parents(PARENTS_MAX + 1), time), &too_many("parents", PARENTS_MAX));
}

#[test]
fn sections_have_a_bound() {
    let with = |count: usize| Fields { sections: sections(vec![0; count]), ..root() };
    accepted(with(SECTIONS_MAX));
    refused(with(SECTIONS_MAX + 1), &too_many("sections", SECTIONS_MAX));
}

#[test]
fn store_names_have_bounds_in_bytes() {
    let named = |store: String| Fields {
        sections: vec![Section { store, hash: [0; 32], length: 0 }],
        ..root()
    };
    accepted(named("n".into()));
    accepted(named("é".repeat(STORE_NAME_MAX / 2)));
    refused(named(String::new()), &EntryError::EmptyStoreName);
    let expected = too_many("bytes of store name", STORE_NAME_MAX);
    refused(named("n".repeat(STORE_NAME_MAX + 1)), &expected);
}

#[test]
fn payloads_have_bounds_alone_and_together() {
    let with = |lengths: &[u64]| Fields { sections: sections(lengths.to_vec()), ..root() };
    let most = PAYLOAD_MAX as u64;
    accepted(with(&[most]));
    refused(with(&[most + 1]), &too_many("bytes in one section", PAYLOAD_MAX));
    let all = ENTRY_MAX - BODY_MAX;
    let last = (all - 3 * PAYLOAD_MAX) as u64;
    accepted(with(&[most, most, most, last]));
    refused(with(&[most, most, most, last + 1]), &too_many("bytes of payloads", all));
}

#[test]
fn the_longest_body_that_the_limits_allow_fits() {
    let long = |n: usize| format!("{n:03}{}", "n".repeat(STORE_NAME_MAX - 3));
    let length = (ENTRY_MAX - BODY_MAX) as u64 / SECTIONS_MAX as u64;
    let sections = (0..SECTIONS_MAX).map(|n| Section { store: long(n), hash: [1; 32], length });
    let fields = Fields {
        sections: sections.collect(),
        seq: u64::MAX,
        ..child(parents(PARENTS_MAX), Time::from_raw(u64::MAX))
    };
    let entry = Entry::encode(fields.clone()).unwrap();
    assert!(entry.body().len() <= BODY_MAX);
    accepted(fields);
    assert_eq!(Entry::decode(&vec![0; BODY_MAX + 1]), Err(too_many("bytes of body", BODY_MAX)));
}

#[test]
fn parents_and_sections_ascend_strictly() {
    let mut twice = child(parents(2), Time::from_millis(1));
    twice.parents[1] = twice.parents[0];
    refused(twice, &EntryError::Order { what: "parents" });
    let mut backwards = child(parents(3), Time::from_millis(1));
    backwards.parents.swap(0, 2);
    refused(backwards, &EntryError::Order { what: "parents" });
    let mut twice = Fields { sections: sections([0, 0]), ..root() };
    twice.sections[1].store = twice.sections[0].store.clone();
    refused(twice, &EntryError::Order { what: "sections" });
    let mut backwards = Fields { sections: sections([0, 0]), ..root() };
    backwards.sections.swap(0, 1);
    refused(backwards, &EntryError::Order { what: "sections" });
}

#[test]
fn a_nonce_and_parents_exclude_each_other() {
    refused(Fields { nonce: None, ..root() }, &EntryError::Nonce { parents: 0 });
    let both = Fields { parents: parents(2), ..root() };
    refused(both, &EntryError::Nonce { parents: 2 });
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_its_bytes_are_read() {
    let huge = [0x87, 1, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let expected = EntryError::TooMany { what: "parents", found: u64::MAX, limit: 32 };
    assert_eq!(Entry::decode(&huge), Err(expected));
    let parcel = signed(root(), vec![vec![5; 10]]).into_parcel();
    let mut bytes = Vec::new();
    parcel.encode(&mut bytes);
    let payload = bytes.len() - 11;
    assert_eq!(bytes[payload], 11);
    bytes.truncate(payload);
    bytes.extend([0xff, 0xff, 0xff, 0x7f]);
    assert!(Parcel::decode(&mut bytes.as_slice()).is_err());
}

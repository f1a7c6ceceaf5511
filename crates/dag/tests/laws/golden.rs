//! Bytes under version control: what was once written decodes, encodes to the same bytes and has
//! the same id, for good. When one of these tests fails, the format was broken: do not change the
//! files, add to them.

use weald_dag::{Entry, EntryId, Fields, Parcel, Section, Time, verify};

use crate::make::{KEYS, child, fields_of, golden_lines, hex, root, signed, unhex};

const ENTRIES: &str = include_str!("../golden/entries.txt");
const PARCELS: &str = include_str!("../golden/parcels.txt");

fn entries() -> Vec<(&'static str, Fields)> {
    let ids = |ids: &[u8]| ids.iter().map(|id| EntryId::from_bytes([*id; 32])).collect();
    let later = Time::from_raw(Time::from_millis(1_700_000_000_123).raw() + 5);
    let sections = vec![
        Section::of("_settings", b""),
        Section::of("messages", b"hello"),
        Section::of("räume", &[0xab; 300]),
    ];
    let after_two = Fields { seq: 7, author: KEYS[1].public(), ..child(ids(&[1, 0xfe]), later) };
    vec![
        ("root", root()),
        ("root-with-settings", Fields { sections: sections[..1].to_vec(), ..root() }),
        ("after-two-parents", after_two.clone()),
        ("with-sections", Fields { sections, ..after_two }),
        ("largest-numbers", Fields { seq: u64::MAX, ..child(ids(&[0]), Time::from_raw(u64::MAX)) }),
    ]
}

fn parcels() -> Vec<(&'static str, Parcel)> {
    let payloads = vec![b"first".to_vec(), vec![0x5a; 200], Vec::new()];
    let whole = signed(root(), payloads).into_parcel();
    let mut partial = whole.clone();
    partial.payloads[1] = None;
    vec![("whole", whole), ("absent-payload", partial)]
}

fn bytes_of(parcel: &Parcel) -> Vec<u8> {
    let mut bytes = Vec::new();
    parcel.encode(&mut bytes);
    bytes
}

#[test]
fn old_entries_decode_and_encode_to_the_same_bytes_and_id() {
    let lines = golden_lines(ENTRIES);
    assert!(!lines.is_empty());
    for line in lines {
        let [name, id, body] = line[..] else { panic!("three words a line: {line:?}") };
        let entry = Entry::decode(&unhex(body)).unwrap();
        assert_eq!(entry.id().to_string(), id, "{name}");
        assert_eq!(hex(Entry::encode(fields_of(&entry)).unwrap().body()), body, "{name}");
        assert_eq!(
            entry.roots().map(|database| database.root()).is_some(),
            name.starts_with("root")
        );
    }
}

#[test]
fn entries_are_written_as_they_always_were() {
    let written: Vec<String> = entries()
        .into_iter()
        .map(|(name, fields)| {
            let entry = Entry::encode(fields).unwrap();
            format!("{name} {} {}", entry.id(), hex(entry.body()))
        })
        .collect();
    let golden: Vec<String> = golden_lines(ENTRIES).iter().map(|line| line.join(" ")).collect();
    assert!(golden == written, "now written:\n{}\n", written.join("\n"));
}

#[test]
fn old_parcels_decode_encode_and_verify() {
    let lines = golden_lines(PARCELS);
    assert!(!lines.is_empty());
    for line in lines {
        let [name, bytes] = line[..] else { panic!("two words a line: {line:?}") };
        let decoded = unhex(bytes);
        let mut left = decoded.as_slice();
        let parcel = Parcel::decode(&mut left).unwrap();
        assert!(left.is_empty());
        assert_eq!(hex(&bytes_of(&parcel)), bytes, "{name}");
        assert_eq!(parcel.payloads.iter().any(Option::is_none), name == "absent-payload");
        assert!(verify(vec![parcel], [0; 32])[0].is_ok(), "{name}");
    }
}

#[test]
fn parcels_are_written_as_they_always_were() {
    let line = |(name, parcel): (&str, Parcel)| format!("{name} {}", hex(&bytes_of(&parcel)));
    let written: Vec<String> = parcels().into_iter().map(line).collect();
    let golden: Vec<String> = golden_lines(PARCELS).iter().map(|line| line.join(" ")).collect();
    assert!(golden == written, "now written:\n{}\n", written.join("\n"));
}

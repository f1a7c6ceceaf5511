//! The strict coder of bodies: one encoding, the same that CBOR libraries write, and no other taken.

use ciborium::Value;
use proptest::prelude::*;
use weald_dag::{Entry, EntryError, Fields, Parcel, Signature};

use crate::make::{fields, fields_of, root, signed};

fn value_of(fields: &Fields) -> Value {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let parents = fields.parents.iter().map(|parent| bytes(parent.as_bytes())).collect();
    let sections = fields.sections.iter().map(|section| {
        let store = Value::Text(section.store.clone());
        Value::Array(vec![store, bytes(&section.hash), section.length.into()])
    });
    Value::Array(vec![
        1.into(),
        Value::Array(parents),
        fields.time.raw().into(),
        bytes(fields.author.as_bytes()),
        fields.seq.into(),
        Value::Array(sections.collect()),
        fields.nonce.as_ref().map_or(Value::Null, |nonce| bytes(nonce)),
    ])
}

/// Whoever decodes `bytes` gets an error, or a canonical entry with another id than `original`.
fn assert_no_second_form(original: &Entry, bytes: &[u8]) {
    let Ok(other) = Entry::decode(bytes) else { return };
    assert_eq!(other.body(), bytes);
    assert_eq!(Entry::encode(fields_of(&other)).unwrap(), other);
    assert_eq!(other.id() == original.id(), bytes == original.body());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_entry_decodes_to_what_was_encoded(fields in fields()) {
        let entry = Entry::encode(fields.clone()).unwrap();
        let decoded = Entry::decode(entry.body()).unwrap();
        prop_assert_eq!(&decoded, &entry);
        prop_assert_eq!(fields_of(&decoded), fields);
    }

    #[test]
    fn a_body_is_what_a_cbor_library_writes_and_reads(fields in fields()) {
        let entry = Entry::encode(fields.clone()).unwrap();
        let read: Value = ciborium::from_reader(entry.body()).unwrap();
        prop_assert_eq!(&read, &value_of(&fields));
        let mut written = Vec::new();
        ciborium::into_writer(&read, &mut written).unwrap();
        prop_assert_eq!(written, entry.body());
    }

    #[test]
    fn changed_bytes_never_name_the_same_entry(
        fields in fields(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        bit in 0..8_u8,
    ) {
        let entry = Entry::encode(fields).unwrap();
        let at = at.index(entry.body().len());
        let change = |make: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = entry.body().to_vec();
            make(&mut bytes);
            assert_no_second_form(&entry, &bytes);
        };
        change(&|bytes| bytes[at] ^= 1 << bit);
        change(&|bytes| bytes[at] = byte);
        change(&|bytes| bytes.truncate(at));
        change(&|bytes| bytes.insert(at, byte));
        change(&|bytes| bytes.truncate(bytes.len() - 1));
        change(&|bytes| {
            bytes.remove(at);
        });
        change(&|bytes| bytes.push(byte));
    }

    #[test]
    fn another_form_of_the_same_value_is_refused(fields in fields()) {
        let value = value_of(&fields);
        let mut canonical = Emitter::new(usize::MAX, Form::Shortest);
        canonical.emit(&value);
        let entry = Entry::encode(fields).unwrap();
        prop_assert_eq!(&canonical.out, entry.body());
        for head in 0..canonical.heads {
            for form in [Form::Wide(1), Form::Wide(2), Form::Wide(4), Form::Wide(8), Form::Indefinite] {
                let mut other = Emitter::new(head, form);
                other.emit(&value);
                if other.out != canonical.out {
                    let same: Value = ciborium::from_reader(other.out.as_slice()).unwrap();
                    prop_assert_eq!(&same, &value);
                    prop_assert!(Entry::decode(&other.out).is_err(), "head {head} as {form:?}");
                }
            }
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(Entry::decode(&bytes));
        drop(Parcel::decode(&mut bytes.as_slice()));
    }

    #[test]
    fn a_parcel_round_trips_and_leaves_what_follows(
        fields in fields(),
        signature in prop::collection::vec(any::<u8>(), 64),
        payloads in prop::collection::vec(any::<Option<Vec<u8>>>(), 5),
        rest in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let entry = Entry::encode(fields).unwrap();
        let payloads = payloads.into_iter().take(entry.sections().len()).collect();
        let signature = Signature::from_bytes(signature.try_into().unwrap());
        let parcel = Parcel { entry, signature, payloads };
        let mut bytes = Vec::new();
        parcel.encode(&mut bytes);
        let whole = bytes.len();
        bytes.extend(&rest);
        let mut left = bytes.as_slice();
        prop_assert_eq!(Parcel::decode(&mut left).unwrap(), parcel);
        prop_assert_eq!(left, rest);
        for end in 0..whole {
            prop_assert!(Parcel::decode(&mut &bytes[..end]).is_err());
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Shortest,
    /// The number of the head takes this many bytes, where that is more than it needs.
    Wide(usize),
    /// An array or string of indefinite length.
    Indefinite,
}

/// Writes CBOR with one head, counted from the front, in another form.
struct Emitter {
    out: Vec<u8>,
    heads: usize,
    other: usize,
    form: Form,
}

impl Emitter {
    fn new(other: usize, form: Form) -> Self {
        Self { out: Vec::new(), heads: 0, other, form }
    }

    fn emit(&mut self, value: &Value) {
        match value {
            Value::Integer(n) => drop(self.head(0, u64::try_from(*n).unwrap())),
            Value::Bytes(bytes) => self.string(2, bytes),
            Value::Text(text) => self.string(3, text.as_bytes()),
            Value::Null => self.out.push(0xf6),
            Value::Array(items) => {
                let indefinite = self.head(4, items.len() as u64);
                items.iter().for_each(|item| self.emit(item));
                if indefinite {
                    self.out.push(0xff);
                }
            }
            _ => panic!("no such value stands in a body"),
        }
    }

    fn string(&mut self, major: u8, bytes: &[u8]) {
        if self.head(major, bytes.len() as u64) {
            self.heads -= 1;
            self.number(major, bytes.len() as u64, 0);
            self.heads += 1;
            self.out.extend(bytes);
            self.out.push(0xff);
        } else {
            self.out.extend(bytes);
        }
    }

    /// Writes a head, and returns whether it opened an indefinite length.
    fn head(&mut self, major: u8, n: u64) -> bool {
        let chosen = self.heads == self.other;
        self.heads += 1;
        match self.form {
            Form::Indefinite if chosen && major != 0 => {
                self.out.push(major << 5 | 31);
                return true;
            }
            Form::Wide(width) if chosen => self.number(major, n, width),
            _ => self.number(major, n, 0),
        }
        false
    }

    fn number(&mut self, major: u8, n: u64, at_least: usize) {
        let needed = match n {
            0..24 => 0,
            24..0x100 => 1,
            0x100..0x1_0000 => 2,
            0x1_0000..0x1_0000_0000 => 4,
            _ => 8,
        };
        let width = needed.max(at_least);
        match width {
            0 => self.out.push(major << 5 | n as u8),
            1 => self.out.push(major << 5 | 24),
            2 => self.out.push(major << 5 | 25),
            4 => self.out.push(major << 5 | 26),
            _ => self.out.push(major << 5 | 27),
        }
        self.out.extend(&n.to_be_bytes()[8 - width..]);
    }
}

type Change = dyn Fn(&mut Vec<Value>);

#[test]
fn bodies_of_another_shape_are_refused() {
    let body_with = |change: &Change| {
        let Value::Array(mut items) = value_of(&root()) else { panic!() };
        change(&mut items);
        let mut bytes = Vec::new();
        ciborium::into_writer(&Value::Array(items), &mut bytes).unwrap();
        Entry::decode(&bytes)
    };
    assert!(body_with(&|_| {}).is_ok());
    let newer = body_with(&|items| items[0] = 2.into());
    assert_eq!(newer, Err(EntryError::NewerVersion { found: 2 }));
    let newer_and_longer = body_with(&|items| {
        items[0] = 2.into();
        items.push(Value::Null);
    });
    assert_eq!(newer_and_longer, Err(EntryError::NewerVersion { found: 2 }));
    let shapes: [&Change; 8] = [
        &|items| items[0] = 0.into(),
        &|items| items.push(Value::Null),
        &|items| drop(items.pop()),
        &|items| items[2] = Value::Float(1.0),
        &|items| items[2] = (-1).into(),
        &|items| items[4] = Value::Tag(1, Box::new(1.into())),
        &|items| items[5] = Value::Map(Vec::new()),
        &|items| items[6] = Value::Bytes(vec![0; 15]),
    ];
    for shape in shapes {
        assert!(matches!(body_with(shape), Err(EntryError::Coding(_))));
    }
}

#[test]
fn a_payload_is_checked_by_hash_and_length() {
    let parcel = signed(root(), vec![b"one".to_vec(), b"two".to_vec()]).into_parcel();
    assert_eq!(parcel.check_payloads(), Ok(()));
    let mut absent = parcel.clone();
    absent.payloads[0] = None;
    assert_eq!(absent.check_payloads(), Ok(()));
    let mut wrong = parcel.clone();
    wrong.payloads[1] = Some(b"too".to_vec());
    assert!(wrong.check_payloads().unwrap_err().to_string().contains("'s01'"));
    let mut few = parcel;
    few.payloads.pop();
    assert!(few.check_payloads().is_err());
}

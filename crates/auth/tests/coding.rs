//! The bytes of settings operations: one encoding, bounded, and nothing else is taken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ciborium::{Value, cbor};
use proptest::prelude::*;
use weald_auth::{
    GRANT_NAME_MAX, Level, Operation, SETTING_KEY_MAX, SETTINGS_OPERATIONS_MAX, SettingsError,
    Subject, decode_operations, encode_operations,
};
use weald_dag::{KeyError, SecretKey};

fn bytes_of(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn set(key: &str) -> Operation {
    Operation::Set { key: key.into(), value: String::new() }
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = (0..4_u8).prop_map(|seed| Subject::Key(SecretKey::from_seed(&[seed; 32]).public()));
    let level = prop_oneof![
        any::<u32>().prop_map(Level::Admin),
        any::<u32>().prop_map(Level::Write),
        Just(Level::Read),
    ];
    let subject = prop_oneof![key.clone(), Just(Subject::Anyone)];
    let gives = prop_oneof![any::<u32>().prop_map(Level::Write), Just(Level::Read)];
    let invite = (key, gives, 1_u32.., any::<Option<u64>>());
    let limit = (subject.clone(), prop::option::of(level.clone()));
    let grant = (subject, level, any::<Option<String>>(), any::<Option<u64>>());
    prop_oneof![
        grant.prop_map(|(subject, level, name, expires)| Operation::Grant {
            subject,
            level,
            name: name.map(|name| name.chars().take(GRANT_NAME_MAX / 4).collect()),
            expires,
        }),
        invite.prop_filter_map("an invite is for a key", |(subject, gives, uses, expires)| {
            let Subject::Key(key) = subject else { return None };
            Some(Operation::Invite { key, gives, uses, expires })
        }),
        limit.prop_map(|(subject, to)| Operation::Limit { subject, to }),
        (".{1,20}", ".{0,40}").prop_map(|(key, value)| Operation::Set { key, value }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn operations_round_trip(operations in prop::collection::vec(operation(), 0..8)) {
        let bytes = encode_operations(&operations).unwrap();
        prop_assert_eq!(decode_operations(&bytes).unwrap(), operations);
    }

    #[test]
    fn what_decodes_has_no_other_bytes(
        operations in prop::collection::vec(operation(), 0..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        kind in 0..3_u8,
    ) {
        let mut bytes = encode_operations(&operations).unwrap();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        if let Ok(read) = decode_operations(&bytes) {
            prop_assert_eq!(encode_operations(&read).unwrap(), bytes);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode_operations(&bytes));
    }
}

#[test]
fn bytes_under_version_control_still_decode() {
    let key = SecretKey::from_seed(&[1; 32]).public();
    let golden = [
        [0x82, 0x01, 0x85, 0x85, 0x00, 0x58, 0x20].as_slice(),
        key.as_bytes(),
        &[0x82, 0x00, 0x00, 0x62, b'm', b'e', 0xf6],
        &[0x85, 0x00, 0xf6, 0x82, 0x01, 0x0a, 0xf6, 0x19, 0x03, 0xe8],
        &[0x83, 0x01, 0x64, b'n', b'a', b'm', b'e', 0x61, b'W'],
        &[0x85, 0x02, 0x58, 0x20],
        key.as_bytes(),
        &[0x81, 0x02, 0x03, 0xf6],
        &[0x83, 0x03, 0xf6, 0xf6],
    ]
    .concat();
    let (subject, level) = (Subject::Key(key), Level::Admin(0));
    let anyone = Subject::Anyone;
    let operations = [
        Operation::Grant { subject, level, name: Some("me".into()), expires: None },
        Operation::Grant {
            subject: anyone,
            level: Level::Write(10),
            name: None,
            expires: Some(1000),
        },
        Operation::Set { key: "name".into(), value: "W".into() },
        Operation::Invite { key, gives: Level::Read, uses: 3, expires: None },
        Operation::Limit { subject: anyone, to: None },
    ];
    assert_eq!(decode_operations(&golden).unwrap(), operations);
    assert_eq!(encode_operations(&operations).unwrap(), golden);
}

#[test]
fn each_limit_holds_at_its_bound_and_not_beyond() {
    let too_many = |what, limit: usize| SettingsError::TooMany { what, found: limit + 1, limit };
    let sets = |count| vec![set("k"); count];
    let bytes = encode_operations(&sets(SETTINGS_OPERATIONS_MAX)).unwrap();
    assert_eq!(decode_operations(&bytes).unwrap().len(), SETTINGS_OPERATIONS_MAX);
    let expected = too_many("operations", SETTINGS_OPERATIONS_MAX);
    assert_eq!(encode_operations(&sets(SETTINGS_OPERATIONS_MAX + 1)), Err(expected.clone()));
    let listed = vec![cbor!([1, "k", ""]).unwrap(); SETTINGS_OPERATIONS_MAX + 1];
    let bytes = bytes_of(&Value::Array(vec![1.into(), Value::Array(listed)]));
    assert_eq!(decode_operations(&bytes), Err(expected));

    let key = |length| encode_operations(&[set(&"k".repeat(length))]);
    assert!(key(SETTING_KEY_MAX).is_ok());
    assert_eq!(key(SETTING_KEY_MAX + 1), Err(too_many("bytes in a key", SETTING_KEY_MAX)));
    assert_eq!(key(0), Err(SettingsError::EmptyKey));

    let name = |length| {
        let (subject, name) = (Subject::Anyone, Some("n".repeat(length)));
        encode_operations(&[Operation::Grant { subject, level: Level::Read, name, expires: None }])
    };
    assert!(name(GRANT_NAME_MAX).is_ok());
    assert_eq!(name(GRANT_NAME_MAX + 1), Err(too_many("bytes in a name", GRANT_NAME_MAX)));

    let limit = weald_dag::limits::PAYLOAD_MAX;
    let value = |length| {
        encode_operations(&[Operation::Set { key: "k".into(), value: "v".repeat(length) }])
    };
    let around = value(limit - 100).unwrap().len() - (limit - 100);
    assert_eq!(value(limit - around).unwrap().len(), limit);
    assert_eq!(value(limit - around + 1), Err(too_many("bytes", limit)));
    assert_eq!(decode_operations(&vec![0; limit + 1]), Err(too_many("bytes", limit)));
}

#[test]
fn what_is_wrong_with_bytes_is_told_apart() {
    let refused =
        |value: Result<Value, _>| decode_operations(&bytes_of(&value.unwrap())).unwrap_err();
    let unexpected = |expected| SettingsError::Unexpected { expected };
    assert!(matches!(decode_operations(&[]), Err(SettingsError::NotCbor(_))));
    assert_eq!(refused(cbor!([2, {}])), SettingsError::NewerVersion { found: 2 });
    assert_eq!(refused(cbor!([0, []])), unexpected("a version"));
    assert_eq!(refused(cbor!([])), unexpected("a version"));
    assert_eq!(refused(cbor!(7)), unexpected("settings"));
    assert_eq!(refused(cbor!([1])), unexpected("a list of operations and nothing more"));
    assert_eq!(refused(cbor!([1, [], []])), unexpected("a list of operations and nothing more"));
    assert_eq!(refused(cbor!([1, [[9, 1]]])), SettingsError::UnknownKind { kind: 9 });
    assert_eq!(refused(cbor!([1, [[]]])), unexpected("an operation"));
    assert_eq!(refused(cbor!([1, [[1, "k"]]])), unexpected("a setting of three parts"));
    assert_eq!(refused(cbor!([1, [[0, null]]])), unexpected("a grant of five parts"));
    assert_eq!(refused(cbor!([1, [[1, "", "v"]]])), SettingsError::EmptyKey);
    let grant = |level: Value| refused(cbor!([1, [[0, null, level, null, null]]]));
    assert_eq!(grant(cbor!([2, 0]).unwrap()), unexpected("a level"));
    assert_eq!(grant(cbor!([3]).unwrap()), SettingsError::UnknownLevel { kind: 3 });
    assert_eq!(grant(cbor!([0, 4_294_967_296_u64]).unwrap()), unexpected("a priority"));
    assert_eq!(grant(cbor!([0, -1]).unwrap()), unexpected("a priority"));
}

#[test]
fn an_invite_is_for_a_key_gives_no_admin_and_has_uses() {
    let key = SecretKey::from_seed(&[1; 32]).public();
    let invite = |gives, uses| Operation::Invite { key, gives, uses, expires: None };
    let encoded = |invite| encode_operations(&[invite]).map(drop);
    assert_eq!(encoded(invite(Level::Write(0), 1)), Ok(()));
    assert_eq!(encoded(invite(Level::Admin(9), 1)), Err(SettingsError::AdminByInvite));
    assert_eq!(encoded(invite(Level::Read, 0)), Err(SettingsError::NoUses));
    let refused = |parts: [Value; 5]| {
        let listed = Value::Array(vec![Value::Array(parts.to_vec())]);
        decode_operations(&bytes_of(&Value::Array(vec![1.into(), listed]))).unwrap_err()
    };
    let key = Value::Bytes(key.as_bytes().to_vec());
    let (read, admin) = (cbor!([2]).unwrap(), cbor!([0, 9]).unwrap());
    let parts = |key: &Value, level: &Value, uses: u64| {
        [2.into(), key.clone(), level.clone(), uses.into(), Value::Null]
    };
    assert_eq!(refused(parts(&key, &admin, 1)), SettingsError::AdminByInvite);
    assert_eq!(refused(parts(&key, &read, 0)), SettingsError::NoUses);
    let unexpected = |expected| SettingsError::Unexpected { expected };
    assert_eq!(refused(parts(&Value::Null, &read, 1)), unexpected("a key of 32 bytes"));
    assert_eq!(refused(parts(&key, &read, 1 << 32)), unexpected("a number of uses"));
    assert_eq!(refused(parts(&key, &Value::Null, 1)), unexpected("a level"));
}

#[test]
fn subjects_are_usable_keys() {
    let refused = |key: Vec<u8>| {
        let grant =
            vec![0.into(), Value::Bytes(key), cbor!([2]).unwrap(), Value::Null, Value::Null];
        let listed = Value::Array(vec![Value::Array(grant)]);
        decode_operations(&bytes_of(&Value::Array(vec![1.into(), listed]))).unwrap_err()
    };
    assert_eq!(refused(vec![0; 32]), SettingsError::Subject(KeyError::SmallOrder));
    assert_eq!(refused(vec![0xff; 32]), SettingsError::Subject(KeyError::NonCanonical));
    let expected = "a key of 32 bytes";
    assert_eq!(refused(vec![9; 31]), SettingsError::Unexpected { expected });
}

#[test]
fn other_encodings_of_the_same_operations_are_refused() {
    let bytes = [0x82, 0x01, 0x81, 0x83, 0x01, 0x61, b'k', 0x60];
    assert!(decode_operations(&bytes).is_ok());
    let refused = |bytes: &[u8]| decode_operations(bytes).unwrap_err();
    let long_version = [0x82, 0x18, 0x01, 0x81, 0x83, 0x01, 0x61, b'k', 0x60];
    assert_eq!(refused(&long_version), SettingsError::NonCanonical);
    let indefinite = [0x82, 0x01, 0x9f, 0x83, 0x01, 0x61, b'k', 0x60, 0xff];
    assert_eq!(refused(&indefinite), SettingsError::NonCanonical);
    assert_eq!(refused(&[bytes.as_slice(), &[0]].concat()), SettingsError::NonCanonical);
    let deep = [[0x81; 1000].as_slice(), &[0x80]].concat();
    assert!(matches!(refused(&deep), SettingsError::NotCbor(_)));
}

//! What is sealed opens where it belongs, with its key, unchanged, and nowhere else.

#![allow(clippy::unwrap_used)]

use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::sample::Index;
use proptest::{prop_assert, prop_assert_eq};
use weald_cipher::{
    Binding, CipherError, EpochKey, PasswordCost, PasswordLock, PasswordSeeds, RowCipher,
    open_section, seal_section, section_epoch, unwrap_as_reader, wrap_for_reader,
};

const CHEAP: PasswordCost = PasswordCost { memory: 64, passes: 1, lanes: 1 };
const SEEDS: PasswordSeeds = PasswordSeeds { salt: [1; 16], nonce: [2; 24] };

fn public(seed: &[u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_section_opens_with_its_key_at_its_place_and_unchanged(
        key: [u8; 32], nonce: [u8; 24], content: Vec<u8>, place in any::<Index>(),
    ) {
        let key = EpochKey::new(key);
        let binding = Binding { database: &[1; 32], store: "s", author: &[2; 32] };
        let sealed = seal_section(&key, nonce, &binding, &content).unwrap();
        prop_assert_eq!(section_epoch(&sealed).unwrap(), key.id());
        prop_assert_eq!(&*open_section(&key, &binding, &sealed).unwrap(), &content);
        for other in [
            Binding { database: &[3; 32], ..binding },
            Binding { store: "t", ..binding },
            Binding { author: &[3; 32], ..binding },
        ] {
            prop_assert!(open_section(&key, &other, &sealed).is_err());
        }
        prop_assert!(open_section(&EpochKey::new([9; 32]), &binding, &sealed).is_err());
        let mut changed = sealed.clone();
        changed[place.index(sealed.len())] ^= 1;
        prop_assert!(open_section(&key, &binding, &changed).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
        drop(section_epoch(&bytes));
        if let Ok(lock) = PasswordLock::from_bytes(&bytes) {
            prop_assert_eq!(lock.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_row_opens_at_its_place_only_and_always_rests_the_same(
        key: Vec<u8>, value: Vec<u8>, area: u8,
    ) {
        let rows = RowCipher::new(&EpochKey::new([7; 32]), &[1; 32], "s");
        let sealed = rows.seal(area, &key, &value).unwrap();
        let place = rows.place(area, &key);
        prop_assert_eq!(rows.open(area, &place, &sealed).unwrap(), (key.clone(), value.clone()));
        prop_assert_eq!(&rows.seal(area, &key, &value).unwrap(), &sealed);
        prop_assert!(rows.open(area.wrapping_add(1), &place, &sealed).is_err());
        prop_assert!(rows.open(area, &[0; 24], &sealed).is_err());
        let other = RowCipher::new(&EpochKey::new([7; 32]), &[1; 32], "t");
        prop_assert!(other.open(area, &place, &sealed).is_err());
    }

    #[test]
    fn a_wrapped_key_opens_for_its_reader_only(seed: [u8; 32], ephemeral: [u8; 32], other: u8) {
        let (key, at) = (EpochKey::new([5; 32]), (&[1; 32], "s"));
        let wrap = wrap_for_reader(&key, ephemeral, &public(&seed), at).unwrap();
        prop_assert_eq!(unwrap_as_reader(&seed, key.id(), at, &wrap).unwrap().id(), key.id());
        prop_assert!(unwrap_as_reader(&[other; 32], key.id(), at, &wrap).is_err());
        prop_assert!(unwrap_as_reader(&seed, key.id(), (&[2; 32], "s"), &wrap).is_err());
        prop_assert!(unwrap_as_reader(&seed, key.id(), (&[1; 32], "t"), &wrap).is_err());
        let another = EpochKey::new([6; 32]).id();
        prop_assert!(unwrap_as_reader(&seed, another, at, &wrap).is_err());
        let mut changed = wrap;
        changed[usize::from(other) % wrap.len()] ^= 1;
        prop_assert!(unwrap_as_reader(&seed, key.id(), at, &changed).is_err());
    }
}

#[test]
fn a_lock_opens_with_its_password_for_its_store_only() {
    let (keys, at) = ([EpochKey::new([1; 32]), EpochKey::new([2; 32])], (&[3; 32], "s"));
    let lock = PasswordLock::new("open sesame", CHEAP, SEEDS, at, &keys).unwrap();
    let lock = PasswordLock::from_bytes(&lock.to_bytes()).unwrap();
    let ids = |keys: &[EpochKey]| keys.iter().map(EpochKey::id).collect::<Vec<_>>();
    assert_eq!(ids(&lock.open("open sesame", at).unwrap()), ids(&keys));
    for (password, at) in
        [("Open sesame", at), ("open sesame", (&[4; 32], "s")), ("open sesame", (&[3; 32], "t"))]
    {
        assert!(matches!(lock.open(password, at), Err(CipherError::WrongPassword)));
    }
    let mut bytes = lock.to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let changed = PasswordLock::from_bytes(&bytes).unwrap();
    assert!(matches!(changed.open("open sesame", at), Err(CipherError::WrongPassword)));
}

#[test]
fn a_lock_that_would_cost_too_much_is_refused_before_it_is_tried() {
    let keys = [EpochKey::new([1; 32])];
    let lock = PasswordLock::new("p", CHEAP, SEEDS, (&[3; 32], "s"), &keys).unwrap();
    for place in [1, 5, 9] {
        let mut bytes = lock.to_bytes();
        bytes[place] = 0xff;
        assert!(matches!(PasswordLock::from_bytes(&bytes), Err(CipherError::Cost)));
    }
    let long = vec![1; weald_cipher::PASSWORD_LOCK_MAX + 1];
    assert!(PasswordLock::from_bytes(&long).is_err());
}

#[test]
fn a_section_that_is_sealed_too_long_is_refused() {
    let key = EpochKey::new([1; 32]);
    let binding = Binding { database: &[1; 32], store: "s", author: &[2; 32] };
    let longest = weald_crdt::MAX_PAYLOAD_BYTES - 512;
    let sealed = seal_section(&key, [1; 24], &binding, &vec![1; longest]).unwrap();
    assert_eq!(open_section(&key, &binding, &sealed).unwrap().len(), longest);
    let long = vec![1; weald_crdt::MAX_PAYLOAD_BYTES];
    assert!(matches!(seal_section(&key, [1; 24], &binding, &long), Err(CipherError::TooLong(_))));
}

#[test]
fn what_is_shown_of_keys_has_no_secret() {
    let key = EpochKey::new([0xab; 32]);
    let lock =
        PasswordLock::new("hunter2", CHEAP, SEEDS, (&[3; 32], "s"), std::slice::from_ref(&key));
    let rows = RowCipher::new(&key, &[1; 32], "s");
    let shown = format!("{key:?} {rows:?} {:?}", lock.unwrap());
    for secret in ["abab", "171, 171", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

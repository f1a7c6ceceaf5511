//! What may name a row of a table.
//!
//! Invariant: a name gives the same key however it is written.

use weald_crdt::{Key, Ulid};
use weald_dag::{DatabaseId, EntryId, PublicKey};

/// Becomes the key of a row: texts, integers, bytes, ids, tuples of up to six of these, and [`Key`]
/// itself.
///
/// Rows are in the order of their keys: integers by number, then texts by their UTF-8 bytes, then
/// bytes, then ULIDs by time, then tuples by their components from the left. An integer is an `i64`:
/// give a greater `u64`, as any id of fixed length, as its big-endian bytes (`to_be_bytes`), which
/// sort as the numbers do.
pub trait IntoKey {
    /// Returns the key.
    fn into_key(self) -> Key;
}

impl IntoKey for Key {
    fn into_key(self) -> Key {
        self
    }
}

impl IntoKey for &Key {
    fn into_key(self) -> Key {
        self.clone()
    }
}

macro_rules! into_key {
    ($($source:ty => $how:expr),* $(,)?) => {
        $(impl IntoKey for $source {
            fn into_key(self) -> Key {
                let make: fn($source) -> Key = $how;
                make(self)
            }
        })*
    };
}

into_key! {
    String => Key::Text,
    i64 => Key::Integer,
    i32 => |number| Key::Integer(number.into()),
    i16 => |number| Key::Integer(number.into()),
    i8 => |number| Key::Integer(number.into()),
    u32 => |number| Key::Integer(number.into()),
    u16 => |number| Key::Integer(number.into()),
    u8 => |number| Key::Integer(number.into()),
    Ulid => Key::Ulid,
    Vec<u8> => Key::Bytes,
    Vec<Key> => Key::Tuple,
    PublicKey => |key| Key::Bytes(key.as_bytes().to_vec()),
    DatabaseId => |id| Key::Bytes(id.as_bytes().to_vec()),
    EntryId => |id| Key::Bytes(id.as_bytes().to_vec()),
}

impl IntoKey for &str {
    fn into_key(self) -> Key {
        Key::Text(self.to_owned())
    }
}

impl IntoKey for &String {
    fn into_key(self) -> Key {
        Key::Text(self.clone())
    }
}

impl IntoKey for &[u8] {
    fn into_key(self) -> Key {
        Key::Bytes(self.to_vec())
    }
}

impl<const N: usize> IntoKey for [u8; N] {
    fn into_key(self) -> Key {
        Key::Bytes(self.to_vec())
    }
}

impl<const N: usize> IntoKey for &[u8; N] {
    fn into_key(self) -> Key {
        Key::Bytes(self.to_vec())
    }
}

macro_rules! tuple_into_key {
    ($($kind:ident $part:ident),*) => {
        impl<$($kind: IntoKey),*> IntoKey for ($($kind,)*) {
            fn into_key(self) -> Key {
                let ($($part,)*) = self;
                Key::Tuple(vec![$($part.into_key()),*])
            }
        }
    };
}

tuple_into_key!(A a);
tuple_into_key!(A a, B b);
tuple_into_key!(A a, B b, C c);
tuple_into_key!(A a, B b, C c, D d);
tuple_into_key!(A a, B b, C c, D d, E e);
tuple_into_key!(A a, B b, C c, D d, E e, F f);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_the_same_key_however_it_is_written() {
        assert_eq!("a".into_key(), String::from("a").into_key());
        assert_eq!(7_u8.into_key(), 7_i64.into_key());
        assert_eq!([1, 2].into_key(), vec![1, 2].into_key());
        assert_eq!((&[1_u8][..]).into_key(), (&[1]).into_key());
        assert_eq!((1, "a").into_key(), vec![Key::Integer(1), Key::from("a")].into_key());
        let six = ("a", 1, [2_u8; 16], "b", 3_u32, Key::from("c"));
        assert!(matches!(six.into_key(), Key::Tuple(parts) if parts.len() == 6));
    }

    #[test]
    fn kinds_stand_in_the_documented_order() {
        let ulid = Ulid::from_bytes([0; 16]);
        let keys = [
            i64::MIN.into_key(),
            (-1).into_key(),
            i64::MAX.into_key(),
            "".into_key(),
            "a".into_key(),
            "ä".into_key(),
            [].into_key(),
            u64::MAX.to_be_bytes().into_key(),
            ulid.into_key(),
            Vec::<Key>::new().into_key(),
            (1,).into_key(),
            (1, "").into_key(),
            ("a",).into_key(),
        ];
        assert!(keys.is_sorted());
        let bytes: Vec<_> = keys.iter().map(|key| key.encode().unwrap()).collect();
        assert!(bytes.is_sorted());
    }
}

//! What may name a row of a table.
//!
//! Invariant: a name gives the same key however it is written.

use weald_crdt::{Key, Ulid};
use weald_dag::{DatabaseId, EntryId, PublicKey};

/// Becomes the key of a row: texts, integers, bytes, ids, keys, and [`Key`] itself.
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

impl<A: IntoKey, B: IntoKey> IntoKey for (A, B) {
    fn into_key(self) -> Key {
        Key::Tuple(vec![self.0.into_key(), self.1.into_key()])
    }
}

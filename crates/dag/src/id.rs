//! Names of entries and databases: a hash, never a choice.

use std::fmt;
use std::str::FromStr;

use crate::text::{ID_LEN, SHORT_ID_LEN, TextError, bytes_from_text, text_of};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl $name {
            /// Takes the 32 bytes of an id.
            pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }

            /// Returns the first 10 characters of the text form, for people.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(SHORT_ID_LEN);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&text_of(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.short())
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                bytes_from_text(text).map(Self)
            }
        }
    };
}

id! {
    /// Names an entry: the hash of its body. Its text form is 52 characters of base32.
    EntryId
}
id! {
    /// Names a database: the id of its root entry.
    DatabaseId
}

id! {
    /// Names a request for access: the hash of its bytes.
    RequestId
}

impl RequestId {
    /// Returns the hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("weald 2026 access request v1");
        hasher.update(bytes);
        Self(*hasher.finalize().as_bytes())
    }
}

impl DatabaseId {
    /// Returns the id of the root entry.
    pub const fn root(&self) -> EntryId {
        EntryId(self.0)
    }
}

impl From<EntryId> for DatabaseId {
    fn from(root: EntryId) -> Self {
        Self(root.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_says_what_is_wrong() {
        let id = EntryId::from_bytes([7; 32]);
        let text = id.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse::<EntryId>().unwrap(), id);
        assert!(text.starts_with(&id.short()));
        assert_eq!("abc".parse::<EntryId>(), Err(TextError::Length(3)));
        let wrong = format!("{}1{}", &text[..5], &text[6..]);
        assert_eq!(wrong.parse::<EntryId>(), Err(TextError::Symbol(5)));
    }

    #[test]
    fn the_alphabet_is_lower_case() {
        assert!(EntryId::from_bytes([0; 32]).to_string().chars().all(|c| c == 'a'));
        assert!(EntryId::from_bytes([0xff; 32]).to_string().starts_with("77777777"));
    }
}

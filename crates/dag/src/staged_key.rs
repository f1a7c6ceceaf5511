//! The key of a staged row: one that is short rests in place, so that staging and comparing rows follow no pointer.
//!
//! Invariant: a key is its bytes; where they rest changes neither order nor equality.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// How long a key may be to rest in place, in bytes. Numbers, ids and the rows of most stores are shorter.
const SHORT_MAX: usize = 46;

/// The key of a staged row.
#[derive(Clone)]
pub(crate) enum StagedKey {
    /// The first so many of these bytes.
    Short(u8, [u8; SHORT_MAX]),
    Long(Box<[u8]>),
}

impl StagedKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(key);
                Self::Short(length, bytes)
            }
            _ => Self::Long(key.into()),
        }
    }

    /// Returns the first bytes as one number, zeros after the end.
    fn first(&self) -> u64 {
        let bytes: &[u8] = match self {
            Self::Short(_, bytes) => bytes,
            Self::Long(bytes) => bytes,
        };
        u64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for StagedKey {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for StagedKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for StagedKey {}

impl PartialOrd for StagedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StagedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most ids differ here. What follows a short key is zero, which puts it first as its end does.
        match self.first().cmp(&other.first()) {
            Ordering::Equal => self.as_slice().cmp(other.as_slice()),
            unlike => unlike,
        }
    }
}

impl fmt::Debug for StagedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        // Few bytes, so that keys share long beginnings, and many that end soon.
        prop_oneof![
            prop::collection::vec(0..2_u8, 0..2 * SHORT_MAX),
            prop::collection::vec(0..2_u8, 0..9)
        ]
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_their_bytes_are_wherever_they_rest(a in key(), b in key()) {
            let (one, other) = (StagedKey::new(&a), StagedKey::new(&b));
            prop_assert_eq!(one.as_slice(), a.as_slice());
            prop_assert_eq!(one.cmp(&other), a.cmp(&b));
            prop_assert_eq!(one == other, a == b);
        }
    }

    #[test]
    fn a_key_of_any_length_reads_back() {
        for length in [0, 1, SHORT_MAX - 1, SHORT_MAX, SHORT_MAX + 1, 300] {
            let key = vec![7; length];
            assert_eq!(StagedKey::new(&key).as_slice(), key);
        }
    }
}

//! Lists of ids and answers about them, as they stand in messages.
//!
//! Invariant: a list of ids is a byte string of whole ids.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
use weald_dag::{EntryId, ID_LEN};

/// Ids in one byte string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids(pub(crate) Vec<EntryId>);

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * ID_LEN);
        self.0.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        let (ids, rest) = bytes.as_chunks::<ID_LEN>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a list of ids ends in the middle of one"));
        }
        Ok(Self(ids.iter().map(|id| EntryId::from_bytes(*id)).collect()))
    }
}

impl Ids {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Short ids of a round in one byte string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortList(pub(crate) Vec<u64>);

impl ShortList {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for ShortList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|short| short.to_be_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for ShortList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        let (shorts, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(D::Error::custom("a list of short ids ends in the middle of one"));
        }
        Ok(Self(shorts.iter().map(|short| u64::from_be_bytes(*short)).collect()))
    }
}

/// A yes or no for each item of a list, eight in a byte, the first in the lowest bit; the nos at the end
/// are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bits(ByteBuf);

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(answers: I) -> Self {
        let mut bytes = Vec::new();
        for (i, answer) in answers.into_iter().enumerate() {
            if i % 8 == 0 {
                bytes.push(0);
            }
            if let Some(last) = bytes.last_mut() {
                *last |= u8::from(answer) << (i % 8);
            }
        }
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(length);
        Self(ByteBuf::from(bytes))
    }
}

impl Bits {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the answer for item `i`; what was not answered is a no.
    pub(crate) fn get(&self, i: usize) -> bool {
        self.0.get(i / 8).is_some_and(|byte| byte & (1 << (i % 8)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{from_cbor, to_cbor};

    #[test]
    fn ids_and_bits_read_back() {
        let ids = Ids((0..5).map(|n| EntryId::from_bytes([n; 32])).collect());
        assert_eq!(from_cbor::<Ids>(&to_cbor(&ids)), Some(ids));
        assert_eq!(from_cbor::<Ids>(&to_cbor(&ByteBuf::from(vec![0; 33]))), None);
        let answers: Vec<bool> = (0..21).map(|i| i % 3 == 0).collect();
        let bits: Bits = answers.iter().copied().collect();
        assert_eq!((0..21).map(|i| bits.get(i)).collect::<Vec<_>>(), answers);
        assert!(!bits.get(1000));
    }
}

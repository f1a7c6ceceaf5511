//! Where the next page of a query begins.
//!
//! Invariant: a cursor is only taken by the query that gave it: same store, same order, same range,
//! same direction, on the same device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

const VERSION: u8 = 1;
const QUERY_LEN: usize = 16;
const SEEN_LEN: usize = 8;

/// Says where the next page of a query begins; as text, or through serde, it can be kept and sent.
///
/// It holds the values and the key of the last row of the page before. A filter or a limit is not
/// part of what it is bound to: give the same ones again.
#[derive(Clone, PartialEq, Eq)]
pub struct QueryCursor {
    pub(super) query: QueryId,
    /// How many rows were given so far.
    pub(super) seen: u64,
    /// The place of the last one.
    pub(super) position: Vec<u8>,
}

impl fmt::Debug for QueryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryCursor({self})")
    }
}

/// Tells queries apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueryId([u8; QUERY_LEN]);

impl QueryId {
    /// Hashes what a query asks for.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("weald 2026 query cursor v1");
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut id = [0; QUERY_LEN];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
}

/// Why a cursor cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CursorError {
    /// It was given by another query.
    #[error("the cursor is of another query; begin at the first page")]
    OtherQuery,
    /// The text is not that of a cursor.
    #[error("the text is not a query cursor; take it whole from the page before")]
    Text,
}

impl fmt::Display for QueryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen.to_be_bytes();
        for part in [&[VERSION], &self.query.0[..], &seen, &self.position] {
            part.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for QueryCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let bytes = bytes.ok_or(CursorError::Text)?;
        let parts = || {
            let rest = bytes.strip_prefix(&[VERSION])?;
            let (query, rest) = rest.split_first_chunk::<QUERY_LEN>()?;
            let (seen, position) = rest.split_first_chunk::<SEEN_LEN>()?;
            let (query, seen) = (QueryId(*query), u64::from_be_bytes(*seen));
            Some(Self { query, seen, position: position.to_vec() })
        };
        parts().ok_or(CursorError::Text)
    }
}

impl Serialize for QueryCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QueryCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

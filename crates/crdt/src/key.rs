//! The key of a table row. Its encoding keeps the order: integers, texts, bytes, ulids, tuples; each
//! kind by its own order, tuples by their components from the left.

use std::ops::Bound;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_bytes::ByteBuf;

use crate::limits::{MAX_COMPONENT_BYTES, MAX_KEY_COMPONENTS, MAX_KEY_NESTING};
use crate::malformed::Malformed;
use crate::ordered;
use crate::ulid::Ulid;

const INTEGER: u8 = 0x10;
const TEXT: u8 = 0x20;
const BYTES: u8 = 0x30;
const ULID: u8 = 0x40;
const TUPLE: u8 = 0x50;
const TUPLE_END: u8 = 0x00;
/// Most keys are encoded without growing the buffer.
const TYPICAL_BYTES: usize = 32;
const SIGN: u64 = 1 << 63;

/// Names a row of a table.
///
/// By serde it is the bytes of [`Key::encode`], so that a row can name another one in a field, and an
/// index over such fields has the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A number of the app's.
    Integer(i64),
    /// A text of the app's.
    Text(String),
    /// Bytes of the app's.
    Bytes(Vec<u8>),
    /// A generated key that rises with time.
    Ulid(Ulid),
    /// Several keys in a row.
    Tuple(Vec<Key>),
}

impl Key {
    /// Returns the encoding, which sorts as the key does.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] if texts and bytes are longer than 1 KiB together or components too
    /// many, [`Malformed::TooDeep`] if tuples nest too deep.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut room = Room { bytes: MAX_COMPONENT_BYTES, components: MAX_KEY_COMPONENTS };
        let mut out = Vec::with_capacity(TYPICAL_BYTES);
        self.encode_into(&mut out, &mut room, MAX_KEY_NESTING)?;
        Ok(out)
    }

    /// Returns the key of an encoding.
    ///
    /// # Errors
    /// [`Malformed::BadKey`] for any bytes that [`Key::encode`] does not give, or one of its errors.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let key = take(&mut rest, MAX_KEY_NESTING)?;
        // These have one encoding each, and no limit.
        if rest.is_empty() && matches!(key, Self::Integer(_) | Self::Ulid(_)) {
            return Ok(key);
        }
        // Encoding again checks the limits, and that the bytes were the only ones for this key.
        if rest.is_empty() && key.encode()? == bytes { Ok(key) } else { Err(Malformed::BadKey) }
    }

    /// Returns whether this is a text, byte string or tuple that begins with the other one, or the
    /// same key.
    pub fn begins_with(&self, start: &Self) -> bool {
        match (self, start) {
            (Self::Text(key), Self::Text(start)) => key.starts_with(start.as_str()),
            (Self::Bytes(key), Self::Bytes(start)) => key.starts_with(start),
            (Self::Tuple(key), Self::Tuple(start)) => key.starts_with(start),
            (key, start) => key == start,
        }
    }

    fn encode_into(
        &self,
        out: &mut Vec<u8>,
        room: &mut Room,
        nesting: usize,
    ) -> Result<(), Malformed> {
        match self {
            Self::Integer(number) => {
                out.push(INTEGER);
                out.extend_from_slice(&(number.cast_unsigned() ^ SIGN).to_be_bytes());
            }
            Self::Text(text) => put_string(out, TEXT, text.as_bytes(), room)?,
            Self::Bytes(bytes) => put_string(out, BYTES, bytes, room)?,
            Self::Ulid(ulid) => {
                out.push(ULID);
                out.extend_from_slice(&ulid.to_bytes());
            }
            Self::Tuple(keys) => {
                let nesting = nesting.checked_sub(1).ok_or(Malformed::TooDeep)?;
                out.push(TUPLE);
                for key in keys {
                    room.components = room.components.checked_sub(1).ok_or(Malformed::TooLong)?;
                    key.encode_into(out, room, nesting)?;
                }
                out.push(TUPLE_END);
            }
        }
        Ok(())
    }

    /// Returns the start of the encodings of all texts, byte strings or tuples that begin with this.
    ///
    /// # Errors
    /// Those of [`Key::encode`].
    pub fn encode_prefix(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = self.encode()?;
        let end = match self {
            Self::Text(_) | Self::Bytes(_) => 2,
            Self::Tuple(_) => 1,
            Self::Integer(_) | Self::Ulid(_) => 0,
        };
        out.truncate(out.len().saturating_sub(end));
        Ok(out)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.encode().map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::decode(&ByteBuf::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Returns the encoding of the end of a range.
pub(crate) fn encode_bound(bound: Bound<&Key>) -> Result<Bound<Vec<u8>>, Malformed> {
    Ok(match bound {
        Bound::Included(key) => Bound::Included(key.encode()?),
        Bound::Excluded(key) => Bound::Excluded(key.encode()?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

struct Room {
    bytes: usize,
    components: usize,
}

fn put_string(out: &mut Vec<u8>, tag: u8, string: &[u8], room: &mut Room) -> Result<(), Malformed> {
    room.bytes = room.bytes.checked_sub(string.len()).ok_or(Malformed::TooLong)?;
    out.push(tag);
    ordered::put(out, string);
    Ok(())
}

fn take(rest: &mut &[u8], nesting: usize) -> Result<Key, Malformed> {
    let (tag, after) = rest.split_first().ok_or(Malformed::BadKey)?;
    *rest = after;
    match *tag {
        INTEGER => {
            let bytes = take_array::<8>(rest)?;
            Ok(Key::Integer((u64::from_be_bytes(bytes) ^ SIGN).cast_signed()))
        }
        TEXT => {
            let bytes = ordered::take(rest).ok_or(Malformed::BadKey)?;
            String::from_utf8(bytes).map(Key::Text).map_err(|_| Malformed::NotUtf8)
        }
        BYTES => ordered::take(rest).map(Key::Bytes).ok_or(Malformed::BadKey),
        ULID => take_array::<16>(rest).map(|bytes| Key::Ulid(Ulid::from_bytes(bytes))),
        TUPLE => {
            let nesting = nesting.checked_sub(1).ok_or(Malformed::TooDeep)?;
            let mut keys = Vec::new();
            loop {
                match rest.split_first() {
                    Some((&TUPLE_END, after)) => {
                        *rest = after;
                        return Ok(Key::Tuple(keys));
                    }
                    Some(_) if keys.len() < MAX_KEY_COMPONENTS => keys.push(take(rest, nesting)?),
                    Some(_) => return Err(Malformed::TooLong),
                    None => return Err(Malformed::BadKey),
                }
            }
        }
        _ => Err(Malformed::BadKey),
    }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(Malformed::BadKey)?;
    *rest = after;
    Ok(*head)
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Key {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Ulid> for Key {
    fn from(ulid: Ulid) -> Self {
        Self::Ulid(ulid)
    }
}

impl From<Vec<Key>> for Key {
    fn from(keys: Vec<Key>) -> Self {
        Self::Tuple(keys)
    }
}

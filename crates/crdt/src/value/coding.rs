//! The canonical bytes of a value: strict CBOR with map keys ascending by their UTF-8 bytes and
//! floats in eight bytes. Equal values have equal bytes, in payloads and in state rows alike.

use std::collections::BTreeMap;

use super::{Decimal, Timestamp, Value, ValueError};
use crate::cbor::{
    self, ARRAY, BYTES, DECIMAL_TAG, FALSE, FLOAT, MAP, NEGATIVE, NULL, Reader, TAG, TEXT,
    TIMESTAMP_TAG, TRUE, UNSIGNED, put_bytes, put_head, put_length, put_signed, put_text,
};
use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};
use crate::malformed::Malformed;

impl Value {
    /// Returns the canonical bytes of the value.
    ///
    /// # Errors
    /// [`ValueError`] for not-a-number, too deep nesting, or a map key that is too long.
    pub fn encode(&self) -> Result<Vec<u8>, ValueError> {
        let mut out = Vec::new();
        self.encode_into(&mut out, MAX_NESTING)?;
        Ok(out)
    }

    /// Returns the value of canonical bytes.
    ///
    /// # Errors
    /// [`Malformed`] for any bytes that [`Value::encode`] does not give.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = read(&mut reader, MAX_NESTING)?;
        reader.finish()?;
        Ok(value)
    }

    /// Appends the canonical bytes; lists and maps may nest `room` deep.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>, room: usize) -> Result<(), ValueError> {
        match self {
            Self::Null => out.push(NULL),
            Self::Bool(false) => out.push(FALSE),
            Self::Bool(true) => out.push(TRUE),
            Self::I64(number) => put_signed(out, *number),
            Self::U64(number) => put_head(out, UNSIGNED, *number),
            Self::F64(number) if number.is_nan() => return Err(ValueError::NotANumber),
            Self::F64(number) => {
                out.push(FLOAT);
                out.extend_from_slice(&number.to_bits().to_be_bytes());
            }
            Self::Text(text) => put_text(out, text),
            Self::Bytes(bytes) => put_bytes(out, bytes),
            Self::Timestamp(Timestamp(ms)) => {
                put_head(out, TAG, TIMESTAMP_TAG);
                put_signed(out, *ms);
            }
            Self::Decimal(decimal) => {
                put_head(out, TAG, DECIMAL_TAG);
                put_text(out, decimal.as_str());
            }
            Self::List(list) => {
                let room = room.checked_sub(1).ok_or(ValueError::TooDeep)?;
                put_length(out, ARRAY, list.len());
                for item in list {
                    item.encode_into(out, room)?;
                }
            }
            Self::Map(map) => {
                let room = room.checked_sub(1).ok_or(ValueError::TooDeep)?;
                put_length(out, MAP, map.len());
                for (key, value) in map {
                    check_component(key)?;
                    put_text(out, key);
                    value.encode_into(out, room)?;
                }
            }
        }
        Ok(())
    }
}

/// Checks the length of a map key or field name.
pub(super) fn check_component(key: &str) -> Result<(), ValueError> {
    if key.len() > MAX_COMPONENT_BYTES {
        return Err(ValueError::KeyTooLong { length: key.len() });
    }
    Ok(())
}

fn read(reader: &mut Reader<'_>, room: usize) -> Result<Value, Malformed> {
    let head = reader.head()?;
    Ok(match head.major {
        UNSIGNED => Value::U64(head.argument),
        NEGATIVE => Value::I64(cbor::negative(head.argument)?),
        BYTES => Value::Bytes(reader.string(head.argument)?.to_vec()),
        TEXT => Value::Text(reader.utf8(head.argument)?.to_owned()),
        ARRAY => {
            let room = room.checked_sub(1).ok_or(Malformed::TooDeep)?;
            let count = reader.count(head.argument, 1)?;
            Value::List((0..count).map(|_| read(reader, room)).collect::<Result<_, _>>()?)
        }
        MAP => {
            let room = room.checked_sub(1).ok_or(Malformed::TooDeep)?;
            let mut map = BTreeMap::new();
            let mut last = None;
            for _ in 0..reader.count(head.argument, 2)? {
                let key = reader.component()?;
                cbor::ascending(&mut last, key)?;
                map.insert(key.to_owned(), read(reader, room)?);
            }
            Value::Map(map)
        }
        TAG => match head.argument {
            TIMESTAMP_TAG => Value::Timestamp(Timestamp(reader.signed()?)),
            DECIMAL_TAG => {
                Value::Decimal(Decimal::new(reader.text()?).map_err(|_| Malformed::NotDecimal)?)
            }
            _ => return Err(Malformed::Expected { what: "a known tag" }),
        },
        _ => match cbor::float_or_simple(head)? {
            Some(float) => Value::F64(float),
            None if head.argument == 20 => Value::Bool(false),
            None if head.argument == 21 => Value::Bool(true),
            None => Value::Null,
        },
    })
}

//! Values inside index keys.
//!
//! Invariant: keys sort as the values do: missing, null, booleans, numbers of all kinds by what they
//! are worth, texts by their bytes, bytes, timestamps. No encoding is the start of another, so several
//! in a row sort from the left. What is cut sorts behind what is cut nowhere and begins like it.

use weald_crdt::{Timestamp, Value};

use super::number;

/// How many bytes of a text, of bytes, or of the digits of a decimal an index key holds; what is
/// longer is found all the same, and sorts among those that begin like it by the key of the row.
pub const INDEX_VALUE_BYTES_MAX: usize = 256;

const MISSING: u8 = 0x01;
const NULL: u8 = 0x02;
const FALSE: u8 = 0x04;
const TRUE: u8 = 0x05;
const TEXT: u8 = 0x20;
const BYTES: u8 = 0x28;
const TIMESTAMP: u8 = 0x30;

const ZERO: u8 = 0x00;
const END: u8 = 0x01;
const CUT: u8 = 0x02;
const ESCAPED_ZERO: u8 = 0xff;
const SIGN: u64 = 1 << 63;

/// How much of a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// As much as an index key holds.
    Key,
    /// All of it, to compare what was cut.
    Whole,
}

impl Width {
    /// Returns the part of the bytes that is written, and whether that is not all.
    pub(super) fn keep(self, bytes: &[u8]) -> (&[u8], bool) {
        match self {
            Self::Key => match bytes.split_at_checked(INDEX_VALUE_BYTES_MAX) {
                Some((kept, rest)) if !rest.is_empty() => (kept, true),
                _ => (bytes, false),
            },
            Self::Whole => (bytes, false),
        }
    }
}

/// Appends a value and returns whether it was cut; `None` if it is of a kind that is not indexed.
pub(super) fn put(out: &mut Vec<u8>, value: Option<&Value>, width: Width) -> Option<bool> {
    let Some(value) = value else {
        out.push(MISSING);
        return Some(false);
    };
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(truth) => out.push(if *truth { TRUE } else { FALSE }),
        Value::I64(number) => number::put_integer(out, *number < 0, number.unsigned_abs()),
        Value::U64(number) => number::put_integer(out, false, *number),
        Value::F64(number) => number::put_float(out, *number)?,
        Value::Decimal(decimal) => return number::put_decimal(out, decimal, width),
        Value::Text(text) => return Some(put_string(out, TEXT, text.as_bytes(), width)),
        Value::Bytes(bytes) => return Some(put_string(out, BYTES, bytes, width)),
        Value::Timestamp(Timestamp(ms)) => {
            out.push(TIMESTAMP);
            out.extend_from_slice(&(ms.cast_unsigned() ^ SIGN).to_be_bytes());
        }
        Value::List(_) | Value::Map(_) => return None,
    }
    Some(false)
}

fn put_string(out: &mut Vec<u8>, tag: u8, string: &[u8], width: Width) -> bool {
    let (kept, cut) = width.keep(string);
    put_start(out, tag, kept);
    out.extend_from_slice(&[ZERO, if cut { CUT } else { END }]);
    cut
}

fn put_start(out: &mut Vec<u8>, tag: u8, string: &[u8]) {
    out.push(tag);
    for byte in string {
        out.push(*byte);
        if *byte == ZERO {
            out.push(ESCAPED_ZERO);
        }
    }
}

/// Appends what all texts that begin with this one begin with; a longer one than a key holds is cut.
pub(super) fn put_text_start(out: &mut Vec<u8>, start: &str, width: Width) {
    let (kept, _) = width.keep(start.as_bytes());
    put_start(out, TEXT, kept);
}

/// Returns the first and the last first byte of values of the same kind as this one.
pub(super) const fn tags_of_kind(value: &Value) -> Option<(u8, u8)> {
    Some(match value {
        Value::Null => (NULL, NULL),
        Value::Bool(_) => (FALSE, TRUE),
        Value::I64(_) | Value::U64(_) | Value::F64(_) | Value::Decimal(_) => {
            (number::NEGATIVE, number::POSITIVE)
        }
        Value::Text(_) => (TEXT, TEXT),
        Value::Bytes(_) => (BYTES, BYTES),
        Value::Timestamp(_) => (TIMESTAMP, TIMESTAMP),
        Value::List(_) | Value::Map(_) => return None,
    })
}

#[cfg(test)]
mod tests;

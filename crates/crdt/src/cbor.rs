//! A strict CBOR coder: only shortest forms and definite lengths are read, and only those are
//! written, so equal items have equal bytes. Reading borrows and never allocates for a length it
//! has not seen.

use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};
use crate::malformed::Malformed;
use crate::value::Decimal;

pub(crate) const UNSIGNED: u8 = 0;
pub(crate) const NEGATIVE: u8 = 1;
pub(crate) const BYTES: u8 = 2;
pub(crate) const TEXT: u8 = 3;
pub(crate) const ARRAY: u8 = 4;
pub(crate) const MAP: u8 = 5;
pub(crate) const TAG: u8 = 6;
pub(crate) const SIMPLE: u8 = 7;

/// Tag of an integer that counts milliseconds since 1970.
pub(crate) const TIMESTAMP_TAG: u64 = 30_101;
/// Tag of a text that is a decimal number.
pub(crate) const DECIMAL_TAG: u64 = 30_102;

pub(crate) const FALSE: u8 = 0xf4;
pub(crate) const TRUE: u8 = 0xf5;
pub(crate) const NULL: u8 = 0xf6;
pub(crate) const FLOAT: u8 = 0xfb;
/// The whole encoding of a map without entries.
pub(crate) const EMPTY_MAP: &[u8] = &[0xa0];

/// The whole encoding of a list without items.
pub(crate) const EMPTY_LIST: &[u8] = &[0x80];

const FLOAT_INFO: u8 = 27;
pub(crate) const FALSE_INFO: u8 = 20;
pub(crate) const NULL_INFO: u8 = 22;

/// The first byte of an item and the number that follows it.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) major: u8,
    pub(crate) info: u8,
    pub(crate) argument: u64,
}

/// Reads items from the front of a slice.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns what is not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Fails unless everything was read.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }

    /// Returns whether an item of this major type comes next.
    pub(crate) fn is_next(&self, major: u8) -> bool {
        self.rest.first().is_some_and(|head| head >> 5 == major)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for byte in self.take(N)? {
            number = number << 8 | u64::from(*byte);
        }
        Ok(number)
    }

    pub(crate) fn head(&mut self) -> Result<Head, Malformed> {
        let first = self.take(1)?.first().copied().ok_or(Malformed::Truncated)?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == SIMPLE {
            let argument = match info {
                FALSE_INFO..=NULL_INFO => u64::from(info),
                FLOAT_INFO => self.number::<8>()?,
                _ => return Err(Malformed::NotCanonical),
            };
            return Ok(Head { major, info, argument });
        }
        let (argument, least) = match info {
            0..=23 => (u64::from(info), 0),
            24 => (self.number::<1>()?, 24),
            25 => (self.number::<2>()?, 1 << 8),
            26 => (self.number::<4>()?, 1 << 16),
            27 => (self.number::<8>()?, 1 << 32),
            _ => return Err(Malformed::NotCanonical),
        };
        if argument < least {
            return Err(Malformed::NotCanonical);
        }
        Ok(Head { major, info, argument })
    }

    fn expect(&mut self, major: u8, what: &'static str) -> Result<u64, Malformed> {
        let head = self.head()?;
        if head.major == major { Ok(head.argument) } else { Err(Malformed::Expected { what }) }
    }

    /// Reads an unsigned integer.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Malformed> {
        self.expect(UNSIGNED, "an unsigned integer")
    }

    /// Reads the number of items of an array; each takes at least one byte of what is left.
    pub(crate) fn array(&mut self) -> Result<usize, Malformed> {
        let count = self.expect(ARRAY, "an array")?;
        self.count(count, 1)
    }

    /// Reads the number of pairs of a map.
    pub(crate) fn map(&mut self) -> Result<usize, Malformed> {
        let count = self.expect(MAP, "a map")?;
        self.count(count, 2)
    }

    /// Bounds a count by what is left, where each counted item takes at least `least` bytes.
    pub(crate) fn count(&self, count: u64, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed::Truncated)?;
        if count > self.rest.len() / least { Err(Malformed::Truncated) } else { Ok(count) }
    }

    /// Reads a byte string.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.expect(BYTES, "a byte string")?;
        self.string(length)
    }

    /// Reads a text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.expect(TEXT, "a text")?;
        self.utf8(length)
    }

    /// Reads a field name or map key.
    pub(crate) fn component(&mut self) -> Result<&'a str, Malformed> {
        let text = self.text()?;
        if text.len() > MAX_COMPONENT_BYTES { Err(Malformed::TooLong) } else { Ok(text) }
    }

    /// Reads the bytes of a string whose head said `length`.
    pub(crate) fn string(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        self.take(length)
    }

    /// Reads the bytes of a text whose head said `length`.
    pub(crate) fn utf8(&mut self, length: u64) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.string(length)?).map_err(|_| Malformed::NotUtf8)
    }

    /// Reads one value that nests at most `room` deep, checks every rule of values, and returns
    /// its bytes.
    pub(crate) fn raw_value(&mut self, room: usize) -> Result<&'a [u8], Malformed> {
        let before = self.rest;
        self.skip_value(room.min(MAX_NESTING))?;
        before.get(..before.len() - self.rest.len()).ok_or(Malformed::Truncated)
    }

    /// Reads past one value, and checks every rule of values.
    pub(crate) fn skip_value(&mut self, room: usize) -> Result<(), Malformed> {
        let head = self.head()?;
        match head.major {
            UNSIGNED => Ok(()),
            NEGATIVE => negative(head.argument).map(drop),
            BYTES => self.string(head.argument).map(drop),
            TEXT => self.utf8(head.argument).map(drop),
            ARRAY => {
                let room = room.checked_sub(1).ok_or(Malformed::TooDeep)?;
                for _ in 0..self.count(head.argument, 1)? {
                    self.skip_value(room)?;
                }
                Ok(())
            }
            MAP => {
                let room = room.checked_sub(1).ok_or(Malformed::TooDeep)?;
                let mut last = None;
                for _ in 0..self.count(head.argument, 2)? {
                    let key = self.component()?;
                    ascending(&mut last, key)?;
                    self.skip_value(room)?;
                }
                Ok(())
            }
            TAG => match head.argument {
                TIMESTAMP_TAG => self.signed().map(drop),
                DECIMAL_TAG => {
                    let text = self.text()?;
                    if Decimal::is_decimal(text) { Ok(()) } else { Err(Malformed::NotDecimal) }
                }
                _ => Err(Malformed::Expected { what: "a known tag" }),
            },
            _ => float_or_simple(head).map(drop),
        }
    }

    /// Reads an integer that fits an `i64`.
    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let head = self.head()?;
        match head.major {
            UNSIGNED => {
                i64::try_from(head.argument).map_err(|_| Malformed::Expected { what: "an i64" })
            }
            NEGATIVE => negative(head.argument),
            _ => Err(Malformed::Expected { what: "an integer" }),
        }
    }
}

/// Checks that map keys rise.
pub(crate) fn ascending<'a>(last: &mut Option<&'a str>, key: &'a str) -> Result<(), Malformed> {
    if last.is_some_and(|last| last >= key) {
        return Err(Malformed::KeyOrder);
    }
    *last = Some(key);
    Ok(())
}

/// Returns the integer -1 - `argument`.
pub(crate) fn negative(argument: u64) -> Result<i64, Malformed> {
    i64::try_from(argument).map(|n| -1 - n).map_err(|_| Malformed::Expected { what: "an i64" })
}

/// Returns the float of a head of major type 7, or `None` for null and the booleans.
pub(crate) fn float_or_simple(head: Head) -> Result<Option<f64>, Malformed> {
    if head.info != FLOAT_INFO {
        return Ok(None);
    }
    let float = f64::from_bits(head.argument);
    if float.is_nan() { Err(Malformed::NotANumber) } else { Ok(Some(float)) }
}

/// Appends the head of an item in its shortest form.
#[allow(clippy::cast_possible_truncation)] // each arm has checked the range
pub(crate) fn put_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..=23 => out.push(major | argument as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

/// Appends an array or map head, or the head of a string, with a length.
pub(crate) fn put_length(out: &mut Vec<u8>, major: u8, length: usize) {
    put_head(out, major, length as u64);
}

/// Appends a text.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, TEXT, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a byte string.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, BYTES, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a signed integer.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    match u64::try_from(number) {
        Ok(number) => put_head(out, UNSIGNED, number),
        Err(_) => put_head(out, NEGATIVE, number.unsigned_abs() - 1),
    }
}

//! The compact form of state rows: unsigned numbers in seven-bit groups, strings with their length,
//! stamps of 41 bytes or a little more. There is one encoding for each content.

use crate::stamp::Stamp;

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

pub(crate) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_number(out, string.len() as u64);
    out.extend_from_slice(string);
}

pub(crate) fn put_stamp(out: &mut Vec<u8>, stamp: &Stamp) {
    out.extend_from_slice(&stamp.time.to_be_bytes());
    out.extend_from_slice(&stamp.entry);
    put_number(out, u64::from(stamp.index));
}

/// Takes numbers, strings and stamps from the front of a row; `None` if the row is damaged.
pub(crate) struct Unpacker<'a> {
    rest: &'a [u8],
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(row: &'a [u8]) -> Self {
        Self { rest: row }
    }

    pub(crate) fn finish(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns what was not taken yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for group in 0..10 {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f).checked_shl(7 * group)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Takes a number of items, each of which takes at least one byte.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    /// Takes bytes of a fixed number.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*array)
    }

    pub(crate) fn stamp(&mut self) -> Option<Stamp> {
        let (time, rest) = self.rest.split_first_chunk::<8>()?;
        let (entry, rest) = rest.split_first_chunk::<32>()?;
        self.rest = rest;
        let index = u32::try_from(self.number()?).ok()?;
        Some(Stamp { time: u64::from_be_bytes(*time), entry: *entry, index })
    }
}

//! The strict canonical coder for bodies: the subset of CBOR (RFC 8949) that an entry uses.
//!
//! Invariant: a value has one encoding, and the reader takes no other. Lengths are definite and
//! integers minimal.

use thiserror::Error;

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const NULL: u8 = 0xf6;

/// Why bytes are not the canonical encoding that was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodingError {
    /// The bytes end too early.
    #[error("the bytes end at {at}, inside a value")]
    Truncated {
        /// Offset in bytes.
        at: usize,
    },
    /// Another kind of value stands there.
    #[error("at byte {at}: expected {expected}")]
    Unexpected {
        /// Offset in bytes.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A shorter encoding of the same number exists.
    #[error("at byte {at}: the number is not encoded in the shortest form")]
    NonMinimal {
        /// Offset in bytes.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("at byte {at}: the text is not UTF-8")]
    NotUtf8 {
        /// Offset in bytes.
        at: usize,
    },
    /// Something follows the value.
    #[error("{extra} bytes follow the value")]
    Trailing {
        /// How many bytes.
        extra: usize,
    },
}

pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    // Each cast is guarded by the arm that it stands in.
    #[allow(clippy::cast_possible_truncation)]
    fn head(&mut self, major: u8, n: u64) {
        let major = major << 5;
        match n {
            0..24 => self.0.push(major | n as u8),
            24..0x100 => self.0.extend([major | 24, n as u8]),
            0x100..0x1_0000 => {
                self.0.push(major | 25);
                self.0.extend((n as u16).to_be_bytes());
            }
            0x1_0000..0x1_0000_0000 => {
                self.0.push(major | 26);
                self.0.extend((n as u32).to_be_bytes());
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend(n.to_be_bytes());
            }
        }
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.head(ARRAY, len as u64);
    }

    pub(crate) fn unsigned(&mut self, n: u64) {
        self.head(UNSIGNED, n);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn null(&mut self) {
        self.0.push(NULL);
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CodingError> {
        let end = self.at.checked_add(len).ok_or(CodingError::Truncated { at: self.at })?;
        let taken = self.bytes.get(self.at..end);
        let taken = taken.ok_or(CodingError::Truncated { at: self.bytes.len() })?;
        self.at = end;
        Ok(taken)
    }

    fn big_endian(&mut self, len: usize) -> Result<u64, CodingError> {
        Ok(self.take(len)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn head(&mut self, major: u8, expected: &'static str) -> Result<u64, CodingError> {
        let at = self.at;
        let first = self.big_endian(1)?;
        if first >> 5 != u64::from(major) {
            return Err(CodingError::Unexpected { at, expected });
        }
        let (n, least) = match first & 31 {
            n @ 0..24 => (n, 0),
            24 => (self.big_endian(1)?, 24),
            25 => (self.big_endian(2)?, 0x100),
            26 => (self.big_endian(4)?, 0x1_0000),
            27 => (self.big_endian(8)?, 0x1_0000_0000),
            _ => return Err(CodingError::Unexpected { at, expected }),
        };
        if n < least {
            return Err(CodingError::NonMinimal { at });
        }
        Ok(n)
    }

    fn length(&mut self, major: u8, expected: &'static str) -> Result<usize, CodingError> {
        let at = self.at;
        let n = self.head(major, expected)?;
        usize::try_from(n).map_err(|_| CodingError::Truncated { at })
    }

    /// Returns the length of the array that starts here; the caller bounds it.
    pub(crate) fn array(&mut self, expected: &'static str) -> Result<usize, CodingError> {
        self.length(ARRAY, expected)
    }

    pub(crate) fn unsigned(&mut self, expected: &'static str) -> Result<u64, CodingError> {
        self.head(UNSIGNED, expected)
    }

    pub(crate) fn bytes<const N: usize>(
        &mut self,
        expected: &'static str,
    ) -> Result<[u8; N], CodingError> {
        let at = self.at;
        let wrong = CodingError::Unexpected { at, expected };
        if self.length(BYTES, expected)? != N {
            return Err(wrong);
        }
        self.take(N)?.try_into().map_err(|_| wrong)
    }

    pub(crate) fn text(&mut self, expected: &'static str) -> Result<&'a str, CodingError> {
        let at = self.at;
        let len = self.length(TEXT, expected)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| CodingError::NotUtf8 { at })
    }

    /// Takes a null, and returns whether one stood there.
    pub(crate) fn null(&mut self) -> bool {
        let found = self.bytes.get(self.at) == Some(&NULL);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn end(self) -> Result<(), CodingError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(CodingError::Trailing { extra }),
        }
    }
}

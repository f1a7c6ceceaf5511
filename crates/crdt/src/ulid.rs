//! Generated keys rise with time: 48 bits of milliseconds, then 80 bits of the caller's choice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LENGTH: usize = 26;
const MILLISECONDS_SHIFT: u32 = 80;

/// Identifies a row by when it was made and something unique; sorts by time. By serde it is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid([u8; 16]);

impl Ulid {
    /// Makes a key of milliseconds since 1970 (the lower 48 bits count) and ten random bytes.
    pub fn new(milliseconds: u64, random: [u8; 10]) -> Self {
        let mut low = [0; 16];
        for (to, from) in low.iter_mut().skip(6).zip(random) {
            *to = from;
        }
        Self::from_number(u128::from(milliseconds) << MILLISECONDS_SHIFT | u128::from_be_bytes(low))
    }

    /// Makes a key from its sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the sixteen bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the milliseconds since 1970.
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.number() >> MILLISECONDS_SHIFT).unwrap_or(u64::MAX)
    }

    /// Returns the next greater key, for several keys in one millisecond; the greatest stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self::from_number(self.number().saturating_add(1))
    }

    fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    fn from_number(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        for place in (0..TEXT_LENGTH).rev() {
            let digit = usize::try_from(number >> (5 * place) & 0x1f).unwrap_or_default();
            fmt::Write::write_char(f, char::from(LETTERS.get(digit).copied().unwrap_or(b'0')))?;
        }
        Ok(())
    }
}

impl Serialize for Ulid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ulid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Says that a text is not a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a ulid is 26 letters and digits without I, L, O and U, at most 7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
)]
pub struct UlidError;

impl FromStr for Ulid {
    type Err = UlidError;

    fn from_str(text: &str) -> Result<Self, UlidError> {
        if text.len() != TEXT_LENGTH || text.as_bytes().first().is_none_or(|first| *first > b'7') {
            return Err(UlidError);
        }
        let mut number = 0_u128;
        for byte in text.bytes() {
            let letter = byte.to_ascii_uppercase();
            let digit = LETTERS.iter().position(|known| *known == letter).ok_or(UlidError)?;
            number = number << 5 | digit as u128;
        }
        Ok(Self::from_number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_order_follow_the_number() {
        let ulid = Ulid::new(1_700_000_000_123, [7; 10]);
        assert_eq!(ulid.milliseconds(), 1_700_000_000_123);
        assert_eq!(ulid.to_string().parse(), Ok(ulid));
        assert_eq!(ulid.to_string().to_lowercase().parse(), Ok(ulid));
        assert!(ulid.next() > ulid && ulid.next().to_string() > ulid.to_string());
        assert!(Ulid::new(1, [255; 10]) < Ulid::new(2, [0; 10]));
        assert_eq!(Ulid::from_bytes([255; 16]).to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        for bad in [
            "",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "0000000000000000000000000U",
            "00000000000000000000000000 ",
        ] {
            assert_eq!(bad.parse::<Ulid>(), Err(UlidError), "{bad}");
        }
    }
}

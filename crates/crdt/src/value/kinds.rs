//! The kinds of value that serde has no word for: they pass through it as newtypes with reserved
//! names, which our own serializer and deserializer know, and as plain numbers and texts elsewhere.

use std::fmt;

use serde::de::{Deserializer, Error as _, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::ValueError;

pub(super) const TIMESTAMP: &str = "$weald::Timestamp";
pub(super) const DECIMAL: &str = "$weald::Decimal";

/// Counts milliseconds since 1970; other formats than ours see an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TIMESTAMP, &self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inner;
        impl<'de> Visitor<'de> for Inner {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a timestamp")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                d: D,
            ) -> Result<Timestamp, D::Error> {
                i64::deserialize(d).map(Timestamp)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Timestamp, E> {
                Ok(Timestamp(number))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Timestamp, E> {
                i64::try_from(number).map(Timestamp).map_err(E::custom)
            }
        }
        deserializer.deserialize_newtype_struct(TIMESTAMP, Inner)
    }
}

/// Holds a decimal number exactly as it was written: `1.10` stays `1.10`.
///
/// Other formats than ours see a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(String);

impl Decimal {
    /// Takes a text of the form `[-+]digits[.digits][e[-+]digits]`.
    ///
    /// # Errors
    /// [`ValueError::NotDecimal`] for any other text.
    pub fn new(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        if Self::is_decimal(&text) { Ok(Self(text)) } else { Err(ValueError::NotDecimal) }
    }

    /// Returns an integer as a decimal.
    pub(super) fn of_integer(number: i128) -> Self {
        Self(number.to_string())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the text is a decimal number.
    pub(crate) fn is_decimal(text: &str) -> bool {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = |part: &str| digits(part.strip_prefix(['-', '+']).unwrap_or(part));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let mantissa = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let mantissa_fits = match mantissa.split_once('.') {
            Some((whole, part)) => digits(whole) && digits(part),
            None => digits(mantissa),
        };
        mantissa_fits && exponent.is_none_or(unsigned)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DECIMAL, &self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inner;
        impl<'de> Visitor<'de> for Inner {
            type Value = String;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<String, D::Error> {
                String::deserialize(d)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }
        }
        let text = deserializer.deserialize_newtype_struct(DECIMAL, Inner)?;
        Self::new(text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_recognised() {
        for good in ["0", "-1", "+1.50", "007", "1e9", "1.5E-3", "123456789012345678901234567890"] {
            assert!(Decimal::is_decimal(good), "{good}");
        }
        for bad in ["", "-", ".", "1.", ".5", "1e", "1e1.5", "0x1", "1 ", "١", "--1", "e1", "NaN"]
        {
            assert!(!Decimal::is_decimal(bad), "{bad}");
        }
    }
}

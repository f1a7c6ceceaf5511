//! A value of a store. Equality is by content: integers by number, floats by bits, so that what is
//! equal has equal bytes.

mod coding;
mod de;
mod encoded;
mod error;
mod fields;
mod json;
mod kinds;
mod ser;

use std::collections::BTreeMap;

pub use error::ValueError;
pub(crate) use fields::Fields;
pub use kinds::{Decimal, Timestamp};

/// Holds one value of any kind a store keeps.
///
/// What is read back has its integers in one form: [`Value::U64`] from zero up, [`Value::I64`]
/// below zero. Equality does not mind the form.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A float; not-a-number is refused when the value is encoded, and −0.0 stays −0.0.
    F64(f64),
    /// A text.
    Text(String),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// Milliseconds since 1970.
    Timestamp(Timestamp),
    /// A decimal number, kept as it was written.
    Decimal(Decimal),
    /// A list; one whole value, it does not merge inside.
    List(Vec<Value>),
    /// A map from text to values.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Returns the text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the map, if this is one.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the list, if this is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Returns the integer, if this is one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I64(number) => Some(*number),
            Self::U64(number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Returns the integer, if this is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::I64(number) => u64::try_from(*number).ok(),
            Self::U64(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the float, if this is one; integers are not converted.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::F64(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Returns the value at a key of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// Returns the name of this kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::I64(_) | Self::U64(_) => "an integer",
            Self::F64(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "a timestamp",
            Self::Decimal(_) => "a decimal",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// Returns an integer of any size: one that fits neither `i64` nor `u64` is a decimal.
    pub(crate) fn from_wide(number: i128) -> Self {
        if let Ok(number) = u64::try_from(number) {
            return Self::U64(number);
        }
        match i64::try_from(number) {
            Ok(number) => Self::I64(number),
            Err(_) => Self::Decimal(Decimal::of_integer(number)),
        }
    }

    fn integer(&self) -> Option<i128> {
        match self {
            Self::I64(number) => Some(i128::from(*number)),
            Self::U64(number) => Some(i128::from(*number)),
            _ => None,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => matches!((self.integer(), other.integer()), (Some(a), Some(b)) if a == b),
        }
    }
}

impl Eq for Value {}

macro_rules! from_kind {
    ($($source:ty => $kind:ident($convert:expr)),* $(,)?) => {$(
        impl From<$source> for Value {
            fn from(source: $source) -> Self {
                Self::$kind($convert(source))
            }
        }
    )*};
}

from_kind! {
    bool => Bool(|b| b),
    u8 => U64(u64::from),
    u16 => U64(u64::from),
    u32 => U64(u64::from),
    u64 => U64(|n| n),
    f64 => F64(|n| n),
    f32 => F64(f64::from),
    &str => Text(str::to_owned),
    String => Text(|s| s),
    Timestamp => Timestamp(|t| t),
    Decimal => Decimal(|d| d),
    Vec<Value> => List(|l| l),
    BTreeMap<String, Value> => Map(|m| m),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        u64::try_from(number).map_or(Self::I64(number), Self::U64)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        i64::from(number).into()
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(pairs: [(K, V); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

//! What can go wrong when a value is made, encoded or turned into another type.

use thiserror::Error;

use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};

/// Says why something is not a value, or a value not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A float is not a number.
    #[error("a float is not a number (NaN); leave it out or write null")]
    NotANumber,
    /// Lists and maps nest too deep.
    #[error("lists and maps nest deeper than {MAX_NESTING}; flatten the value")]
    TooDeep,
    /// A map key is too long.
    #[error("a map key has {length} bytes, more than {MAX_COMPONENT_BYTES}; shorten it")]
    KeyTooLong {
        /// The length of the key in bytes.
        length: usize,
    },
    /// A member of a set is too long.
    #[error(
        "a member of a set has {length} bytes, more than {MAX_COMPONENT_BYTES}; use a table for it"
    )]
    MemberTooLong {
        /// The length of its canonical bytes.
        length: usize,
    },
    /// A map key is neither a text nor something with one obvious text.
    #[error(
        "a map key must be a text, a number, a boolean or a unit variant; use a list of pairs instead"
    )]
    KeyKind,
    /// An integer fits neither `i64` nor `u64`.
    #[error("an integer fits neither i64 nor u64; write it as a text or a decimal")]
    IntegerRange,
    /// A text is not a decimal number.
    #[error("a decimal is not written as digits with an optional sign, point and exponent")]
    NotDecimal,
    /// The value is of another kind than the type asks for.
    #[error("expected {expected}, found {found}; change the type or the stored value")]
    WrongKind {
        /// What the type asks for.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The type refused the value, or refused to be serialised.
    #[error("{message}; change the type or the stored value")]
    Refused {
        /// What the type's own code said.
        message: String,
    },
}

impl serde::ser::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Refused { message: message.to_string() }
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Refused { message: message.to_string() }
    }
}

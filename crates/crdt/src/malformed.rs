//! What can be wrong with encoded bytes; nothing here depends on who sent them.

use thiserror::Error;

/// Says why bytes are not the one canonical encoding of what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end too early.
    #[error("the bytes end too early; get them whole")]
    Truncated,
    /// There are bytes after the end.
    #[error("there are bytes after the end; cut them off")]
    Trailing,
    /// An integer, a length or a form is not the shortest, or of indefinite length.
    #[error(
        "the encoding is not the canonical one; encode with shortest forms and definite lengths"
    )]
    NotCanonical,
    /// Another kind of item was expected here.
    #[error("expected {what}; encode the operation as its type says")]
    Expected {
        /// What was expected.
        what: &'static str,
    },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8; encode it as bytes")]
    NotUtf8,
    /// A float is not a number.
    #[error("a float is not a number; leave it out or write null")]
    NotANumber,
    /// A decimal is not a decimal number.
    #[error("a decimal is not written as digits with an optional sign, point and exponent")]
    NotDecimal,
    /// Lists and maps nest too deep.
    #[error("lists and maps nest deeper than {max}; flatten the value", max = crate::MAX_NESTING)]
    TooDeep,
    /// A key, field name or path component is too long.
    #[error("a key or path component is longer than {max} bytes; shorten it", max = crate::MAX_COMPONENT_BYTES)]
    TooLong,
    /// The keys of a map are not strictly ascending.
    #[error("the keys of a map are not strictly ascending; sort them and write each once")]
    KeyOrder,
    /// A key of a table is not what the order-preserving encoding gives.
    #[error("a table key is not in the order-preserving encoding")]
    BadKey,
    /// A path is empty, or not what the order-preserving encoding gives.
    #[error("a path is empty or not in the order-preserving encoding")]
    BadPath,
    /// A path leads by the index of an element, which names no fixed place.
    #[error("a path leads by an index; use it on a document, or take the path of the element")]
    Index,
}

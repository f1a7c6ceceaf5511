//! The text form of ids and keys: lower-case base32 (RFC 4648 alphabet) without padding.
//!
//! Invariant: 32 bytes have one text, and no other text is taken.

use data_encoding::BASE32_NOPAD;
use thiserror::Error;

/// Length of an id in bytes.
pub const ID_LEN: usize = 32;
/// Length of an id's short text form in characters.
pub const SHORT_ID_LEN: usize = 10;

/// Why a text is not 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// The text has another length than 32 bytes take in base32.
    #[error("expected 52 characters of base32, found {0}; copy the whole text")]
    Length(usize),
    /// A character is not of the alphabet.
    #[error("character {0} is not one of a-z and 2-7; copy the text again")]
    Symbol(usize),
}

/// Writes lower-case base32 (RFC 4648 alphabet) without padding: the text form of ids and keys.
pub(crate) fn text_of(bytes: &[u8; ID_LEN]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

pub(crate) fn bytes_from_text(text: &str) -> Result<[u8; ID_LEN], TextError> {
    let length = TextError::Length(text.chars().count());
    if text.len() != BASE32_NOPAD.encode_len(ID_LEN) {
        return Err(length);
    }
    let foreign = |c: &u8| !matches!(c, b'a'..=b'z' | b'2'..=b'7');
    if let Some(position) = text.as_bytes().iter().position(foreign) {
        return Err(TextError::Symbol(position));
    }
    let decoded = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes());
    let bytes = decoded.map_err(|error| TextError::Symbol(error.position))?;
    bytes.try_into().map_err(|_| length)
}

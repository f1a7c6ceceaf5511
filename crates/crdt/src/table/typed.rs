//! Reading a row as a type of the app. Most rows have one version throughout and are read straight
//! from their bytes; what comes out is the same as through a value.

use serde::de::DeserializeOwned;

use super::read::decode;
use super::row::UNIFORM;
use crate::key::Key;
use crate::pack::Unpacker;
use crate::read::ReadError;
use crate::stamp::Stamp;
use crate::value::{Fields, ValueError};
use crate::view::{Area, RowError, View};

/// Holds a row as a type of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedRow<T> {
    /// The row, or why its fields are no `T`.
    pub value: Result<T, ValueError>,
    /// The greatest stamp among existence and the fields: when the row changed last.
    pub stamp: Stamp,
}

/// Returns the row with a key as a type of the app.
///
/// # Errors
/// [`ReadError`] if the row cannot be read, or the key is too long.
pub fn get_as<T: DeserializeOwned>(
    view: &dyn View,
    key: &Key,
) -> Result<Option<TypedRow<T>>, ReadError> {
    let key = key.encode()?;
    let mut found = None;
    view.read(Area::State, &key, &mut |row| found = Some(decode_as(row)))?;
    match found {
        None => Ok(None),
        Some(None) => Err(RowError { key }.into()),
        Some(row) => Ok(row),
    }
}

/// Decodes a state row as it rests, or returns `None` if it is damaged.
pub fn decode_as<T: DeserializeOwned>(row: &[u8]) -> Option<TypedRow<T>> {
    if let Some((&UNIFORM, rest)) = row.split_first() {
        let mut unpacker = Unpacker::new(rest);
        let stamp = unpacker.stamp()?;
        if let Some(value) = Fields::new(unpacker).read() {
            return Some(TypedRow { value: Ok(value), stamp });
        }
    }
    let row = decode(row)?;
    Some(TypedRow { value: row.value.to_serde(), stamp: row.stamp })
}

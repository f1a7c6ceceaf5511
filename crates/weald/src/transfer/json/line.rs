//! The two kinds of line: the header, and a row.
//!
//! Invariant: the key of a row is read back as the key that was written, and as no other.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use weald_crdt::{Key, Path, Stamp};
use weald_dag::EntryId;

use super::error::BadLineReason;

pub(super) const FORMAT: &str = "weald-jsonl";
pub(super) const VERSION: u64 = 1;
const BYTES: &str = "$bytes";
const ULID: &str = "$ulid";

/// What the first line says. Only format and version are needed in a file made by other means.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u64,
    #[serde(default)]
    pub(super) database: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) stores: Vec<HeaderStore>,
}

/// A store that has rows in the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeaderStore {
    pub(super) store: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
}

/// A row. `author` and `time` are for people and programs that read the file; an import makes new ones.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) store: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(super) type_name: Cow<'a, str>,
    #[serde(default)]
    pub(super) key: Json,
    pub(super) value: Json,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<u64>,
}

/// A store and how many of its rows, or of its sections where it has no rows, are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct StoreRows {
    /// The name of the store.
    pub store: String,
    /// The name of its type.
    pub type_name: String,
    /// How many.
    pub rows: u64,
}

/// Writes the key of a table's row: a text and an integer as they are, a tuple as a list, the others
/// as objects that say their kind.
pub(super) fn key_to_json(key: &Key) -> Json {
    match key {
        Key::Text(text) => Json::from(text.as_str()),
        Key::Integer(number) => Json::from(*number),
        Key::Bytes(bytes) => bytes_to_json(bytes),
        Key::Ulid(ulid) => tagged(ULID, Json::from(ulid.to_string())),
        Key::Tuple(keys) => Json::Array(keys.iter().map(key_to_json).collect()),
    }
}

pub(super) fn bytes_to_json(bytes: &[u8]) -> Json {
    tagged(BYTES, Json::from(BASE64.encode(bytes)))
}

fn tagged(kind: &str, json: Json) -> Json {
    Json::Object(std::iter::once((kind.to_owned(), json)).collect())
}

pub(super) fn key_of_json(json: &Json) -> Result<Key, BadLineReason> {
    const WRONG: BadLineReason = BadLineReason::Key;
    Ok(match json {
        Json::String(text) => Key::Text(text.clone()),
        Json::Number(number) => Key::Integer(number.as_i64().ok_or(WRONG)?),
        Json::Array(keys) => Key::Tuple(keys.iter().map(key_of_json).collect::<Result<_, _>>()?),
        Json::Object(object) if object.len() == 1 => match object.iter().next() {
            Some((kind, Json::String(text))) if kind == BYTES => {
                Key::Bytes(BASE64.decode(text.as_bytes()).map_err(|_| WRONG)?)
            }
            Some((kind, Json::String(text))) if kind == ULID => {
                Key::Ulid(text.parse().map_err(|_| WRONG)?)
            }
            _ => return Err(WRONG),
        },
        _ => return Err(WRONG),
    })
}

/// Reads the path of a leaf of a document: a list of texts.
pub(super) fn path_of_json(json: &Json) -> Result<Path, BadLineReason> {
    let components = json.as_array().ok_or(BadLineReason::Path)?;
    components.iter().try_fold(Path::root(), |path, component| {
        Ok(path.child(component.as_str().ok_or(BadLineReason::Path)?))
    })
}

/// Writes the place of a log's item: the entry that appended it, and which of its items it is.
pub(super) fn item_to_json(stamp: &Stamp) -> Json {
    let entry = ("entry".to_owned(), Json::from(EntryId::from_bytes(stamp.entry).to_string()));
    let index = ("index".to_owned(), Json::from(stamp.index));
    Json::Object([entry, index].into_iter().collect())
}

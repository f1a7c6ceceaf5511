//! An audit as JSON Lines: one object a line, one line an entry.
//!
//! Invariant: a line is whole or not written; what was written before an error stays.

use std::io::{self, Write};

use serde_json::{Value as Json, json};
use thiserror::Error;
use weald_crdt::{Key, ValueError};

use super::audit::{Audit, AuditChange, AuditRecord};
use super::patches::patch;
use crate::conflict::RowKey;
use crate::error::ReadError;
use crate::watch::ChangeKind;

/// Why an audit could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// An entry or row could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What a row said has no JSON form.
    #[error("a value of the history cannot be told as JSON: {0}")]
    Value(#[from] ValueError),
    /// The writer refused a line.
    #[error("the audit could not be written: {0}; free space or give another writer")]
    Write(#[from] io::Error),
}

impl Audit {
    /// Writes each entry as a line of JSON, and returns how many. Memory does not grow with them.
    ///
    /// A line has `entry`, `author`, `author_name` (or null), `time` (milliseconds since 1970),
    /// `visible`, `hidden` (why it is, or null), `sound`, `fault` (what is wrong, or null) and `stores`;
    /// each of those `store`, `type` (or null), in `_settings` `settings` (a sentence for each
    /// operation), and `changes`, each with `key`, `kind` (`created`, `updated`, `removed`) and `patch`, the
    /// forward JSON patch. Pass a buffered writer.
    ///
    /// # Errors
    /// [`AuditError`]; the lines before it are written.
    pub fn write_json_lines(self, mut writer: impl Write) -> Result<u64, AuditError> {
        let mut count = 0;
        for record in self {
            let mut line = record?.to_json()?.to_string();
            line.push('\n');
            writer.write_all(line.as_bytes())?;
            count += 1;
        }
        writer.flush()?;
        Ok(count)
    }
}

impl AuditRecord {
    /// Returns the record as JSON, as [`Audit::write_json_lines`] writes it.
    ///
    /// # Errors
    /// [`ValueError::NotANumber`] for a float that is none, which no store keeps.
    pub fn to_json(&self) -> Result<Json, ValueError> {
        let mut stores = Vec::with_capacity(self.stores.len());
        for told in &self.stores {
            let changes: Vec<Json> =
                told.changes.iter().map(change_to_json).collect::<Result<_, _>>()?;
            let mut store =
                json!({ "store": told.store, "type": told.type_name, "changes": changes });
            if let Some(told_store) = store.as_object_mut().filter(|_| !told.settings.is_empty()) {
                let said = told.settings.iter().map(|said| said.words.as_str()).collect();
                told_store.insert("settings".to_owned(), said);
            }
            stores.push(store);
        }
        Ok(json!({
            "entry": self.entry.to_string(),
            "author": self.author.to_string(),
            "author_name": self.author_name,
            "time": self.time.millis(),
            "visible": self.is_visible,
            "hidden": self.hidden.as_ref().map(ToString::to_string),
            "sound": self.fault.is_none(),
            "fault": self.fault.as_ref().map(ToString::to_string),
            "stores": stores,
        }))
    }
}

fn change_to_json(change: &AuditChange) -> Result<Json, ValueError> {
    let kind = match change.kind {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Removed => "removed",
    };
    let patch = patch(change.before.as_ref(), change.after.as_ref())?;
    let patch: Vec<Json> = patch.0.iter().map(|operation| json!(operation)).collect();
    Ok(json!({ "key": row_key(&change.key), "kind": kind, "patch": patch }))
}

/// A row's name for people and their tools.
fn row_key(key: &RowKey) -> Json {
    match key {
        RowKey::Table(key) | RowKey::Counter(key) => table_key(key),
        RowKey::Log(cursor) => {
            json!({ "time": cursor.time().millis(), "entry": cursor.entry().to_string() })
        }
        RowKey::Doc(path) => Json::from(path.to_string()),
        RowKey::Set(member) => member.value().to_json().unwrap_or_default(),
        RowKey::Text => Json::Null,
        RowKey::Other(bytes) => hex(bytes),
    }
}

fn table_key(key: &Key) -> Json {
    match key {
        Key::Integer(number) => Json::from(*number),
        Key::Text(text) => Json::from(text.as_str()),
        Key::Bytes(bytes) => hex(bytes),
        Key::Ulid(ulid) => json!({ "$ulid": ulid.to_string() }),
        Key::Tuple(keys) => keys.iter().map(table_key).collect(),
    }
}

fn hex(bytes: &[u8]) -> Json {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "$hex": text })
}

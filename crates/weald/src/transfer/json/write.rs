//! One row of the file, written to its store in a transaction.
//!
//! Invariant: a row that cannot be written leaves the transaction as it was.

use serde_json::Value as Json;
use weald_crdt::{DocType, Key, LogType, Path, TableType, Value};

use super::error::BadLineReason;
use super::line::{Line, key_of_json, path_of_json};
use crate::error::WriteError;
use crate::transaction::Transaction;

/// What an import does where there is a row, or a value of a document, under the key of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExisting {
    /// The line takes its place.
    #[default]
    Replace,
    /// It stays, and the line is counted as kept.
    Keep,
    /// The line is a bad one.
    Refuse,
}

/// A row with its place.
#[derive(Clone, Debug)]
pub(super) enum Row {
    Table(Key, Value),
    Log(Value),
    Doc(Path, Value),
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    Kept,
}

impl Row {
    /// Reads a line; `None` for a type that an import cannot write.
    pub(super) fn of(line: &Line<'_>) -> Result<Option<Self>, BadLineReason> {
        let value = |json: &Json| Value::from_json(json);
        Ok(Some(match &*line.type_name {
            TableType::NAME => Self::Table(key_of_json(&line.key)?, value(&line.value)?),
            LogType::NAME => Self::Log(value(&line.value)?),
            DocType::NAME => Self::Doc(path_of_json(&line.key)?, value(&line.value)?),
            _ => return Ok(None),
        }))
    }

    pub(super) fn write(
        &self,
        tx: &mut Transaction,
        store: &str,
        existing: OnExisting,
    ) -> Result<Written, BadLineReason> {
        if existing != OnExisting::Replace && self.exists(tx, store)? {
            return match existing {
                OnExisting::Refuse => Err(BadLineReason::Exists),
                OnExisting::Replace | OnExisting::Keep => Ok(Written::Kept),
            };
        }
        match self {
            Self::Table(key, value) => {
                tx.table::<Value>(store).and_then(|mut table| table.put(key, value))
            }
            Self::Log(value) => tx.log::<Value>(store).and_then(|mut log| log.push(value)),
            Self::Doc(path, value) => {
                tx.doc(store).and_then(|mut doc| doc.set(path.clone(), value))
            }
        }
        .map_err(BadLineReason::Write)?;
        Ok(Written::Yes)
    }

    fn exists(&self, tx: &mut Transaction, store: &str) -> Result<bool, BadLineReason> {
        let found: Result<bool, WriteError> = match self {
            Self::Table(key, _) => {
                tx.table::<Value>(store).and_then(|table| table.get(key)).map(|row| row.is_some())
            }
            Self::Doc(path, _) => {
                tx.doc(store).and_then(|doc| doc.get(path.clone())).map(|value| value.is_some())
            }
            // An item has no key of its own: each is new.
            Self::Log(_) => Ok(false),
        };
        found.map_err(BadLineReason::Write)
    }
}

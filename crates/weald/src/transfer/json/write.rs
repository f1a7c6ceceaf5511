//! One row of the file, written to its store in a transaction.
//!
//! Invariant: a row that cannot be written leaves the transaction as it was.

use serde_json::Value as Json;
use weald_crdt::{CounterType, DocType, Key, LogType, Path, SetType, TableType, Value, ValueError};

use super::error::BadLineReason;
use super::line::{Line, key_of_json, path_of_json};
#[cfg(feature = "text")]
use super::text_part::TextPart;
use crate::error::WriteError;
#[cfg(feature = "text")]
use crate::text::TextType;
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

/// The greatest sum that an import lets a counter count: a hundred additions of the greatest number.
const COUNT_MAX: i128 = 100 * i64::MAX as i128;

/// A row with its place.
#[derive(Clone, Debug)]
pub(super) enum Row {
    Table(Key, Value),
    Log(Value),
    Doc(Path, Value),
    Counter(Key, i128),
    Set(Value),
    #[cfg(feature = "text")]
    Text(TextPart),
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
            CounterType::NAME => {
                Self::Counter(key_of_json(&line.key)?, integer(&value(&line.value)?)?)
            }
            SetType::NAME => Self::Set(value(&line.value)?),
            #[cfg(feature = "text")]
            TextType::NAME => Self::Text(TextPart::of(line)?),
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
            Self::Counter(key, sum) => count(tx, store, key, *sum),
            Self::Set(member) => {
                tx.set::<Value>(store).and_then(|mut set| set.add(member)).map(drop)
            }
            #[cfg(feature = "text")]
            Self::Text(part) => part.write(tx, store),
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
            Self::Counter(key, _) => {
                tx.counter(store).and_then(|counter| counter.value(key)).map(|sum| sum != 0)
            }
            // A member that is there is the same one.
            Self::Set(_) => Ok(false),
            // An item has no key of its own: each is new.
            Self::Log(_) => Ok(false),
            #[cfg(feature = "text")]
            Self::Text(part) => part.exists(tx, store),
        };
        found.map_err(BadLineReason::Write)
    }
}

/// Returns what a counter is to count: an integer, or a decimal where that has no form.
fn integer(value: &Value) -> Result<i128, ValueError> {
    let whole = match value {
        Value::Decimal(decimal) => decimal.as_str().parse().ok(),
        value => value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)),
    };
    let countable = -COUNT_MAX..=COUNT_MAX;
    whole.filter(|sum| countable.contains(sum)).ok_or(ValueError::IntegerRange)
}

/// Lets a counter count this, and nothing that it counted before.
fn count(tx: &mut Transaction, store: &str, key: &Key, sum: i128) -> Result<(), WriteError> {
    let mut counter = tx.counter(store)?;
    counter.reset(key)?;
    let mut rest = sum;
    while rest != 0 {
        let most = if rest < 0 { i64::MIN } else { i64::MAX };
        let step = i64::try_from(rest).unwrap_or(most);
        counter.add(key, step)?;
        rest -= i128::from(step);
    }
    Ok(())
}

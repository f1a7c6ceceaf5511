//! The bytes of a `_settings` section: `[version, [operation, …]]` in CBOR.
//!
//! Invariant: operations have one encoding (definite lengths, shortest integers), and no other is
//! taken, so what was decoded encodes to the bytes that were signed.
//!
//! * grant: `[0, subject, level, name, expires]`; the subject is a key of 32 bytes, or null for
//!   anyone; name is a text or null, expires a number or null
//! * set: `[1, key, value]`, both texts
//! * invite: `[2, key, level, uses, expires]`; the level is Read or Write, uses at least 1
//! * limit: `[3, subject, level]`; null for no level
//! * level: `[0, priority]` Admin, `[1, priority]` Write, `[2]` Read

use ciborium::Value;
use thiserror::Error;
use weald_dag::limits::PAYLOAD_MAX;
use weald_dag::{KEY_LEN, KeyError, PublicKey};

use crate::level::Level;
use crate::operation::{Operation, Subject};

/// Greatest number of operations in the settings section of one entry.
pub const SETTINGS_OPERATIONS_MAX: usize = 256;
/// Greatest length of the key of a setting, in bytes of UTF-8; the least is 1.
pub const SETTING_KEY_MAX: usize = 1 << 10;
/// Greatest length of the name in a grant, in bytes of UTF-8.
pub const GRANT_NAME_MAX: usize = 256;
/// The version of settings operations that this build writes and reads.
pub const SETTINGS_VERSION: u64 = 1;

const GRANT: u64 = 0;
const SET: u64 = 1;
const INVITE: u64 = 2;
const LIMIT: u64 = 3;
const ADMIN: u64 = 0;
const WRITE: u64 = 1;
const READ: u64 = 2;

/// Why settings operations cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The bytes are not CBOR.
    #[error("the settings are not CBOR: {0}")]
    NotCbor(String),
    /// Something else stands where a part of an operation should.
    #[error("the settings hold something else where {expected} should stand")]
    Unexpected {
        /// What should stand there.
        expected: &'static str,
    },
    /// The operations have a shorter or better ordered encoding.
    #[error("the settings are not in canonical form; encode them again")]
    NonCanonical,
    /// A newer version.
    #[error(
        "the settings have version {found}, this build reads {SETTINGS_VERSION}; update to read them"
    )]
    NewerVersion {
        /// The version that they name.
        found: u64,
    },
    /// An operation that this build does not know.
    #[error("the settings hold an operation of unknown kind {kind}; update to read it")]
    UnknownKind {
        /// The kind that it names.
        kind: u64,
    },
    /// A level that this build does not know.
    #[error("the settings hold a level of unknown kind {kind}; update to read it")]
    UnknownLevel {
        /// The kind that it names.
        kind: u64,
    },
    /// More of something than is allowed.
    #[error(
        "the settings have {found} {what}, the limit is {limit}; split them over several entries"
    )]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much is allowed.
        limit: usize,
    },
    /// A setting without a key.
    #[error("a setting has an empty key; name what is to be set")]
    EmptyKey,
    /// An invite that gives Admin: its bearer could choose how senior it becomes.
    #[error("an invite gives Read or Write, never Admin; grant Admin to a key instead")]
    AdminByInvite,
    /// An invite that nobody can use.
    #[error("an invite has 0 uses; give it at least 1")]
    NoUses,
    /// The subject of an operation is not a usable key.
    #[error("the subject of an operation is not a usable key: {0}")]
    Subject(#[from] KeyError),
}

impl SettingsError {
    /// Returns whether a newer build may understand what this one does not: a version, operation or
    /// level that is not known here. Such an entry is kept out, not refused.
    pub const fn is_newer(&self) -> bool {
        matches!(
            self,
            Self::NewerVersion { .. } | Self::UnknownKind { .. } | Self::UnknownLevel { .. }
        )
    }
}

/// Encodes operations as the payload of a `_settings` section.
///
/// # Errors
/// [`SettingsError::TooMany`] and [`SettingsError::EmptyKey`].
pub fn encode_operations(operations: &[Operation]) -> Result<Vec<u8>, SettingsError> {
    check(operations)?;
    let listed = operations.iter().map(operation_to_value).collect();
    let value = Value::Array(vec![SETTINGS_VERSION.into(), Value::Array(listed)]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&value, &mut bytes)
        .map_err(|error| SettingsError::NotCbor(error.to_string()))?;
    bounded("bytes", bytes.len(), PAYLOAD_MAX)?;
    Ok(bytes)
}

/// Decodes the payload of a `_settings` section.
///
/// # Errors
/// [`SettingsError`] for anything but the one encoding of operations that this build knows. The
/// entry is to be refused, unless [`SettingsError::is_newer`]: then it is to be kept out until an
/// update.
pub fn decode_operations(bytes: &[u8]) -> Result<Vec<Operation>, SettingsError> {
    bounded("bytes", bytes.len(), PAYLOAD_MAX)?;
    let value: Value =
        ciborium::from_reader(bytes).map_err(|error| SettingsError::NotCbor(error.to_string()))?;
    // The version comes first, so that newer settings are told from damaged ones.
    let mut parts = array(value, "settings")?.into_iter();
    let version = parts.next().map(|value| number(&value, "a version")).transpose()?;
    match version {
        Some(SETTINGS_VERSION) => {}
        Some(found) if found > SETTINGS_VERSION => {
            return Err(SettingsError::NewerVersion { found });
        }
        _ => return Err(SettingsError::Unexpected { expected: "a version" }),
    }
    let expected = "a list of operations and nothing more";
    let (Some(listed), None) = (parts.next(), parts.next()) else {
        return Err(SettingsError::Unexpected { expected });
    };
    let listed = array(listed, expected)?;
    bounded("operations", listed.len(), SETTINGS_OPERATIONS_MAX)?;
    let operations: Result<Vec<_>, _> = listed.into_iter().map(operation_from_value).collect();
    let operations = operations?;
    if encode_operations(&operations)? != bytes {
        return Err(SettingsError::NonCanonical);
    }
    Ok(operations)
}

fn check(operations: &[Operation]) -> Result<(), SettingsError> {
    bounded("operations", operations.len(), SETTINGS_OPERATIONS_MAX)?;
    for operation in operations {
        match operation {
            Operation::Grant { name, .. } => {
                let length = name.as_ref().map_or(0, String::len);
                bounded("bytes in a name", length, GRANT_NAME_MAX)?;
            }
            Operation::Set { key, .. } if key.is_empty() => return Err(SettingsError::EmptyKey),
            Operation::Set { key, .. } => bounded("bytes in a key", key.len(), SETTING_KEY_MAX)?,
            Operation::Invite { gives: Level::Admin(_), .. } => {
                return Err(SettingsError::AdminByInvite);
            }
            Operation::Invite { uses: 0, .. } => return Err(SettingsError::NoUses),
            Operation::Invite { .. } | Operation::Limit { .. } => {}
        }
    }
    Ok(())
}

const fn bounded(what: &'static str, found: usize, limit: usize) -> Result<(), SettingsError> {
    if found > limit { Err(SettingsError::TooMany { what, found, limit }) } else { Ok(()) }
}

fn operation_to_value(operation: &Operation) -> Value {
    Value::Array(match operation {
        Operation::Grant { subject, level, name, expires } => vec![
            GRANT.into(),
            subject_to_value(*subject),
            level_to_value(*level),
            name.as_ref().map_or(Value::Null, |name| name.as_str().into()),
            expires.map_or(Value::Null, Value::from),
        ],
        Operation::Set { key, value } => {
            vec![SET.into(), key.as_str().into(), value.as_str().into()]
        }
        Operation::Invite { key, gives, uses, expires } => vec![
            INVITE.into(),
            Value::Bytes(key.as_bytes().to_vec()),
            level_to_value(*gives),
            (*uses).into(),
            expires.map_or(Value::Null, Value::from),
        ],
        Operation::Limit { subject, to } => {
            vec![LIMIT.into(), subject_to_value(*subject), to.map_or(Value::Null, level_to_value)]
        }
    })
}

fn subject_to_value(subject: Subject) -> Value {
    match subject {
        Subject::Key(key) => Value::Bytes(key.as_bytes().to_vec()),
        Subject::Anyone => Value::Null,
    }
}

fn level_to_value(level: Level) -> Value {
    Value::Array(match level {
        Level::Admin(priority) => vec![ADMIN.into(), priority.into()],
        Level::Write(priority) => vec![WRITE.into(), priority.into()],
        Level::Read => vec![READ.into()],
    })
}

fn operation_from_value(value: Value) -> Result<Operation, SettingsError> {
    let parts = array(value, "an operation")?;
    let kind = parts.first().map(|kind| number(kind, "the kind of an operation")).transpose()?;
    match (kind, parts.as_slice()) {
        (Some(GRANT), [_, subject, level, name, expires]) => Ok(Operation::Grant {
            subject: subject_from_value(subject)?,
            level: level_from_value(level)?,
            name: optional(name, |name| text(name, "a name"))?,
            expires: optional(expires, |expires| number(expires, "an expiry"))?,
        }),
        (Some(SET), [_, key, value]) => {
            Ok(Operation::Set { key: text(key, "a key")?, value: text(value, "a value")? })
        }
        (Some(INVITE), [_, key, gives, uses, expires]) => Ok(Operation::Invite {
            key: key_from_value(key)?,
            gives: level_from_value(gives)?,
            uses: small_number(uses, "a number of uses")?,
            expires: optional(expires, |expires| number(expires, "an expiry"))?,
        }),
        (Some(LIMIT), [_, subject, to]) => Ok(Operation::Limit {
            subject: subject_from_value(subject)?,
            to: optional(to, level_from_value)?,
        }),
        (Some(GRANT), _) => Err(SettingsError::Unexpected { expected: "a grant of five parts" }),
        (Some(SET), _) => Err(SettingsError::Unexpected { expected: "a setting of three parts" }),
        (Some(INVITE), _) => Err(SettingsError::Unexpected { expected: "an invite of five parts" }),
        (Some(LIMIT), _) => Err(SettingsError::Unexpected { expected: "a limit of three parts" }),
        (Some(kind), _) => Err(SettingsError::UnknownKind { kind }),
        (None, _) => Err(SettingsError::Unexpected { expected: "an operation" }),
    }
}

fn subject_from_value(value: &Value) -> Result<Subject, SettingsError> {
    match value {
        Value::Null => Ok(Subject::Anyone),
        value => key_from_value(value).map(Subject::Key),
    }
}

fn key_from_value(value: &Value) -> Result<PublicKey, SettingsError> {
    let bytes = value.as_bytes().and_then(|bytes| <[u8; KEY_LEN]>::try_from(&**bytes).ok());
    let bytes = bytes.ok_or(SettingsError::Unexpected { expected: "a key of 32 bytes" })?;
    Ok(PublicKey::from_bytes(bytes)?)
}

fn level_from_value(value: &Value) -> Result<Level, SettingsError> {
    let expected = "a level";
    let parts = value.as_array().ok_or(SettingsError::Unexpected { expected })?;
    let kind = parts.first().map(|kind| number(kind, expected)).transpose()?;
    let priority = |value| small_number(value, "a priority");
    match (kind, parts.as_slice()) {
        (Some(ADMIN), [_, value]) => Ok(Level::Admin(priority(value)?)),
        (Some(WRITE), [_, value]) => Ok(Level::Write(priority(value)?)),
        (Some(READ), [_]) => Ok(Level::Read),
        (Some(kind), _) if !matches!(kind, ADMIN | WRITE | READ) => {
            Err(SettingsError::UnknownLevel { kind })
        }
        _ => Err(SettingsError::Unexpected { expected }),
    }
}

fn optional<T>(
    value: &Value,
    read: impl FnOnce(&Value) -> Result<T, SettingsError>,
) -> Result<Option<T>, SettingsError> {
    if value.is_null() { Ok(None) } else { read(value).map(Some) }
}

fn array(value: Value, expected: &'static str) -> Result<Vec<Value>, SettingsError> {
    value.into_array().map_err(|_| SettingsError::Unexpected { expected })
}

fn number(value: &Value, expected: &'static str) -> Result<u64, SettingsError> {
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    number.ok_or(SettingsError::Unexpected { expected })
}

fn small_number(value: &Value, expected: &'static str) -> Result<u32, SettingsError> {
    let number = number(value, expected)?;
    u32::try_from(number).map_err(|_| SettingsError::Unexpected { expected })
}

fn text(value: &Value, expected: &'static str) -> Result<String, SettingsError> {
    value.as_text().map(str::to_owned).ok_or(SettingsError::Unexpected { expected })
}

//! What an entry can say in the settings of its database.

use weald_dag::PublicKey;

use crate::level::Level;

/// The store whose operations are the authority of a database.
pub const SETTINGS_STORE: &str = "_settings";

/// Whom a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Whoever signs with this key.
    Key(PublicKey),
    /// Everybody, known or not.
    Anyone,
}

/// One operation on the settings. Grants only add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Gives a level to a subject.
    Grant {
        /// Whom it is for.
        subject: Subject,
        /// How much it gives; `Anyone` gets Read or Write, never Admin.
        level: Level,
        /// What people call the subject.
        name: Option<String>,
        /// When it ends, in milliseconds since 1970; entries of that time and later cannot use it.
        /// It is compared with the time that an entry names, so it binds honest devices only.
        expires: Option<u64>,
    },
    /// Sets a name, a description or a setting of an app; of two, the later stands.
    Set {
        /// What is set.
        key: String,
        /// To what.
        value: String,
    },
}

//! What an entry can say in the settings of its database.

use weald_dag::PublicKey;

use crate::level::Level;

/// The store whose operations are the authority of a database.
pub const SETTINGS_STORE: &str = "_settings";

/// Whom a grant or a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Whoever signs with this key.
    Key(PublicKey),
    /// Everybody, known or not.
    Anyone,
}

/// One operation on the settings. Grants and invites only add; a limit is the only one that takes
/// away.
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
    /// Lets the bearer of a secret key add one key of its own, without an administrator at hand: an
    /// entry signed by `key` may hold exactly one operation, the grant of `gives` to a key.
    Invite {
        /// The public half; the secret half rides in a ticket.
        key: PublicKey,
        /// What its use grants, exactly: Read or Write, never Admin.
        gives: Level,
        /// How many uses count; of more, the first by generation and id.
        uses: u32,
        /// When it ends, in milliseconds since 1970, as the end of a grant.
        expires: Option<u64>,
    },
    /// Lowers what a subject holds, in entries that this one does not descend from: `None` is a
    /// revocation, a lower level a demotion. It acts on holdings that are weaker than its author's
    /// rank, and is lifted by a later grant of somebody at least as strong.
    Limit {
        /// Whom it takes from.
        subject: Subject,
        /// What remains at most.
        to: Option<Level>,
    },
    /// Sets a name, a description or a setting of an app; of two, the later stands.
    Set {
        /// What is set.
        key: String,
        /// To what.
        value: String,
    },
}

//! What takes away: one limit for each that counts.
//!
//! Invariant: a limit acts on nothing that it has seen and on nothing stronger than itself.

use weald_dag::PublicKey;

use crate::level::Level;
use crate::operation::Subject;
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;

/// A limit that counts.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The rank of the entry that it is in.
    pub(crate) rank: Rank,
    pub(crate) entry: SettingsIndex,
    pub(crate) author: PublicKey,
    pub(crate) subject: Subject,
    /// What remains; nothing for a revocation.
    pub(crate) to: Option<Level>,
}

impl Limit {
    /// Returns whether its author limits itself.
    pub(crate) fn is_own(&self) -> bool {
        self.subject == Subject::Key(self.author)
    }
}

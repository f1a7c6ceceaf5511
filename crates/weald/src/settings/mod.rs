//! The settings of a database: its name, who may do what, and what the app keeps there.
//!
//! Invariant: they are entries like all others; what is read here is what all of them together say.

mod change;
mod decide;
mod error;
mod founding;
mod hand_on;
mod member;
mod outlook;
mod preview;
mod recovery;
mod take_back;
mod upkeep;
mod words;

use std::fmt;
use std::sync::Arc;

use weald_auth::Authority;
use weald_dag::StoreError;

pub use change::SettingsReceipt;
pub(crate) use change::{change as change_settings, commit as settings_commit};
pub(crate) use decide::{Decision, Wish};
pub use error::SettingsError;
pub use founding::DatabaseSettings;
pub use member::MemberLimit;
pub(crate) use outlook::{LASTING, judge_now, outlook};
pub use preview::{MemberPreview, SettingsPreview};
pub(crate) use upkeep::tend;
pub(crate) use words::in_words;

use crate::database::Database;

/// The setting that holds the name.
pub(crate) const NAME: &str = "name";
/// The setting that holds the description.
const DESCRIPTION: &str = "description";

/// Reads and changes the settings of one database.
#[derive(Clone)]
pub struct Settings {
    database: Database,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("database", &self.database.id()).finish_non_exhaustive()
    }
}

impl Settings {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) fn authority(&self) -> Result<Arc<Authority>, StoreError> {
        let core = self.database.core();
        if let Some(known) = core.access.get(&self.database.id()) {
            return Ok(known);
        }
        match core.held(&self.database.id())? {
            Some(held) => core.authority(&held),
            None => Ok(Arc::default()),
        }
    }

    /// Returns the name of the database.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn name(&self) -> Result<Option<String>, StoreError> {
        self.get(NAME)
    }

    /// Returns a setting.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.authority()?.current().setting(key).map(str::to_owned))
    }

    /// Returns what the database is for, in words.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn description(&self) -> Result<Option<String>, StoreError> {
        self.get(DESCRIPTION)
    }

    /// Returns all settings by key, name and description among them.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn all(&self) -> Result<Vec<(String, String)>, StoreError> {
        let authority = self.authority()?;
        let all = authority.current();
        Ok(all.settings().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

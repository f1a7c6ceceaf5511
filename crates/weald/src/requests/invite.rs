//! Invites as an administrator sees them: made into tickets, listed, taken back.
//!
//! Invariant: the secret half of an invite is in its ticket and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use weald_auth::{Invite, Level, Operation, Subject};
use weald_dag::{PublicKey, StoreError};

use super::InviteError;
use crate::clock::wall_millis;
use crate::database::Database;
use crate::error::Error;
use crate::seal::new_secret;
use crate::settings::{SettingsReceipt, change_settings, settings_commit};
use crate::sync::PeerSync;
use crate::ticket::Ticket;

/// What an invite gives, how often and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteOptions {
    gives: Level,
    uses: u32,
    expires: Option<Duration>,
}

impl InviteOptions {
    /// Starts an invite that gives `Read` or `Write`, once and without an end.
    pub const fn new(gives: Level) -> Self {
        Self { gives, uses: 1, expires: None }
    }

    /// Lets it be used this many times, by as many keys; at least 1, and 1 by default.
    #[must_use]
    pub const fn uses(mut self, uses: u32) -> Self {
        self.uses = uses;
        self
    }

    /// Ends it after a time from now. It never ends by default.
    #[must_use]
    pub const fn expires_in(mut self, time: Duration) -> Self {
        self.expires = Some(time);
        self
    }
}

impl Database {
    /// Makes an invite and returns the ticket with it: whoever has the ticket can read the database and add
    /// a key of its own, as often as the options say, with no administrator at hand.
    ///
    /// The ticket names this device and where it listens, once sync is enabled. Its text shows the secret:
    /// it is to be handed out, to those who are meant and to nobody else.
    ///
    /// # Errors
    /// [`crate::SettingsError::Operations`] when the options give `Admin` or no uses,
    /// [`weald_engine::CommitError::NotPermitted`] unless the key of this handle is an administrator at least
    /// as strong as what the invite gives.
    pub fn invite(&self, options: &InviteOptions) -> Result<Ticket, Error> {
        let secret = new_secret()?;
        let expires = options.expires.map(|time| {
            wall_millis().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        });
        let InviteOptions { gives, uses, .. } = *options;
        let operation = Operation::Invite { key: secret.public(), gives, uses, expires };
        let (number, key) = (self.number(), Arc::clone(self.secret()));
        let decide = move |_: &_| settings_commit(number, &key, &[operation]);
        change_settings(self.core(), number, Box::new(decide))?;
        Ok(PeerSync::ticket_of(self).with_invite(secret))
    }

    /// Lists the invites that were not taken back, strongest first; those that are used up or have ended
    /// among them.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn invites(&self) -> Result<Vec<Invite>, StoreError> {
        self.settings().invites()
    }

    /// Takes an invite back: its ticket lets nobody in from now on. Who has used it stays.
    ///
    /// # Errors
    /// [`InviteError::Unknown`], or as for [`crate::Settings::revoke`].
    pub fn revoke_invite(&self, key: &PublicKey) -> Result<SettingsReceipt, Error> {
        let database = self.id();
        if !self.invites()?.iter().any(|invite| invite.key == *key) {
            return Err(InviteError::Unknown { database, key: *key }.into());
        }
        self.settings().revoke(Subject::Key(*key))
    }
}

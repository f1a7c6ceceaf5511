//! Changing the settings: each call is one entry, or a refusal that says what to do.
//!
//! Invariant: what is refused here is decided on the writer thread, so two callers of one instance
//! cannot do together what either alone is kept from.

use std::sync::Arc;

use weald_auth::{Level, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_dag::{EntryId, PublicKey, SecretKey};
use weald_engine::Commit;

use super::decide::{Decision, Wish};
use super::{DESCRIPTION, Settings, SettingsError};
use crate::clock::wall_millis;
use crate::core::{Core, lost};
use crate::desk::{Change, Decide, Job, Receipt};
use crate::error::Error;
use crate::reply::{Reply, reply};

/// What a change to the settings has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsReceipt {
    /// The entry; `None` when all was so already, which makes none.
    pub entry: Option<EntryId>,
    /// How many entries are visible that were not.
    pub appeared: u64,
    /// How many entries are hidden that were not. What is known here when somebody is limited stays,
    /// so there are none of theirs.
    pub vanished: u64,
}

impl SettingsReceipt {
    fn of(receipt: Option<Receipt>) -> Self {
        receipt.map_or_else(Self::default, |receipt| Self {
            entry: Some(receipt.id),
            appeared: receipt.appeared,
            vanished: receipt.vanished,
        })
    }
}

/// Makes the commit of operations on the settings; none of none.
pub(crate) fn commit(
    database: u32,
    key: &Arc<SecretKey>,
    operations: &[Operation],
) -> Result<Option<Commit>, SettingsError> {
    if operations.is_empty() {
        return Ok(None);
    }
    let payload = encode_operations(operations)?;
    let sections = vec![(SETTINGS_STORE.to_owned(), payload)];
    Ok(Some(Commit { database, key: Arc::clone(key), sections, required: Vec::new() }))
}

/// Changes the settings of a database by what is decided at its turn.
pub(crate) fn change(
    core: &Core,
    database: u32,
    decide: Decide,
) -> Result<SettingsReceipt, SettingsError> {
    answered(submit(core, database, None, decide)?)
}

/// Changes the settings of a database by an entry that does not descend from another one.
pub(crate) fn change_beside(
    core: &Core,
    database: u32,
    entry: EntryId,
    decide: Decide,
) -> Result<SettingsReceipt, SettingsError> {
    answered(submit(core, database, Some(entry), decide)?)
}

fn answered(
    waiting: Reply<Result<Option<Receipt>, SettingsError>>,
) -> Result<SettingsReceipt, SettingsError> {
    let answer = waiting.wait().unwrap_or_else(|| Err(lost().into()))?;
    Ok(SettingsReceipt::of(answer))
}

fn submit(
    core: &Core,
    database: u32,
    beside: Option<EntryId>,
    decide: Decide,
) -> Result<Reply<Result<Option<Receipt>, SettingsError>>, SettingsError> {
    let (answer, reply) = reply();
    core.submit(Job::Change(Box::new(Change { database, decide, beside, answer })))?;
    Ok(reply)
}

impl Settings {
    /// Gives a level to a subject, and a name that people call it by. It adds to what the subject
    /// holds: a lower level changes nothing but the name.
    ///
    /// # Errors
    /// [`weald_engine::CommitError::NotPermitted`] unless the key of this handle is an administrator,
    /// [`SettingsError::AboveOwnRank`], [`SettingsError::AdminForAnyone`], or
    /// [`SettingsError::LimitedByStronger`] where a stronger administrator has revoked the subject.
    pub fn grant(
        &self,
        subject: Subject,
        level: Level,
        name: Option<&str>,
    ) -> Result<SettingsReceipt, Error> {
        let name = name.map(str::to_owned);
        self.make(Wish::Grant { subject, level, name, expires: None })
    }

    /// Gives a level to a subject until a time in milliseconds since 1970.
    ///
    /// The end is compared with the time that an entry names, so until an administrator's device has
    /// taken the grant back, which it does by itself, it binds honest devices only.
    ///
    /// # Errors
    /// As for [`Settings::grant`], and [`SettingsError::AlreadyEnded`].
    pub fn grant_until(
        &self,
        subject: Subject,
        level: Level,
        name: Option<&str>,
        expires: u64,
    ) -> Result<SettingsReceipt, Error> {
        let name = name.map(str::to_owned);
        self.make(Wish::Grant { subject, level, name, expires: Some(expires) })
    }

    /// Gives a key of another device as much as the key of this handle holds by itself, for as long. It
    /// is weaker by seniority: this key can take it back when the device is lost, and not the other way round.
    /// Only an administrator can do this; to others' devices each key is granted by one.
    ///
    /// # Errors
    /// As for [`Settings::grant`].
    pub fn grant_device(
        &self,
        device: PublicKey,
        name: Option<&str>,
    ) -> Result<SettingsReceipt, Error> {
        self.make(Wish::Device { key: device, name: name.map(str::to_owned) })
    }

    /// Leaves a subject at most this level: `None` takes everything. What is known here of the
    /// subject's entries stays; what it has written beside, wherever it hangs it in, is hidden on
    /// every device. [`Settings::preview_limit`] tells before what this does.
    ///
    /// # Errors
    /// [`weald_engine::CommitError::NotPermitted`] unless the key of this handle is an administrator
    /// or the subject, [`SettingsError::NotAMember`], [`SettingsError::OutranksNobody`],
    /// [`SettingsError::StillHolds`], or [`SettingsError::LastAdministrator`].
    pub fn limit(&self, subject: Subject, to: Option<Level>) -> Result<SettingsReceipt, Error> {
        self.make(Wish::Limit { subject, to })
    }

    /// Takes everything from a subject, as [`Settings::limit`] to nothing does.
    ///
    /// # Errors
    /// As for [`Settings::limit`].
    pub fn revoke(&self, subject: Subject) -> Result<SettingsReceipt, Error> {
        self.limit(subject, None)
    }

    /// Takes everything from a subject and from all whose standing goes back to its grants, in one
    /// entry.
    ///
    /// # Errors
    /// As for [`Settings::limit`], and [`SettingsError::Operations`] when they are too many for one
    /// entry: revoke some of them first.
    pub fn revoke_with_granted(&self, subject: Subject) -> Result<SettingsReceipt, Error> {
        self.make(Wish::WithGranted { subject })
    }

    /// Sets what everybody may do, from now on and without an end: nothing, `Read` or `Write`. What is
    /// raised is a grant, what is lowered a limit.
    ///
    /// # Errors
    /// As for [`Settings::grant`] and [`Settings::limit`].
    pub fn set_anyone(&self, level: Option<Level>) -> Result<SettingsReceipt, Error> {
        self.make(Wish::Anyone { level })
    }

    /// Gives a level to everybody, `Read` or `Write`; a lower one than they have changes nothing.
    ///
    /// # Errors
    /// As for [`Settings::grant`].
    pub fn grant_anyone(&self, level: Level) -> Result<SettingsReceipt, Error> {
        self.grant(Subject::Anyone, level, None)
    }

    /// Gives up all that the key of this handle may do.
    ///
    /// # Errors
    /// [`SettingsError::LastAdministrator`] and [`SettingsError::NotAMember`]. Of two last
    /// administrators who leave at once on devices apart, neither can be kept from it: only a
    /// recovery key helps then.
    pub fn leave(&self) -> Result<SettingsReceipt, Error> {
        self.limit(Subject::Key(self.database.key()), None)
    }

    /// Sets a setting: `"name"`, `"description"`, or one of the app's. Of two the later stands.
    ///
    /// # Errors
    /// [`weald_engine::CommitError::NotPermitted`] unless the key of this handle is an administrator,
    /// and [`SettingsError::Operations`] for a key or value that is too long.
    pub fn set(&self, key: &str, value: &str) -> Result<SettingsReceipt, Error> {
        self.make(Wish::Set { key: key.to_owned(), value: value.to_owned() })
    }

    /// Sets what the database is for, in words.
    ///
    /// # Errors
    /// As for [`Settings::set`].
    pub fn set_description(&self, description: &str) -> Result<SettingsReceipt, Error> {
        self.set(DESCRIPTION, description)
    }

    fn make(&self, wish: Wish) -> Result<SettingsReceipt, Error> {
        let (database, key) = (self.database.number(), Arc::clone(self.database.secret()));
        let decide: Decide = Box::new(move |authority| {
            let (actor, now_millis) = (key.public(), wall_millis());
            let decision = Decision { authority, actor, now_millis };
            commit(database, &key, &decision.operations(wish)?)
        });
        Ok(change(self.database.core(), database, decide)?)
    }
}

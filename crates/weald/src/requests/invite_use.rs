//! The use of an invite: the entry by which its bearer grants a key of its own what the invite gives.
//!
//! Invariant: whether the entry is needed, and whether it would count, is looked at by the writer thread in
//! the moment in which it is made, so that one key takes one seat. A seat that was taken is found again, and
//! is not taken for what the key holds without the invite.

use std::sync::Arc;

use weald_auth::{Authority, Level, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_dag::{DatabaseId, EntryId, PublicKey, SecretKey};
use weald_engine::Commit;

use super::InviteError;
use crate::reply::Answer;
use crate::settings::outlook;

/// A job of the writer thread: to use an invite for a key.
pub(crate) struct UseInvite {
    /// The local number of the database.
    pub(crate) number: u32,
    pub(crate) database: DatabaseId,
    /// The secret half of the invite.
    pub(crate) invite: Arc<SecretKey>,
    /// Who is to hold what it gives.
    pub(crate) key: PublicKey,
    /// What people call it.
    pub(crate) name: Option<String>,
    pub(crate) answer: Answer<Result<Seat, InviteError>>,
}

/// What came of using an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// The key holds as much without it, or is a member and the invite is gone: the invite was not used.
    Held(Level),
    /// The entry that grants it, made now or before.
    Taken(EntryId),
}

/// Returns the commit that takes the seat, or what makes it needless.
pub(crate) fn take_seat(
    job: &UseInvite,
    authority: &Authority,
    now_millis: u64,
) -> Result<Result<Commit, Seat>, InviteError> {
    let (database, invite) = (job.database, job.invite.public());
    let current = authority.current().at(now_millis);
    let members = current.members();
    let member = members.iter().find(|member| member.subject == Subject::Key(job.key));
    if let Some(member) = member.filter(|member| member.granted_by == invite) {
        return Ok(Err(Seat::Taken(member.rank.entry)));
    }
    let Some(found) = current.invite(&invite) else {
        let held = member.map(|member| Err(Seat::Held(member.level)));
        return held.ok_or(InviteError::Revoked { database });
    };
    if let Some(held) = current.level_of(&job.key).filter(|held| held.covers(found.gives)) {
        return Ok(Err(Seat::Held(held)));
    }
    if found.has_ended {
        return Err(InviteError::Expired { database });
    }
    if !found.is_open() {
        return Err(InviteError::UsedUp { database });
    }
    let (subject, name) = (Subject::Key(job.key), job.name.clone());
    let grant = Operation::Grant { subject, level: found.gives, name, expires: None };
    let after = outlook(authority, invite, std::slice::from_ref(&grant), now_millis);
    // Why it would not count at all is said by the door.
    if let Ok(after) = after {
        let held = after.current().at(now_millis).level_of(&job.key);
        if !held.is_some_and(|held| held.covers(found.gives)) {
            return Err(InviteError::KeyLimited { database, key: job.key });
        }
    }
    let payload = encode_operations(&[grant]).map_err(|error| {
        let (store, reason) = (SETTINGS_STORE.to_owned(), error.to_string());
        InviteError::Commit(weald_engine::CommitError::Void { store, reason })
    })?;
    Ok(Ok(Commit {
        database: job.number,
        key: Arc::clone(&job.invite),
        sections: vec![(SETTINGS_STORE.to_owned(), payload)],
        required: Vec::new(),
    }))
}

//! Limits that nobody has to ask for: on invites that are used up or have ended, and on what has
//! ended of grants. Until they are there, a backdated entry could still use those.
//!
//! Invariant: what is due is limited by the device of the first administrator or of the one who made
//! the grant, and only where that ends its being due; so it comes to an end whoever does it at once.

use std::sync::Arc;

use weald_auth::{Authority, Operation, SETTINGS_OPERATIONS_MAX, Subject};
use weald_dag::{PublicKey, SecretKey};
use weald_store::{WeakWriter, Writer};

use super::change::commit;
use super::outlook::outlook;
use super::recovery::is_recovery_key;
use crate::clock::wall_millis;
use crate::desk::{Change, Job, Shared};
use crate::reply::reply;

/// Sees to what is due in a database whose settings have changed, or that was opened.
pub(crate) fn tend(shared: &Shared, database: u32, authority: &Authority) {
    for key in shared.key_ring.unlocked() {
        if duty(authority, key.public(), wall_millis()).is_empty() {
            continue;
        }
        let writer = shared.writer.get().and_then(WeakWriter::upgrade);
        // A closing instance takes no more jobs: what is due stays so until the next opening.
        if let Some(writer) = writer {
            submit(&writer, database, key);
        }
    }
}

fn submit(writer: &Writer<Job>, database: u32, key: Arc<SecretKey>) {
    let decide = Box::new(move |authority: &Authority| {
        // An entry that came meanwhile may have done it.
        commit(database, &key, &duty(authority, key.public(), wall_millis()))
    });
    // Nobody waits for it.
    let (answer, _) = reply();
    let _ = writer.submit(Job::Change(Box::new(Change { database, decide, beside: None, answer })));
}

/// Returns what an administrator has to limit now.
fn duty(authority: &Authority, actor: PublicKey, now_millis: u64) -> Vec<Operation> {
    let current = authority.current().at(now_millis);
    // All holdings are looked at only for whoever could do something.
    if current.admin_rank(&actor).is_none() {
        return Vec::new();
    }
    let due = current.due_limits(now_millis);
    if due.is_empty() {
        return Vec::new();
    }
    let is_first = first_administrator(authority, now_millis) == Some(actor);
    let mine = due.into_iter().filter(|(subject, _)| {
        // A limit on oneself would have to be alone in its entry, and takes nothing that is stronger
        // than what one still holds.
        *subject != Subject::Key(actor)
            && (is_first || granter(authority, *subject) == Some(actor))
            && current.outranks(&actor, *subject)
    });
    let mine = mine.take(SETTINGS_OPERATIONS_MAX);
    let mut operations: Vec<_> =
        mine.map(|(subject, to)| Operation::Limit { subject, to }).collect();
    if operations.is_empty() {
        return operations;
    }
    // What would be due all the same is left to somebody stronger.
    let Ok(after) = outlook(authority, actor, &operations, now_millis) else { return Vec::new() };
    let still = after.current().at(now_millis).due_limits(now_millis);
    operations.retain(|operation| match operation {
        Operation::Limit { subject, .. } => still.iter().all(|(left, _)| left != subject),
        _ => false,
    });
    operations
}

/// Returns the strongest administrator but for the recovery key, which is on no device.
fn first_administrator(authority: &Authority, now_millis: u64) -> Option<PublicKey> {
    let current = authority.current().at(now_millis);
    let members = current.members();
    let is_recovery = |key: &PublicKey| {
        let subject = Subject::Key(*key);
        members.iter().any(|member| member.subject == subject && is_recovery_key(member))
    };
    current.admins().into_iter().find(|key| !is_recovery(key))
}

/// Returns who made the invite or the grant, whether it has ended or not.
fn granter(authority: &Authority, subject: Subject) -> Option<PublicKey> {
    let current = authority.current();
    if let Subject::Key(key) = subject
        && let Some(invite) = current.invite(&key)
    {
        return Some(invite.granted_by);
    }
    let members = current.members();
    members.iter().find(|member| member.subject == subject).map(|member| member.granted_by)
}

//! Handing over what one key may do to another key of the same user.
//!
//! Invariant: in each database the new key is granted before the old one gives up, so that at no
//! moment nobody is left.

use std::sync::Arc;

use weald_auth::{Action, Subject};
use weald_dag::{DatabaseId, PublicKey, SecretKey};
use weald_engine::{Held, all_held};

use crate::clock::wall_millis;
use crate::core::Core;
use crate::database::DatabaseError;
use crate::desk::Decide;
use crate::error::Error;
use crate::settings::{Decision, Wish, change_settings, settings_commit};

/// What became of each database in which a key could do something.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct HandOver {
    /// Where the new key may now do what the old one could, and the old one nothing any more.
    pub done: Vec<DatabaseId>,
    /// Where the old key is no administrator: one of them must grant the new key its level. Until
    /// then the old key still serves.
    pub needs_administrator: Vec<DatabaseId>,
    /// Where it did not work, and why: such as a database of which not all is here yet. Hand over
    /// again once what is in the way is gone.
    pub failed: Vec<(DatabaseId, Error)>,
}

/// A new key in place of an old one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotation {
    /// The new key.
    pub key: PublicKey,
    /// What became of each database in which the old key could do something.
    pub hand_over: HandOver,
}

enum Outcome {
    Done,
    NeedsAdministrator,
    Nothing,
}

/// Grants to another key what a key may do, and limits that key to nothing, wherever it may.
pub(super) fn hand_over(
    core: &Arc<Core>,
    old: &Arc<SecretKey>,
    new: &PublicKey,
) -> Result<HandOver, Error> {
    let mut report = HandOver::default();
    for held in all_held(&core.rows()?)?.into_iter().filter(|held| !held.system) {
        match hand_over_one(core, &held, old, new) {
            Ok(Outcome::Done) => report.done.push(held.id),
            Ok(Outcome::NeedsAdministrator) => report.needs_administrator.push(held.id),
            Ok(Outcome::Nothing) => {}
            Err(error) => report.failed.push((held.id, error)),
        }
    }
    Ok(report)
}

fn hand_over_one(
    core: &Core,
    held: &Held,
    old: &Arc<SecretKey>,
    new: &PublicKey,
) -> Result<Outcome, Error> {
    let authority = core.authority(held)?;
    let members = authority.current().at(wall_millis()).members();
    let subject = Subject::Key(old.public());
    let Some(member_old) = members.iter().find(|member| member.subject == subject) else {
        return Ok(Outcome::Nothing);
    };
    if !held.complete {
        return Err(DatabaseError::NotHere { id: held.id }.into());
    }
    if !member_old.level.allows(Action::Administer) {
        return Ok(Outcome::NeedsAdministrator);
    }
    change(core, held, old, Wish::HandOver { key: *new })?;
    // Alone: an entry that limits its own author holds nothing else.
    change(core, held, old, Wish::Limit { subject, to: None })?;
    Ok(Outcome::Done)
}

fn change(core: &Core, held: &Held, key: &Arc<SecretKey>, wish: Wish) -> Result<(), Error> {
    let (number, key) = (held.number, Arc::clone(key));
    let decide: Decide = Box::new(move |authority| {
        let (actor, now_millis) = (key.public(), wall_millis());
        let decision = Decision { authority, actor, now_millis };
        settings_commit(number, &key, &decision.operations(wish)?)
    });
    change_settings(core, number, decide)?;
    Ok(())
}

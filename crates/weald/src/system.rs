//! The instance's own databases: users, what they track, and what sync remembers.
//!
//! Invariant: there is one of each name, signed by the device key, and none is ever served to a peer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use weald_auth::{Level, Operation, Subject};
use weald_dag::StoreError;
use weald_engine::{CommitError, Founding, Held, all_held};

use crate::core::{Core, lost};
use crate::database::Database;
use crate::desk::{Along, Found, Job};
use crate::entropy;
use crate::error::Error;
use crate::reply::reply;
use crate::settings::NAME;

/// Users and their sealed keys.
pub(crate) const USERS: &str = "_users";
/// Which databases each user tracks.
pub(crate) const DATABASES: &str = "_databases";

/// Peers, and what is kept in sync with them.
pub(crate) const SYNC: &str = "_sync";

/// Those that were used since the instance was opened.
#[derive(Default)]
pub(crate) struct SystemDatabases(Mutex<BTreeMap<&'static str, Held>>);

/// Opens one of the instance's own databases, and makes it the first time.
pub(crate) fn open(core: &Arc<Core>, name: &'static str) -> Result<Database, Error> {
    let mut known = core.system.0.lock().unwrap_or_else(PoisonError::into_inner);
    let held = match known.get(name) {
        Some(held) => *held,
        None => match find(core, name)? {
            Some(held) => held,
            None => make(core, name)?,
        },
    };
    core.feeds.hide(held.id);
    known.insert(name, held);
    Ok(Database::new(core, &held, Arc::clone(&core.device)))
}

fn find(core: &Arc<Core>, name: &str) -> Result<Option<Held>, StoreError> {
    for held in all_held(&core.rows()?)?.into_iter().filter(|held| held.system) {
        if core.authority(&held)?.current().setting(NAME) == Some(name) {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

fn make(core: &Arc<Core>, name: &str) -> Result<Held, Error> {
    let subject = Subject::Key(core.device.public());
    let operations = vec![
        Operation::Grant { subject, level: Level::Admin(0), name: None, expires: None },
        Operation::Set { key: NAME.into(), value: name.into() },
    ];
    let key = Arc::clone(&core.device);
    let founding = Founding { key, nonce: entropy::bytes()?, operations, system: true };
    Ok(found(core, founding, None)?)
}

/// Makes a database, and the commit that belongs to it in the same group.
pub(crate) fn found(
    core: &Core,
    founding: Founding,
    along: Option<Along>,
) -> Result<Held, CommitError> {
    let (answer, reply) = reply();
    core.submit(Job::Found(Box::new(Found { founding, along, answer })))?;
    reply.wait().unwrap_or_else(|| Err(lost().into()))
}

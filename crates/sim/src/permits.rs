//! Who may do what changes: grants, limits, invites, and what those try who may not any more.
//!
//! Invariant: the founder's own key is never limited by itself, so that somebody may always read.

use std::collections::BTreeSet;
use std::sync::Arc;

use weald_auth::{Level, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_dag::{Fields, Graph, PublicKey, SecretKey, Section, Snapshot, Time, Verified};
use weald_engine::{Founding, Held};

use crate::chance::Chance;
use crate::finding::Finding;
use crate::outside::Outside;
use crate::workload::any_entry;
use crate::writer::Job;

const LEVELS: [Level; 6] = [
    Level::Admin(1),
    Level::Admin(2),
    Level::Admin(5),
    Level::Write(3),
    Level::Write(10),
    Level::Read,
];

fn grant(subject: Subject, level: Level) -> Operation {
    Operation::Grant { subject, level, name: None, expires: None }
}

/// Founds a database in which every site's own key holds something.
pub(crate) fn founding(
    key: Arc<SecretKey>,
    founder: usize,
    members: &[PublicKey],
    chance: &mut Chance,
) -> Founding {
    let mut operations = vec![grant(Subject::Key(key.public()), Level::Admin(0))];
    for (site, member) in members.iter().enumerate().filter(|(site, _)| *site != founder) {
        // The first of the others is strong, so that there is always somebody to be taken from.
        let level = if site == 0 { Some(&Level::Admin(1)) } else { chance.pick(&LEVELS) };
        operations.push(grant(Subject::Key(*member), level.copied().unwrap_or(Level::Read)));
    }
    if chance.percent(30) {
        operations.push(grant(Subject::Anyone, Level::Write(10)));
    }
    Founding { key, nonce: chance.bytes(), operations, system: false }
}

/// Draws something that a site does with its own key: a change of the settings, on top of everything
/// or backdated, or the use of an invite.
///
/// # Errors
/// [`Finding`] where rows cannot be read.
pub(crate) fn draw(
    held: Held,
    key: Arc<SecretKey>,
    snapshot: Arc<dyn Snapshot>,
    wall: u64,
    outside: &mut Outside,
) -> Result<Option<Job>, Finding> {
    let own = key.public();
    let founder = outside.founders.get(&held.id).and_then(|site| outside.members.get(*site));
    let is_founder = founder == Some(&own);
    let chance = &mut outside.chance;
    let member = chance.pick(&outside.members).copied().unwrap_or(own);
    let subject = if chance.percent(15) { Subject::Anyone } else { Subject::Key(member) };
    let level = chance.pick(&LEVELS).copied().unwrap_or(Level::Read);
    let gives = chance.pick(&LEVELS[3..]).copied().unwrap_or(Level::Read);
    let to = [None, None, Some(Level::Write(10)), Some(Level::Read)];
    let to = chance.pick(&to).copied().flatten();
    let (mut author, operation) = match chance.within(0..=9) {
        0..=3 if subject != Subject::Key(own) => (key, Operation::Limit { subject, to }),
        4..=6 => (key, grant(subject, if subject == Subject::Anyone { gives } else { level })),
        7 if !is_founder => (key, Operation::Limit { subject: Subject::Key(own), to }),
        8 => {
            let invite = Arc::new(SecretKey::from_seed(&chance.bytes()));
            outside.invites.push(Arc::clone(&invite));
            let (uses, expires) = (1, None);
            (key, Operation::Invite { key: invite.public(), gives, uses, expires })
        }
        _ => (key, grant(Subject::Key(own), gives)),
    };
    let uses_invite = operation == grant(Subject::Key(own), gives);
    if let Some(invite) = chance.pick(&outside.invites).filter(|_| uses_invite) {
        author = Arc::clone(invite);
    }
    let Ok(payload) = encode_operations(&[operation]) else { return Ok(None) };
    if chance.percent(25) {
        let made = backdated(chance, &*snapshot, held.number, &author, payload, wall)?;
        return Ok(made.map(|made| Job::Adopt { database: held.id, made: Box::new(made) }));
    }
    let sections = vec![(SETTINGS_STORE.to_owned(), payload)];
    Ok(Some(Job::Commit { database: held.id, key: author, sections }))
}

/// Makes a settings entry on top of one or two of the entries drawn from all.
fn backdated(
    chance: &mut Chance,
    snapshot: &dyn Snapshot,
    database: u32,
    key: &SecretKey,
    payload: Vec<u8>,
    wall: u64,
) -> Result<Option<Verified>, Finding> {
    let graph = Graph::new(snapshot, database);
    let Some((newest, _)) = graph.head()? else { return Ok(None) };
    let (mut parents, mut time) = (BTreeSet::new(), Time::from_millis(wall));
    for _ in 0..chance.within(1..=2) {
        let parent = any_entry(chance, &graph, newest)?;
        time = time.max(parent.time().next().unwrap_or(time));
        parents.insert(parent.id());
    }
    let fields = Fields {
        parents: parents.into_iter().collect(),
        time,
        author: key.public(),
        seq: 0,
        sections: vec![Section::of(SETTINGS_STORE, &payload)],
        nonce: None,
    };
    Ok(Verified::sign(fields, vec![payload], key).ok())
}

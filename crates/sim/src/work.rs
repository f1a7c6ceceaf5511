//! What a site does of itself: it writes, changes who may do what, and lies.
//!
//! Invariant: everything goes through the writer, but for what a liar puts among its rows.

use std::sync::Arc;

use weald_dag::{Overlay, SecretKey, Snapshot, Store};
use weald_engine::{Held, held};

use crate::finding::Finding;
use crate::lie::Lie;
use crate::outside::Outside;
use crate::permits;
use crate::schedule::Event;
use crate::site::Site;
use crate::workload;
use crate::writer::Job;

/// How long a liar waits until its writer is idle, in milliseconds.
const IDLE_MS: u64 = 25;

/// Writes something to one of the site's databases, if it has a whole one.
pub(crate) fn write(site: &mut Site, outside: &mut Outside) -> Result<(), Finding> {
    let snapshot = site.writer.disk().snapshot()?;
    let Some((held, key)) = choose(site, &*snapshot, outside)? else { return Ok(()) };
    let large = outside.plan.large_percent;
    let mut rows = Overlay::new(snapshot);
    let sections = workload::draft(&mut outside.chance, &mut rows, held.number, large)?;
    site.submit(Job::Commit { database: held.id, key, sections }, outside)
}

/// Takes an entry that somebody made on top of old ones, as a second replica of one key may.
pub(crate) fn branch(site: &mut Site, outside: &mut Outside) -> Result<(), Finding> {
    let snapshot = site.writer.disk().snapshot()?;
    let Some((held, key)) = choose(site, &*snapshot, outside)? else { return Ok(()) };
    let wall = site.clock.read(outside.now());
    let made = workload::branch(&mut outside.chance, snapshot, held.number, &key, wall)?;
    let Some(made) = made else { return Ok(()) };
    site.submit(Job::Adopt { database: held.id, made: Box::new(made) }, outside)
}

/// Changes who may do what in one of the site's databases, or tries to.
pub(crate) fn permit(site: &mut Site, outside: &mut Outside) -> Result<(), Finding> {
    let snapshot = site.writer.disk().snapshot()?;
    let Some((held, key)) = choose(site, &*snapshot, outside)? else { return Ok(()) };
    let wall = site.clock.read(outside.now());
    let job = permits::draw(held, key, snapshot, wall, outside)?;
    job.map_or(Ok(()), |job| site.submit(job, outside))
}

/// Drops what is hidden and not needed of one of the site's databases.
pub(crate) fn prune(site: &mut Site, outside: &mut Outside) -> Result<(), Finding> {
    let snapshot = site.writer.disk().snapshot()?;
    let Some((held, _)) = choose(site, &*snapshot, outside)? else { return Ok(()) };
    site.submit(Job::Prune { database: held.id, number: held.number }, outside)
}

/// Puts something false among what the site holds, and tells its peers of it.
pub(crate) fn lie(site: &mut Site, lie: Lie, outside: &mut Outside) -> Result<(), Finding> {
    if !site.writer.is_idle() {
        // What is on its way to the disk has the number that the forgery would take.
        outside.schedule.after(IDLE_MS, Event::Lie);
        return Ok(());
    }
    let wall = site.clock.read(outside.now());
    let disk = site.writer.disk();
    let Some(forgery) = lie.forge(disk, &site.writable, wall, &mut outside.chance)? else {
        return Ok(());
    };
    outside.note(format_args!("site {} forges {}: {lie:?}", site.index, forgery.id.short()));
    outside.told_lies += 1;
    if !forgery.is_genuine {
        outside.forged.insert(forgery.id);
    }
    site.writer.forget();
    site.committed(forgery.database, &[forgery.number], None, outside)
}

/// Draws a database to write to, of those that are whole here, and an author.
fn choose(
    site: &Site,
    snapshot: &dyn Snapshot,
    outside: &mut Outside,
) -> Result<Option<(Held, Arc<SecretKey>)>, Finding> {
    let mut whole = Vec::new();
    for database in &site.writable {
        whole.extend(held(snapshot, database)?.filter(|held| held.complete));
    }
    let held = outside.chance.pick(&whole).copied();
    Ok(held.zip(outside.chance.pick(&site.authors).cloned()))
}

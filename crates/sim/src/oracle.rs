//! What must hold in the end.
//!
//! Invariant: it reads what the sites have on disk and what their sessions say, and changes nothing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use weald_dag::{
    DatabaseId, EntryId, Graph, MemoryStore, Number, PENDING_MAX_BYTES, Snapshot, Store, StoreError,
};
use weald_engine::{Held, StoreTypes, all_held, held, state_digest, verify};

use weald_sync::limits::INGESTING_MAX;
use weald_sync::{DatabaseStatus, Reads as _};

use crate::finding::Finding;
use crate::lie::Lie;
use crate::network::Link;
use crate::outside::{Outside, bound};
use crate::site::Site;

/// How many rounds of a database a session may take from the moment when all is well until all is at rest.
const ROUNDS_MAX: usize = 8;
/// How many jobs a site may give its own writer at once: bursts of commits.
const JOBS_OF_ITS_OWN_MAX: usize = 1_000;
/// How many batches and entries may wait in a session for one database: entries here have at least so
/// many bytes.
const PENDING_MAX: usize = INGESTING_MAX + PENDING_MAX_BYTES / ENTRY_BYTES_MIN;
/// The fewest bytes that an entry has, its signature and one parent included.
const ENTRY_BYTES_MIN: usize = 160;

/// Says what is not yet as it must be in the end, or `None` when all is at rest.
pub(crate) fn unrest(
    sites: &[Site],
    shared: &[DatabaseId],
    outside: &Outside,
) -> Result<Option<String>, StoreError> {
    let honest = |site: &usize| Some(*site) != outside.liar;
    for site in sites.iter().filter(|site| honest(&site.index)) {
        let index = site.index;
        if !site.writer.is_idle() {
            return Ok(Some(format!("the writer of site {index} is at work")));
        }
        if let Some(peer) = site.dials.peers().filter(honest).find(|peer| !site.is_dialled(*peer)) {
            return Ok(Some(format!("site {index} has no session with site {peer}")));
        }
        for (link, port) in site.ports.iter().filter(|(_, port)| honest(&port.peer)) {
            if !outside.network.link(*link).is_some_and(Link::is_alive) {
                let link = link.0;
                return Ok(Some(format!("site {index} has not noticed that link {link} is gone")));
            }
            let unsettled = |id: &&DatabaseId| -> Result<bool, StoreError> {
                let both =
                    reads(sites, outside, index, id)? && reads(sites, outside, port.peer, id)?;
                Ok(both && !port.settled.contains(*id))
            };
            let mut unsettled = shared.iter().map(|id| Ok((id, unsettled(&id)?)));
            let unsettled = unsettled.find(|found| !matches!(found, Ok((_, false))));
            if let Some((database, _)) = unsettled.transpose()? {
                let (database, link) = (database.short(), link.0);
                return Ok(Some(format!("site {index} link {link} has not settled {database}")));
            }
            let waiting = |status: &DatabaseStatus| status.pending_in + status.pending_out > 0;
            if port.session.statuses().values().any(waiting) {
                return Ok(Some(format!("something waits at site {index} on link {}", link.0)));
            }
            if port.session.deadline().is_some() && outside.plan.health_every_ms.is_none() {
                return Ok(Some(format!("site {index} still waits on link {}", link.0)));
            }
        }
    }
    if outside.is_talking() {
        return Ok(Some("frames are on their way".to_owned()));
    }
    for database in shared {
        let mut first = None;
        for site in sites.iter().filter(|site| honest(&site.index)) {
            let index = site.index;
            if !reads(sites, outside, index, database)? {
                continue;
            }
            let Some(tips) = tips(site, database)? else {
                return Ok(Some(format!("site {index} does not hold all of {}", database.short())));
            };
            if *first.get_or_insert_with(|| tips.clone()) != tips {
                return Ok(Some(format!("site {index} has other tips of {}", database.short())));
            }
        }
    }
    Ok(None)
}

/// Looks how much waits in the sessions of honest sites, and checks that it is bounded.
///
/// # Errors
/// [`Finding::Unbounded`].
pub(crate) fn queues(sites: &[Site], outside: &mut Outside) -> Result<(), Finding> {
    for site in sites.iter().filter(|site| Some(site.index) != outside.liar) {
        let jobs_limit = (site.ports.len() + 1) * INGESTING_MAX + JOBS_OF_ITS_OWN_MAX;
        bound(site.index, "jobs of the writer", site.writer.waiting(), jobs_limit)?;
        for port in site.ports.values() {
            for status in port.session.statuses().values() {
                let most = &mut outside.counts.pending_max;
                *most = (*most).max(status.pending_in);
                let found = usize::try_from(status.pending_in).unwrap_or(usize::MAX);
                bound(site.index, "batches and entries that wait", found, PENDING_MAX)?;
            }
        }
    }
    Ok(())
}

/// Counts how many rounds it took until all was at rest, and checks that they were few, where no site
/// starts rounds of itself.
///
/// # Errors
/// [`Finding::Unbounded`].
pub(crate) fn rounds(sites: &[Site], outside: &mut Outside) -> Result<(), Finding> {
    if outside.plan.rounds_every_ms.is_some() || outside.liar.is_some() {
        return Ok(());
    }
    for site in sites {
        for (link, port) in &site.ports {
            let most = port.rounds.values().copied().max().unwrap_or(0);
            outside.counts.rounds_max = outside.counts.rounds_max.max(most);
            if !outside.is_suspect(*link) {
                let found = usize::try_from(most).unwrap_or(usize::MAX);
                bound(site.index, "rounds of a database in a session", found, ROUNDS_MAX)?;
            }
        }
    }
    Ok(())
}

/// Returns whether a site may read a database, by what the site knows that made it.
fn reads(
    sites: &[Site],
    outside: &Outside,
    site: usize,
    database: &DatabaseId,
) -> Result<bool, StoreError> {
    if outside.plan.permits == 0 {
        return Ok(true);
    }
    let founder = outside.founders.get(database).and_then(|founder| sites.get(*founder));
    match founder.zip(sites.get(site)) {
        Some((founder, site)) => founder.reads().may_read(database, &site.keys()),
        None => Ok(false),
    }
}

/// Returns the tips of a database that a site holds whole.
fn tips(site: &Site, database: &DatabaseId) -> Result<Option<BTreeSet<EntryId>>, StoreError> {
    let snapshot = site.writer.disk().snapshot()?;
    let Some(held) = held(&*snapshot, database)?.filter(|held| held.complete) else {
        return Ok(None);
    };
    let graph = Graph::new(&*snapshot, held.number);
    let Some((_, head)) = graph.head()? else { return Ok(None) };
    Ok(Some(graph.ids(&head.tips)?.into_iter().collect()))
}

/// Checks everything that must hold once all is at rest.
pub(crate) fn check(
    sites: &[Site],
    shared: &[DatabaseId],
    outside: &mut Outside,
) -> Result<(), Finding> {
    for database in shared {
        let mut first = None;
        for site in sites.iter().filter(|site| Some(site.index) != outside.liar) {
            let snapshot = site.writer.disk().snapshot()?;
            let Some(held) = held(&*snapshot, database)? else { continue };
            if !reads(sites, outside, site.index, database)? {
                outside.counts.shut_off += 1;
                continue;
            }
            let (entries, hidden) = entries(&*snapshot, held)?;
            outside.counts.hidden += hidden.len() as u64;
            if let Some(entry) = outside.forged.intersection(&entries).next() {
                return Err(Finding::Believed { site: site.index, entry: *entry });
            }
            let acknowledged = outside.acknowledged.get(database).into_iter().flatten();
            for entry in acknowledged {
                // Who may not write any more keeps what it wrote; nobody else need have it.
                let may_lack = outside.plan.permits > 0;
                if !entries.contains(entry) && !hidden.contains(entry) && !may_lack {
                    return Err(Finding::Lost { site: site.index, entry: *entry });
                }
            }
            let all = (entries, state_digest(&*snapshot, held.number)?);
            if *first.get_or_insert_with(|| all.clone()) != all {
                return Err(Finding::State { site: site.index, database: *database });
            }
        }
    }
    no_leaks(sites, shared)?;
    // Where not everybody may read, the liar may find nobody to tell its lies to.
    if outside.told_lies > 0
        && outside.plan.permits == 0
        && outside.plan.lie.is_some_and(Lie::is_fault)
        && outside.counts.shut_out == 0
    {
        return Err(Finding::Tolerated { lies: outside.told_lies });
    }
    // Any one will do, as all hold the same; which one follows from the seed.
    let sample = usize::try_from(outside.plan.seed).unwrap_or(0) % outside.plan.sites.max(1);
    sites.get(sample).map_or(Ok(()), |site| sound(site, outside.plan.seed))
}

/// Returns the entries that are needed, and the others that are held.
fn entries(
    snapshot: &dyn Snapshot,
    held: Held,
) -> Result<(BTreeSet<EntryId>, BTreeSet<EntryId>), StoreError> {
    let (mut needed, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    Graph::new(snapshot, held.number).each_from(Number(0), &mut |stored| {
        let id = stored.parcel.entry.id();
        let _ =
            if stored.local.standing.is_needed() { needed.insert(id) } else { hidden.insert(id) };
        ControlFlow::Continue(())
    })?;
    Ok((needed, hidden))
}

fn no_leaks(sites: &[Site], shared: &[DatabaseId]) -> Result<(), Finding> {
    // The first site may hold a database of its own.
    for site in sites.iter().skip(1) {
        for held in all_held(&*site.writer.disk().snapshot()?)? {
            if !shared.contains(&held.id) {
                return Err(Finding::Leaked { site: site.index, database: held.id });
            }
        }
    }
    Ok(())
}

fn sound(site: &Site, seed: u64) -> Result<(), Finding> {
    let snapshot = site.writer.disk().snapshot()?;
    let seed = *blake3::hash(&seed.to_le_bytes()).as_bytes();
    for held in all_held(&*snapshot)? {
        let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let findings = verify(&*snapshot, held, &StoreTypes::built_in(), &scratch, seed)?;
        if !findings.is_sound() {
            let problem = findings.listed.first().cloned().unwrap_or_default();
            return Err(Finding::Unsound { site: site.index, problem });
        }
    }
    Ok(())
}

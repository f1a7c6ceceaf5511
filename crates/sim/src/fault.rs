//! What goes wrong while the storm lasts.
//!
//! Invariant: whatever is broken here is mended by itself or when the storm ends.

use std::collections::BTreeSet;

use weald_dag::Graph;

use crate::finding::Finding;
use crate::network::{End, LinkId, TAMPERINGS, Tampering};
use crate::outside::Outside;
use crate::schedule::Event;
use crate::site::Site;

/// How long a wire may be down, in milliseconds.
const OUTAGE_MS_MAX: u64 = 10_000;
/// How long a site may be down, in milliseconds.
const DOWN_MS_MAX: u64 = 6_000;

/// Draws one fault and has it happen.
pub(crate) fn strike(sites: &mut [Site], outside: &mut Outside) -> Result<(), Finding> {
    outside.counts.faults += 1;
    let faults = outside.plan.faults;
    let weights = [
        faults.cut,
        faults.outage,
        faults.partition,
        faults.crash,
        faults.tampering,
        faults.restore,
    ];
    let mut drawn = outside.chance.within(1..=weights.iter().sum::<u64>().max(1));
    let kind = weights.iter().position(|weight| {
        let hit = drawn <= *weight;
        drawn = drawn.saturating_sub(*weight);
        hit
    });
    match kind {
        Some(0) => cut(outside),
        Some(1) => outage(outside),
        Some(2) => partition(sites.len(), outside),
        Some(3) => return crash(sites, outside),
        Some(4) => tamper(outside),
        Some(5) => return restore(sites, outside),
        _ => {}
    }
    Ok(())
}

fn any_link(outside: &mut Outside) -> Option<LinkId> {
    let links: Vec<LinkId> = outside.network.alive().map(|(id, _)| id).collect();
    outside.chance.pick(&links).copied()
}

fn cut(outside: &mut Outside) {
    if let Some(link) = any_link(outside) {
        outside.note(format_args!("link {} is cut", link.0));
        outside.cut(link);
    }
}

fn outage(outside: &mut Outside) {
    if let Some(link) = any_link(outside)
        && let Some(ends) = outside.network.link(link)
    {
        let (a, b) = (ends.site(End::Dialler), ends.site(End::Responder));
        let length = outside.chance.within(1..=OUTAGE_MS_MAX);
        wire_down(a, b, length, outside);
    }
}

fn wire_down(a: usize, b: usize, length: u64, outside: &mut Outside) {
    outside.note(format_args!("wire {a} - {b} is down for {length} ms"));
    outside.network.take_down(a, b);
    outside.schedule.after(length, Event::WireUp { a, b });
    let over = outside.network.alive().filter(|(_, link)| {
        let ends = (link.site(End::Dialler), link.site(End::Responder));
        ends == (a, b) || ends == (b, a)
    });
    let over: Vec<LinkId> = over.map(|(id, _)| id).collect();
    over.into_iter().for_each(|link| outside.cut(link));
}

fn partition(sites: usize, outside: &mut Outside) {
    let sides: Vec<bool> = (0..sites).map(|_| outside.chance.percent(50)).collect();
    let length = outside.chance.within(1..=OUTAGE_MS_MAX);
    for (a, left) in sides.iter().enumerate() {
        for (b, right) in sides.iter().enumerate().skip(a + 1) {
            if left != right {
                wire_down(a, b, length, outside);
            }
        }
    }
}

fn crash(sites: &mut [Site], outside: &mut Outside) -> Result<(), Finding> {
    let only_busy = outside.chance.percent(50);
    let up = sites.iter().filter(|site| site.up && (site.writer.is_busy() || !only_busy));
    let up: Vec<usize> = up.map(|site| site.index).collect();
    let Some(site) = outside.chance.pick(&up).and_then(|index| sites.get_mut(*index)) else {
        return Ok(());
    };
    let flushed = outside.chance.percent(50);
    let moment = if flushed { "after" } else { "before" };
    outside.note(format_args!("site {} crashes {moment} the flush", site.index));
    let down = outside.chance.within(1..=DOWN_MS_MAX);
    outside.schedule.after(down, Event::Restart { site: site.index });
    site.crash(flushed, outside)
}

/// Puts an older copy of its disk into a site. What nobody else holds is lost with it, acknowledged or
/// not: only a flush was promised, and the flush was undone.
fn restore(sites: &mut [Site], outside: &mut Outside) -> Result<(), Finding> {
    let up = sites.iter().filter(|site| site.up && Some(site.index) != outside.liar);
    let up: Vec<usize> = up.map(|site| site.index).collect();
    let Some(site) = outside.chance.pick(&up).and_then(|index| sites.get_mut(*index)) else {
        return Ok(());
    };
    // Where a database was made, it is in the oldest copy.
    let made_here = outside.founders.values().filter(|founder| **founder == site.index).count();
    let flushed = site.writer.disk().batches();
    let oldest = u64::try_from(made_here).unwrap_or(0);
    let newest = u64::try_from(flushed).unwrap_or(0);
    // Most copies are rather new.
    let age = outside.chance.within(0..=newest.saturating_sub(oldest));
    let age = if outside.chance.percent(60) { age.min(8) } else { age };
    let kept = flushed.saturating_sub(usize::try_from(age).unwrap_or(0));
    outside.note(format_args!("site {} loses {age} of {flushed} batches", site.index));
    outside.counts.restored += 1;
    let down = outside.chance.within(1..=DOWN_MS_MAX);
    outside.schedule.after(down, Event::Restart { site: site.index });
    site.restore(kept, outside)?;
    for (database, acknowledged) in &mut outside.acknowledged {
        let mut held = BTreeSet::new();
        for site in sites.iter().filter(|site| Some(site.index) != outside.liar) {
            let rows = site.writer.disk().flushed()?;
            let Some(database) = weald_engine::held(&*rows, database)? else { continue };
            let graph = Graph::new(&*rows, database.number);
            for id in acknowledged.iter() {
                if !held.contains(id) && graph.number(id)?.is_some() {
                    held.insert(*id);
                }
            }
        }
        *acknowledged = held;
    }
    Ok(())
}

fn tamper(outside: &mut Outside) {
    let Some(id) = any_link(outside) else { return };
    let tampering = outside.chance.pick(&TAMPERINGS).copied().unwrap_or(Tampering::Drop);
    let to = if outside.chance.percent(50) { End::Dialler } else { End::Responder };
    if let Some(link) = outside.network.link_mut(id) {
        link.arm(to, tampering);
        outside.tampered.insert(id);
        outside.note(format_args!("link {}: {tampering:?} towards the {to:?}", id.0));
    }
}

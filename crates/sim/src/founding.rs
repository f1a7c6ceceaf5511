//! How a world begins: who is there, what they share, and who dials whom.
//!
//! Invariant: everything is drawn before anything happens.

use std::sync::Arc;

use weald_auth::{Level, Operation, Subject};
use weald_dag::{DatabaseId, SecretKey};
use weald_engine::{Founding, HiddenMax};

use crate::chance::Chance;
use crate::clock::{EPOCH_MS, WallClock};
use crate::finding::Finding;
use crate::outside::Outside;
use crate::permits;
use crate::plan::Plan;
use crate::site::Site;
use crate::writer::Writer;

/// How many entries that came hidden a site keeps at most, where it keeps little.
const LITTLE_ENTRIES_MAX: u64 = 12;
/// How many bytes in them.
const LITTLE_BYTES_MAX: u64 = 4_096;

/// Makes the sites and the databases, and lets the sites dial. Returns what all of them share.
///
/// # Errors
/// [`Finding`] where a database cannot be made.
pub(crate) fn found(
    sites: &mut Vec<Site>,
    outside: &mut Outside,
) -> Result<Vec<DatabaseId>, Finding> {
    let plan = outside.plan.clone();
    settle(sites, &plan, outside);
    let mut shared = Vec::new();
    for number in 0..plan.databases + usize::from(plan.private) {
        let private = number >= plan.databases;
        let founder = if private { 0 } else { outside.chance.index(plan.sites) };
        let Some(site) = sites.get_mut(founder) else { continue };
        let founding = if plan.permits > 0 && !private {
            let key = site.own_key();
            permits::founding(key, founder, &outside.members, &mut outside.chance)
        } else {
            founding(private, outside.chance.bytes(), outside.chance.bytes())
        };
        let database = site.writer.found(founding, EPOCH_MS)?;
        outside.founders.insert(database, founder);
        sites.iter_mut().for_each(|site| site.want(database, !private));
        if !private {
            shared.push(database);
            outside.acknowledge(database, database.root());
        }
    }
    for (site, peer) in plan.dials(&mut outside.chance) {
        if let Some(site) = sites.get_mut(site) {
            site.dials.add(peer);
        }
    }
    if let Some(liar) = outside.liar.and_then(|liar| sites.get_mut(liar)) {
        (0..plan.sites).for_each(|peer| liar.dials.add(peer));
    }
    sites.iter_mut().for_each(|site| site.dials.plan_all(outside));
    Ok(shared)
}

/// Makes the sites, the liar last.
fn settle(sites: &mut Vec<Site>, plan: &Plan, outside: &mut Outside) {
    let everywhere = Arc::new(SecretKey::from_seed(&outside.chance.bytes()));
    outside.liar = plan.lie.map(|_| plan.sites);
    for index in 0..plan.sites + usize::from(plan.lie.is_some()) {
        let device = SecretKey::from_seed(&outside.chance.bytes());
        outside.devices.push(device.public());
        let own = Arc::new(SecretKey::from_seed(&outside.chance.bytes()));
        outside.members.push(own.public());
        let mut authors = vec![own];
        if plan.permits == 0 {
            authors.push(Arc::clone(&everywhere));
        }
        let clock = WallClock::skewed(skew(plan, &mut outside.chance));
        let writer = Writer::new(plan.early_rows, hidden_max(plan, &mut outside.chance));
        sites.push(Site::new(index, device, authors, clock, writer));
    }
    let wrong = outside.chance.index(plan.sites);
    if let Some((site, clock)) = sites.get_mut(wrong).zip(plan.clock) {
        site.clock.put_off(clock);
    }
}

fn skew(plan: &Plan, chance: &mut Chance) -> i64 {
    let skew = i64::try_from(chance.within(0..=2 * plan.skew_ms)).unwrap_or(0);
    skew - i64::try_from(plan.skew_ms).unwrap_or(0)
}

fn hidden_max(plan: &Plan, chance: &mut Chance) -> HiddenMax {
    if !plan.keeps_little || chance.percent(30) {
        return HiddenMax::default();
    }
    let entries = chance.within(0..=LITTLE_ENTRIES_MAX);
    HiddenMax { entries, bytes: chance.within(0..=LITTLE_BYTES_MAX) }
}

fn founding(private: bool, key: [u8; 32], nonce: [u8; 16]) -> Founding {
    let key = Arc::new(SecretKey::from_seed(&key));
    let grant = |subject, level| Operation::Grant { subject, level, name: None, expires: None };
    let mut operations = vec![grant(Subject::Key(key.public()), Level::Admin(0))];
    if !private {
        operations.push(grant(Subject::Anyone, Level::Write(10)));
    }
    Founding { key, nonce, operations, system: false }
}

//! A real history of which two instances hold different halves that overlap, and then the same.
//!
//! Invariant: what an instance holds is closed under ancestors, so the side branches that one of the two lacks are
//! not merged: of every second merge on the main line the side branch is left open, in turns here and there.

use std::time::Duration;

use anyhow::{Context, Result};
use weald::{Instance, Parcel};

use crate::differences::{bytes_of, ingest};
use crate::history::{History, Line};
use crate::joining::digest;
use crate::pairs::Pair;
use crate::replay::Made;
use crate::report::Report;
use crate::sample;

/// How many entries are handed over at a time.
const BATCH: usize = 4_096;

/// Who holds a line before the two are synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Both,
    Here,
    There,
}

/// Imports the two halves, syncs them, and compares.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn halves(report: &Report, history: &History) -> Result<()> {
    let lines = history.lines.len() as u64;
    let split = split(&history.lines);
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("here"))?;
    let other = Instance::open(folder.path().join("there"))?;
    let user = other.create_user(sample::USER, None)?;
    let root = database.parcels(0, 1)?;
    other.ingest(instance.device_key(), database.id(), root)?;
    other.mark_complete(database.id())?;
    let theirs = user.open_database(&database.id())?;
    let mut made = Made::new(&database)?;
    let (mut ours_left, mut theirs_left, mut apart) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (line, (holder, parents))) in history.lines.iter().zip(&split).enumerate() {
        let line = Line(parents.clone(), line.1, line.2, line.3.clone());
        let parcel = made.entry(&line).with_context(|| format!("line {number}"))?;
        if *holder != Holder::Both {
            apart.push(parcel.clone());
        }
        if *holder != Holder::There {
            give(&instance, &database, &mut ours_left, parcel.clone(), BATCH)?;
        }
        if *holder != Holder::Here {
            give(&other, &theirs, &mut theirs_left, parcel, BATCH)?;
        }
    }
    ingest(&instance, &database, ours_left)?;
    ingest(&other, &theirs, theirs_left)?;
    for (peer, database) in [("weald-here", &database), ("weald-there", &theirs)] {
        report.figure(peer, lines, (database.entry_count()? - 1) as f64, "entries");
        report.figure(peer, lines, database.tips()?.len() as f64, "tips");
    }
    report.figure("weald", lines, apart.len() as f64, "difference");
    let pair = Pair::link((instance, database), (other, theirs), folder, Duration::ZERO)?;
    pair.connect()?;
    let cost = pair.sync()?;
    report.figure("weald", lines, f64::from(cost.round_trips), "round trips");
    // Entries of this case compress, so both are printed instead of what is left of one without the other.
    report.figure("weald", lines, cost.traffic.bytes as f64, "bytes");
    report.figure("weald-entries", lines, bytes_of(&apart) as f64, "bytes");
    report.figure("weald", lines, cost.ms, "ms");
    pair.check_equal()?;
    let (ours, theirs) = (digest(&pair.here.database)?, digest(&pair.there.database)?);
    report.figure("weald", lines, f64::from(u8::from(ours == theirs)), "equal");
    report.figure("weald", lines, (pair.here.database.entry_count()? - 1) as f64, "entries");
    report.figure("weald", lines, pair.here.database.tips()?.len() as f64, "tips");
    pair.close();
    Ok(())
}

fn give(
    instance: &Instance,
    database: &weald::Database,
    left: &mut Vec<Parcel>,
    parcel: Parcel,
    batch: usize,
) -> Result<()> {
    left.push(parcel);
    if left.len() >= batch { ingest(instance, database, std::mem::take(left)) } else { Ok(()) }
}

/// Says of each line who holds it, and of its parents those that are kept.
fn split(lines: &[Line]) -> Vec<(Holder, Vec<usize>)> {
    let marked = open_branches(lines);
    let mut split: Vec<(Holder, Vec<usize>)> = Vec::with_capacity(lines.len());
    for (Line(parents, ..), mark) in lines.iter().zip(marked) {
        let holder_of =
            |parent: usize| split.get(parent).map_or(Holder::Both, |(holder, _)| *holder);
        let in_both = parents.iter().any(|parent| holder_of(*parent) == Holder::Both);
        // What descends from open branches alone is held where the first of them is.
        let inherited = match parents.first() {
            Some(first) if !in_both => holder_of(*first),
            _ => Holder::Both,
        };
        let holder = mark.unwrap_or(inherited);
        let fits = |parent: &usize| [Holder::Both, holder].contains(&holder_of(*parent));
        let parents = parents.iter().copied().filter(fits).collect();
        split.push((holder, parents));
    }
    split
}

/// Marks the lines of the side branches of every second merge on the main line, in turns.
fn open_branches(lines: &[Line]) -> Vec<Option<Holder>> {
    let mut main = Vec::new();
    let mut next = lines.len().checked_sub(1);
    while let Some(line) = next {
        main.push(line);
        next = lines.get(line).and_then(|line| line.0.first().copied());
    }
    let mut marked = vec![None; lines.len()];
    let mut merged = vec![false; lines.len()];
    let mut merges = 0_usize;
    for line in main.into_iter().rev() {
        let parents = lines.get(line).map_or(&[][..], |line| &line.0);
        let mut branch = Vec::new();
        let mut left: Vec<usize> = parents.iter().skip(1).copied().collect();
        while let Some(next) = left.pop() {
            if let Some(merged) = merged.get_mut(next).filter(|merged| !**merged) {
                *merged = true;
                branch.push(next);
                left.extend(lines.get(next).iter().flat_map(|line| &line.0));
            }
        }
        if let Some(merged) = merged.get_mut(line) {
            *merged = true;
        }
        if branch.is_empty() {
            continue;
        }
        let holder = match merges % 4 {
            1 => Some(Holder::Here),
            3 => Some(Holder::There),
            _ => None,
        };
        merges += 1;
        for line in branch {
            if let Some(marked) = marked.get_mut(line) {
                *marked = holder;
            }
        }
    }
    marked
}

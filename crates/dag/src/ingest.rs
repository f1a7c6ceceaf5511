//! The graph's own checks at the door, cheap ones first: root, duplicates, parents, time.
//!
//! Invariant: a refusal follows from the entry and its ancestors alone, so every replica makes the
//! same one. Only holding back looks at the clock, and it passes.

use thiserror::Error;

use crate::entry::Entry;
use crate::id::{DatabaseId, EntryId};
use crate::limits::CLOCK_AHEAD_MAX_MS;
use crate::row::{Local, Number, Standing};
use crate::seam::StoreError;
use crate::time::Time;

/// Why the graph refuses an entry for good.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphRefusal {
    /// An entry without parents that is not the root of this database.
    #[error("it is the root of another database")]
    ForeignRoot,
    /// Its time is not after a parent's.
    #[error("its time {time} is not after {parent}, the time of a parent")]
    TimeNotAfterParent {
        /// The entry's time.
        time: Time,
        /// The latest parent's time.
        parent: Time,
    },
}

/// What the graph says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be appended, if authority allows it.
    Admitted(Place),
    /// It is stored already.
    Duplicate(Number),
    /// These parents are not stored.
    MissingParents(Vec<EntryId>),
    /// Its time lies too far ahead of the local clock; it may come again later.
    HeldBack {
        /// When it says it was made.
        time: Time,
    },
    /// It is refused, the same everywhere.
    Refused(GraphRefusal),
}

/// What a child needs to know of a stored entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its place in this replica's order.
    pub number: Number,
    /// Its generation.
    pub generation: u64,
    /// The authority epoch of its past.
    pub epoch: u64,
    /// Whether it is visible, needed or neither.
    pub standing: Standing,
    /// When it was made.
    pub time: Time,
}

impl Known {
    /// Says it of an entry that is stored.
    pub fn of(number: Number, local: &Local, entry: &Entry) -> Self {
        let Local { standing, generation, epoch, .. } = *local;
        Self { number, generation, epoch, standing, time: entry.time() }
    }
}

/// Where an entry goes in the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its parents, ascending by number.
    pub parents: Vec<Known>,
    /// One more than the greatest generation of its parents; 0 for the root.
    pub generation: u64,
}

/// Judges an entry for the database `database` by what is stored.
///
/// `known` looks up a stored entry. `wall_millis` is the local clock in milliseconds since 1970; it
/// only holds back, never refuses.
///
/// # Errors
/// Any [`StoreError`] of the look-ups.
pub fn admit(
    known: &mut dyn FnMut(&EntryId) -> Result<Option<Known>, StoreError>,
    database: DatabaseId,
    entry: &Entry,
    wall_millis: u64,
) -> Result<Admission, StoreError> {
    if entry.parents().is_empty() && entry.id() != database.root() {
        return Ok(Admission::Refused(GraphRefusal::ForeignRoot));
    }
    if let Some(stored) = known(&entry.id())? {
        return Ok(Admission::Duplicate(stored.number));
    }
    let mut missing = Vec::new();
    let mut parents = Vec::with_capacity(entry.parents().len());
    for id in entry.parents() {
        match known(id)? {
            Some(parent) => parents.push(parent),
            None => missing.push(*id),
        }
    }
    if !missing.is_empty() {
        return Ok(Admission::MissingParents(missing));
    }
    parents.sort_unstable_by_key(|parent| parent.number);
    Ok(judge_time(entry.time(), parents, wall_millis))
}

fn judge_time(time: Time, parents: Vec<Known>, wall_millis: u64) -> Admission {
    let latest = parents.iter().map(|parent| parent.time).max().unwrap_or(Time::ZERO);
    if !parents.is_empty() && time <= latest {
        return Admission::Refused(GraphRefusal::TimeNotAfterParent { time, parent: latest });
    }
    let soon = Time::from_millis(wall_millis.saturating_add(CLOCK_AHEAD_MAX_MS));
    let least = latest.next().unwrap_or(latest);
    if time > soon && time > least {
        return Admission::HeldBack { time };
    }
    let above = parents.iter().map(|parent| parent.generation + 1);
    let generation = above.max().unwrap_or(0);
    Admission::Admitted(Place { parents, generation })
}

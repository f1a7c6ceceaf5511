//! Which entries are visible and which are needed, worked out anew by plain reachability, and what
//! rests on that: the tips, how many are needed, the rows of hidden entries.
//!
//! Invariant: nothing of it comes from the standings in the rows, which are what is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use weald_auth::{Claim, EpochId, SettingsIndex};
use weald_dag::{
    EntryId, Graph, MemoryStore, Number, Overlay, RUNG_GENERATIONS, Snapshot, Standing, Store,
    StoreError, Stored, Sums,
};

use super::beside::digest;
use crate::hidden::{self, Size, Unneeded};
use crate::settings::{Settings, writes_data};

/// What is kept of an entry meanwhile.
struct Seen {
    id: EntryId,
    parents: Box<[Number]>,
    generation: u64,
    bytes: u64,
    found: Standing,
    is_visible: bool,
    /// Whether its row says that it came hidden; nothing else tells of that.
    came_hidden: bool,
}

/// Numbers of entries, a bit for each: there is a set for each limit.
#[derive(Default)]
struct Numbers(BTreeMap<u64, u64>);

impl Numbers {
    /// Puts a number in; returns whether it is new.
    fn insert(&mut self, number: Number) -> bool {
        let (word, bit) = Self::place(number);
        let word = self.0.entry(word).or_default();
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, number: Number) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(&word).is_some_and(|word| word & bit != 0)
    }

    const fn place(number: Number) -> (u64, u64) {
        let bits = u64::BITS as u64;
        (number.0 / bits, 1 << (number.0 % bits))
    }
}

/// How all entries stand.
pub(super) struct Standings<'a> {
    settings: &'a Settings,
    entries: BTreeMap<Number, Seen>,
    /// The settings entries that were asked about, with what is before them.
    pasts: BTreeMap<SettingsIndex, Numbers>,
    children: BTreeMap<Number, Vec<Number>>,
    needed: BTreeSet<Number>,
    /// How many were dropped; nothing else tells of them.
    dropped: u64,
}

impl<'a> Standings<'a> {
    /// Judges every entry by the authority of everything.
    pub(super) fn of(
        rows: &dyn Snapshot,
        database: u32,
        settings: &'a Settings,
    ) -> Result<Self, StoreError> {
        let mut all = Self {
            settings,
            entries: BTreeMap::new(),
            pasts: BTreeMap::new(),
            children: BTreeMap::new(),
            needed: BTreeSet::new(),
            dropped: Unneeded::load(rows, database)?.dropped,
        };
        let graph = Graph::new(rows, database);
        graph.each_from(Number(0), &mut |stored| {
            all.see(stored);
            ControlFlow::Continue(())
        })?;
        for number in hidden::came_hidden(rows, database)? {
            all.entries.entry(number).and_modify(|seen| seen.came_hidden = true);
        }
        if !settings.authority.hides_nothing() {
            graph.each_from(Number(0), &mut |stored| {
                let is_visible = all.stands(&stored);
                if let Some(seen) = all.entries.get_mut(&stored.number) {
                    seen.is_visible = is_visible;
                }
                ControlFlow::Continue(())
            })?;
        }
        for (number, seen) in all.entries.iter().rev() {
            if seen.is_visible || all.needed.contains(number) {
                all.needed.insert(*number);
                all.needed.extend(&*seen.parents);
            }
        }
        Ok(all)
    }

    fn see(&mut self, stored: Stored) {
        let (number, entry) = (stored.number, &stored.parcel.entry);
        for parent in &stored.local.parents {
            self.children.entry(*parent).or_default().push(number);
        }
        let seen = Seen {
            id: entry.id(),
            generation: stored.local.generation,
            bytes: hidden::bytes_of(entry),
            found: stored.local.standing,
            is_visible: true,
            came_hidden: false,
            parents: stored.local.parents.into(),
        };
        self.entries.insert(number, seen);
    }

    fn stands(&mut self, stored: &Stored) -> bool {
        let Settings { authority, index_of, numbers, .. } = self.settings;
        if let Some(index) = index_of.get(&stored.number) {
            return authority.is_visible(*index);
        }
        let (entry, epoch) = (&stored.parcel.entry, EpochId(stored.local.epoch));
        for limit in authority.limits_beside(epoch, &entry.author()) {
            let place = usize::try_from(limit.0).unwrap_or(usize::MAX);
            let known = self.pasts.contains_key(&limit);
            if let Some(number) = numbers.get(place).filter(|_| !known) {
                self.pasts.insert(limit, self.past(*number));
            }
        }
        let is_before = |limit: SettingsIndex| {
            self.pasts.get(&limit).is_some_and(|past| past.contains(stored.number))
        };
        let claim = Claim {
            id: entry.id(),
            author: entry.author(),
            generation: stored.local.generation,
            time: entry.time(),
            writes_data: writes_data(entry),
            operations: None,
        };
        authority.stands(epoch, &claim, &is_before).is_ok()
    }

    /// Returns an entry and everything before it.
    fn past(&self, number: Number) -> Numbers {
        let (mut past, mut open) = (Numbers::default(), vec![number]);
        while let Some(next) = open.pop() {
            if past.insert(next)
                && let Some(seen) = self.entries.get(&next)
            {
                open.extend(&*seen.parents);
            }
        }
        past
    }

    fn standing(&self, number: Number, seen: &Seen) -> Standing {
        match (seen.is_visible, self.needed.contains(&number)) {
            (true, _) => Standing::Visible,
            (false, true) => Standing::HiddenNeeded,
            (false, false) => Standing::Hidden,
        }
    }

    /// Returns whether any entry is hidden.
    pub(super) fn hides_any(&self) -> bool {
        self.entries.values().any(|seen| !seen.is_visible)
    }

    /// Returns what is wrong with the rows of a database.
    pub(super) fn compare(
        &self,
        rows: &dyn Snapshot,
        database: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        for (number, seen) in &self.entries {
            let (found, expected) = (seen.found, self.standing(*number, seen));
            if found != expected {
                let id = seen.id;
                problems.push(format!("entry {id:?} is {found:?} in its row, not {expected:?}"));
            }
        }
        let has_needed_child = |number: &Number| {
            let children = self.children.get(number).map_or(&[][..], Vec::as_slice);
            children.iter().any(|child| self.needed.contains(child))
        };
        let visible = self.entries.iter().filter(|(_, seen)| seen.is_visible);
        let tips: Vec<Number> =
            visible.map(|(number, _)| *number).filter(|tip| !has_needed_child(tip)).collect();
        if let Some((_, head)) = Graph::new(rows, database).head()? {
            if head.tips != tips {
                problems
                    .push("the tips are not the visible entries without needed children".into());
            }
            let needed = self.needed.len() as u64;
            if head.needed != needed {
                problems
                    .push(format!("the head counts {} needed entries, not {needed}", head.needed));
            }
            let (greatest, buckets) = self.sums();
            if head.generation != greatest {
                let found = head.generation;
                problems.push(format!(
                    "the greatest generation is {found} in the head, not {greatest}"
                ));
            }
            if Graph::new(rows, database).buckets()? != buckets {
                problems.push("the ladder does not say what the needed entries sum up to".into());
            }
        }
        let expected = self.hidden_rows(database)?;
        let space = hidden::hidden(database);
        if digest(rows, space)? != digest(&expected, space)? {
            problems.push("the rows of hidden entries are not those that the entries give".into());
        }
        Ok(problems)
    }

    /// Returns the greatest generation of any needed entry, and what these sum up to by bucket.
    fn sums(&self) -> (u64, BTreeMap<u64, Sums>) {
        let (mut greatest, mut buckets) = (0, BTreeMap::<u64, Sums>::new());
        for seen in self.needed.iter().filter_map(|number| self.entries.get(number)) {
            greatest = seen.generation.max(greatest);
            let bucket = seen.generation / RUNG_GENERATIONS * RUNG_GENERATIONS;
            buckets.entry(bucket).or_default().add(&seen.id);
        }
        (greatest, buckets)
    }

    fn hidden_rows(&self, database: u32) -> Result<Overlay, StoreError> {
        let (mut rows, mut unneeded) =
            (Overlay::new(MemoryStore::new().snapshot()?), Unneeded::default());
        for (number, seen) in self.entries.iter().filter(|(_, seen)| !seen.is_visible) {
            let children = self.children.get(number).map_or(&[][..], Vec::as_slice);
            let Seen { bytes, came_hidden, .. } = *seen;
            hidden::hide(&mut rows, database, *number, Size { bytes, came_hidden }, children);
            if came_hidden && !self.needed.contains(number) {
                unneeded.add(seen.bytes);
            }
        }
        unneeded.dropped = self.dropped;
        unneeded.save(&mut rows, database);
        Ok(rows)
    }
}

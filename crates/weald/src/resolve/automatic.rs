//! Resolving conflicts as they come, on a thread of its own.
//!
//! Invariant: devices that answer each other's resolutions come to an end.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use weald_dag::{EntryId, StoreError};

use super::{Resolution, Resolver, doc_conflicts, row_conflicts, stage};
use crate::conflict::{ConflictedValue, RowKey};
use crate::database::Database;
use crate::error::{Error, ReadError};
use crate::watch::{Event, Filter, Watch, WriteCallback, spawn_loop};

/// After how many clashes of resolutions in a row the winner is kept, whatever a resolver says.
pub const RESOLUTION_ROUNDS_MAX: u32 = 8;

/// How many of its resolutions a resolver remembers, to notice clashes.
pub const RESOLUTIONS_REMEMBERED_MAX: usize = 4_096;

/// How many conflicts are looked at together.
const EVENTS_AT_ONCE: usize = 256;

/// Names a value with several versions within its store.
type Slot = (RowKey, Option<String>);

struct Automatic {
    database: Database,
    store: String,
    resolver: Box<dyn Resolver + Send>,
    /// The last resolution of each value, and how many clashes there were before it.
    written: BTreeMap<Slot, (EntryId, u32)>,
}

/// Which conflicts to look at.
enum Scope {
    Store,
    Rows(BTreeSet<RowKey>),
}

/// Starts to resolve the conflicts of a store.
pub(super) fn spawn(
    database: &Database,
    store: &str,
    resolver: Box<dyn Resolver + Send>,
) -> Result<WriteCallback, StoreError> {
    // Before the first look, so that no conflict is missed.
    let watch = database.watch(Filter::all().store(store).conflicts());
    let (database, store) = (database.clone(), store.to_owned());
    let automatic = Automatic { database, store, resolver, written: BTreeMap::new() };
    spawn_loop(watch, move |watch| automatic.run(watch))
}

impl Automatic {
    fn run(mut self, watch: &mut Watch) {
        let mut scope = Scope::Store;
        loop {
            if let Err(error) = self.look(&scope) {
                tracing::warn!(%error, store = self.store, "a conflict could not be resolved");
            }
            let Some(event) = watch.recv() else { return };
            let mut events = watch.drain(EVENTS_AT_ONCE);
            events.push(event);
            scope = Scope::of(events);
        }
    }

    /// Resolves what there is to resolve.
    fn look(&mut self, scope: &Scope) -> Result<(), Error> {
        let mut decided = Vec::new();
        for conflict in self.find(scope)? {
            let resolver = &self.resolver;
            let asked = catch_unwind(AssertUnwindSafe(|| resolver.resolve(&conflict)));
            let Ok(resolution) = asked else {
                tracing::error!("a resolver panicked; the conflict is left");
                continue;
            };
            let resolution = self.settled(&conflict, resolution);
            decided.push((conflict, resolution));
        }
        let database = self.database.clone();
        stage::write(&database, decided, &mut |conflict, entry| self.remember(conflict, entry))
    }

    fn find(&self, scope: &Scope) -> Result<Vec<ConflictedValue>, ReadError> {
        let Scope::Rows(keys) = scope else { return self.database.conflicts(&self.store) };
        let (core, number) = (self.database.core(), self.database.number());
        let (rows, mut found) = (core.rows()?, Vec::new());
        for key in keys {
            found.extend(match key {
                RowKey::Table(key) => row_conflicts(core, number, &rows, &self.store, Some(key))?,
                RowKey::Doc(path) => doc_conflicts(core, number, &rows, &self.store, path)?,
                _ => continue,
            });
        }
        Ok(found)
    }

    /// Returns what is done for what the resolver says: where it would only answer another device,
    /// which answers in turn, the winner is kept, which is the same everywhere.
    fn settled(&self, conflict: &ConflictedValue, resolution: Resolution) -> Resolution {
        match (self.clashes(conflict), resolution) {
            (_, Resolution::Leave) => Resolution::Leave,
            (1.., Resolution::KeepMine) | (RESOLUTION_ROUNDS_MAX.., _) => Resolution::KeepWinner,
            (_, resolution) => resolution,
        }
    }

    /// Returns how many resolutions of this value in a row have clashed with others.
    fn clashes(&self, conflict: &ConflictedValue) -> u32 {
        let slot = (conflict.key.clone(), conflict.field.clone());
        match self.written.get(&slot) {
            Some((own, before)) if conflict.versions().any(|version| version.entry == *own) => {
                before + 1
            }
            _ => 0,
        }
    }

    fn remember(&mut self, conflict: ConflictedValue, entry: EntryId) {
        let clashes = self.clashes(&conflict);
        if self.written.len() >= RESOLUTIONS_REMEMBERED_MAX {
            self.written.clear();
        }
        self.written.insert((conflict.key, conflict.field), (entry, clashes));
    }
}

impl Scope {
    fn of(events: Vec<Event>) -> Self {
        let mut keys = BTreeSet::new();
        for event in events {
            match event {
                Event::Conflict { conflict, .. } => drop(keys.insert(conflict.key)),
                Event::Lagged { .. } => return Self::Store,
                _ => {}
            }
        }
        Self::Rows(keys)
    }
}

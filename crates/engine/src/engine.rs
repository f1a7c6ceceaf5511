//! The one door into the graph, for local and remote entries alike: it checks, numbers, folds.
//!
//! Invariant: everything it decides is staged on the overlay of one group; after the group was not
//! applied, [`Engine::forget`] brings it back to what the store says.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weald_auth::{Action, Authority, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_dag::{
    Clock, DatabaseId, Entry as Body, EntryId, Fields, NONCE_LEN, Number, Overlay, SecretKey,
    Section, Snapshot, StoreError, Time, Verified,
};

use crate::catalog::{self, Held};
use crate::commit::{self, Commit, CommitError, Made, Sign, Unsigned};
use crate::fold::{Beside, Folded, StoreTypes};
use crate::hidden::{HIDDEN_BYTES_MAX, HIDDEN_ENTRIES_MAX, HiddenMax};
use crate::index::{self, IndexDeclaration, IndexDefinition, IndexError, IndexStep, Indexes};
use crate::ingest::{self, Ingested};
use crate::locked::{self, Unlocked};
use crate::replica::Replica;
use crate::standing::{Droppable, drop_unneeded};
use crate::unfolded::rebuild;

/// A database to be made.
#[derive(Clone, Debug)]
pub struct Founding {
    /// Who signs the root.
    pub key: Arc<SecretKey>,
    /// Random bytes that make the root unlike any other.
    pub nonce: [u8; NONCE_LEN],
    /// The settings in the root: grants, name. They must leave an administrator.
    pub operations: Vec<Operation>,
    /// Whether it is the instance's own and never served.
    pub system: bool,
}

/// The door of one store.
pub struct Engine {
    types: StoreTypes,
    replicas: BTreeMap<u32, Replica>,
    recorded: BTreeSet<DatabaseId>,
    hidden_max: HiddenMax,
}

impl Engine {
    /// Makes the door for stores of these types.
    pub const fn new(types: StoreTypes) -> Self {
        let hidden_max = HiddenMax { entries: HIDDEN_ENTRIES_MAX, bytes: HIDDEN_BYTES_MAX };
        Self { types, replicas: BTreeMap::new(), recorded: BTreeSet::new(), hidden_max }
    }

    /// Says how much is kept of each database that came hidden and that nobody needs, from now on.
    pub const fn keep_hidden(&mut self, max: HiddenMax) {
        self.hidden_max = max;
    }

    /// Says of which databases changes tell what rows held before and after, from now on. Of none
    /// at first: it costs a read and a copy of each row.
    pub fn record(&mut self, databases: BTreeSet<DatabaseId>) {
        self.recorded = databases;
    }

    /// Returns the types of stores it folds.
    pub const fn types(&self) -> &StoreTypes {
        &self.types
    }

    /// Makes a database.
    ///
    /// # Errors
    /// [`CommitError`], [`CommitError::AlreadyHeld`] and [`CommitError::NoAdministrator`] among them;
    /// nothing is staged then, but for [`CommitError::Store`].
    pub fn found(
        &mut self,
        rows: &mut Overlay,
        founding: Founding,
        wall_millis: u64,
        sign: &Sign<'_>,
    ) -> Result<(Held, Folded), CommitError> {
        let void = |error: weald_auth::SettingsError| CommitError::Void {
            store: SETTINGS_STORE.into(),
            reason: error.to_string(),
        };
        let payload = encode_operations(&founding.operations).map_err(void)?;
        let time = Clock::default().tick(wall_millis, Time::ZERO);
        let entry = Body::encode(Fields {
            parents: Vec::new(),
            time: time.ok_or(CommitError::EndOfTime)?,
            author: founding.key.public(),
            seq: 0,
            sections: vec![Section::of(SETTINGS_STORE, &payload)],
            nonce: Some(founding.nonce),
        })?;
        if catalog::held(rows, &entry.id().into())?.is_some() {
            return Err(CommitError::AlreadyHeld);
        }
        if !leaves_administrator(&founding.operations, entry.time()) {
            return Err(CommitError::NoAdministrator);
        }
        let signatures = sign(&[(Arc::clone(&founding.key), entry.id())]);
        let signature = signatures.first().copied().ok_or(StoreError::Closed)?;
        // It is held once it was judged, so a refusal leaves nothing behind.
        let held = catalog::next(rows, entry.id().into(), true, founding.system)?;
        let mut replica = Replica::load(rows, held)?;
        let sections = vec![(SETTINGS_STORE.to_owned(), payload)];
        let made = Made { key: founding.key, entry, sections };
        let unsigned = commit::enter(&mut replica, rows, &self.types, made, Vec::new())?;
        held.put(rows);
        let folded = unsigned.stage(&mut replica, rows, signature);
        self.replicas.insert(held.number, replica);
        Ok((held, folded))
    }

    /// Makes one entry for each commit, in order. `sign` is called once for all of them.
    ///
    /// # Errors
    /// The outer error is the store's: the whole group must be given up then. The inner ones each
    /// fail one commit and leave nothing staged.
    #[allow(clippy::type_complexity)]
    pub fn commit(
        &mut self,
        rows: &mut Overlay,
        commits: Vec<Commit>,
        wall_millis: u64,
        sign: &Sign<'_>,
    ) -> Result<Vec<Result<Folded, CommitError>>, StoreError> {
        let commits = commits.into_iter().map(|commit| (commit, None)).collect();
        self.make(rows, commits, wall_millis, sign)
    }

    /// Makes one entry that does not descend from `entry`, on the newest of what is beside it: to
    /// take back what that entry has limited. The cost is what came after it.
    ///
    /// # Errors
    /// [`CommitError`], [`CommitError::NothingBeside`] among them; nothing is staged then, but for
    /// [`CommitError::Store`].
    pub fn commit_beside(
        &mut self,
        rows: &mut Overlay,
        commit: Commit,
        entry: EntryId,
        wall_millis: u64,
        sign: &Sign<'_>,
    ) -> Result<Folded, CommitError> {
        let made = self.make(rows, vec![(commit, Some(entry))], wall_millis, sign)?.pop();
        made.unwrap_or(Err(CommitError::UnknownDatabase))
    }

    #[allow(clippy::type_complexity)]
    fn make(
        &mut self,
        rows: &mut Overlay,
        commits: Vec<(Commit, Option<EntryId>)>,
        wall_millis: u64,
        sign: &Sign<'_>,
    ) -> Result<Vec<Result<Folded, CommitError>>, StoreError> {
        let mut made: Vec<Result<(u32, Unsigned), CommitError>> = Vec::with_capacity(commits.len());
        for (commit, beside) in commits {
            let database = commit.database;
            let Some((replica, types)) = self.replica(rows, database)? else {
                made.push(Err(CommitError::UnknownDatabase));
                continue;
            };
            replica.catch_up(rows, types)?;
            match commit::commit(replica, rows, types, commit, beside.as_ref(), wall_millis) {
                Err(CommitError::Store(error)) => return Err(error),
                other => made.push(other.map(|unsigned| (database, unsigned))),
            }
        }
        let unsigned = made.iter().flatten();
        let ids: Vec<_> = unsigned.map(|(_, one)| (Arc::clone(&one.key), one.folded.id)).collect();
        let mut signatures = sign(&ids).into_iter();
        let mut folded = Vec::with_capacity(made.len());
        for made in made {
            folded.push(match made {
                Err(error) => Err(error),
                Ok((database, unsigned)) => {
                    let replica = self.replicas.get_mut(&database);
                    let both = replica.zip(signatures.next());
                    // Who signs has gone away; an entry without a signature is never written.
                    let (replica, signature) = both.ok_or(StoreError::Closed)?;
                    Ok(unsigned.stage(replica, rows, signature))
                }
            });
        }
        Ok(folded)
    }

    /// Takes verified parcels of one database, parents first. The root of a database that is not
    /// held makes it held, incomplete, if it is stored.
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn ingest(
        &mut self,
        rows: &mut Overlay,
        database: DatabaseId,
        parcels: Vec<Verified>,
        wall_millis: u64,
    ) -> Result<Ingested, StoreError> {
        if let Some(held) = catalog::held(rows, &database)? {
            let (replica, types) = self.replica_of(rows, held)?;
            replica.catch_up(rows, types)?;
            return ingest::ingest(replica, rows, types, parcels, wall_millis);
        }
        let held = catalog::next(rows, database, false, false)?;
        let mut replica = Replica::load(rows, held)?;
        replica.hidden_max = self.hidden_max;
        let ingested = ingest::ingest(&mut replica, rows, &self.types, parcels, wall_millis)?;
        // Nothing is stored before its root.
        if !ingested.folded.is_empty() {
            held.put(rows);
            self.replicas.insert(held.number, replica);
        }
        Ok(ingested)
    }

    /// Folds, in every database, the sections that were stored by a build that did not know their
    /// types and whose types are known now; returns how many. A database is looked at once, here or
    /// when something is first written to it.
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn catch_up(&mut self, rows: &mut Overlay) -> Result<u64, StoreError> {
        let mut folded = 0;
        for held in catalog::all_held(rows)? {
            let (replica, types) = self.replica_of(rows, held)?;
            folded += replica.catch_up(rows, types)?;
        }
        Ok(folded)
    }

    /// Makes the rows at rest of a sealed store ready for the key named `rest`: those that are stale
    /// or rest under another one are dropped. It must be applied before [`Engine::unlock`].
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn prepare_unlock(
        &mut self,
        rows: &mut Overlay,
        (database, store): (u32, &str),
        rest: [u8; 16],
    ) -> Result<(), StoreError> {
        // What this group has staged so far is an end of the graph, too.
        if let Some(replica) = self.replicas.get_mut(&database) {
            replica.finish(rows);
        }
        locked::prepare(rows, database, store, rest)
    }

    /// Folds the sections of a sealed store that came while a key was missing which is there now;
    /// returns what each entry changed by it.
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn unlock(
        &mut self,
        rows: &mut Overlay,
        (database, store): (u32, &str),
    ) -> Result<Vec<Unlocked>, StoreError> {
        match self.replica(rows, database)? {
            Some((replica, types)) => {
                let beside = Beside { record: replica.record, indexes: &replica.indexes };
                locked::fold_waiting(rows, database, store, types, beside)
            }
            None => Ok(Vec::new()),
        }
    }

    /// Makes the state of a database again from its entries, after a check found it damaged; returns
    /// how many sections were folded. All of it is staged at once, so it takes memory for all state.
    /// That of sealed stores is made again when each is unlocked next.
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then. Damaged entries are not mended.
    pub fn rebuild(&mut self, rows: &mut Overlay, database: u32) -> Result<u64, StoreError> {
        // What this group has staged so far is an end of the graph, too.
        if let Some(replica) = self.replicas.get_mut(&database) {
            replica.finish(rows);
        }
        rebuild(rows, database, &self.types)
    }

    /// Drops what is stored of a database that is hidden and that nobody needs, but for settings;
    /// returns how many entries that were. A peer that still has them may send them again, if ever they
    /// are shown again. What came hidden is dropped without being asked when more of it comes than is
    /// kept.
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn prune(&mut self, rows: &mut Overlay, database: u32) -> Result<u64, StoreError> {
        match self.replica(rows, database)? {
            Some((replica, _)) => drop_unneeded(replica, rows, Droppable::All, &[]),
            None => Ok(0),
        }
    }

    /// Leaves out numbers of a database, so that its next entry gets this one.
    pub(crate) fn skip_to(
        &mut self,
        rows: &dyn Snapshot,
        database: u32,
        number: Number,
    ) -> Result<(), StoreError> {
        self.replica(rows, database)?.into_iter().for_each(|(replica, _)| replica.skip_to(number));
        Ok(())
    }

    /// Declares an index of a database, and returns it. Rows that are there already are taken in by
    /// [`Engine::index_step`].
    ///
    /// # Errors
    /// [`IndexError`]; nothing is staged then, but for [`IndexError::Store`].
    pub fn declare_index(
        &mut self,
        rows: &mut Overlay,
        database: u32,
        declaration: IndexDeclaration,
    ) -> Result<IndexDefinition, IndexError> {
        let definition = index::declare(rows, database, declaration)?;
        self.reload_indexes(rows, database)?;
        Ok(definition)
    }

    /// Drops an index, and returns whether there was one. Its rows are removed by
    /// [`Engine::index_step`].
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn drop_index(
        &mut self,
        rows: &mut Overlay,
        database: u32,
        store: (&str, &str),
        name: &str,
    ) -> Result<bool, StoreError> {
        let dropped = index::discard(rows, database, store, name)?;
        self.reload_indexes(rows, database)?;
        Ok(dropped)
    }

    /// Takes a bounded number of rows into the indexes of a database that are not built yet, or
    /// removes as many of those that were dropped.
    ///
    /// # Errors
    /// Any [`StoreError`]: the whole group must be given up then.
    pub fn index_step(
        &mut self,
        rows: &mut Overlay,
        database: u32,
    ) -> Result<IndexStep, StoreError> {
        match self.replica(rows, database)? {
            Some((replica, types)) => index::step(rows, database, types, &mut replica.indexes),
            None => Ok(IndexStep { more: false }),
        }
    }

    fn reload_indexes(&mut self, rows: &Overlay, database: u32) -> Result<(), StoreError> {
        if let Some(replica) = self.replicas.get_mut(&database) {
            replica.indexes = Indexes::load(rows, database)?;
        }
        Ok(())
    }

    /// Notes that a first sync has brought all of a database; returns whether that is new.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn complete(
        &mut self,
        rows: &mut Overlay,
        database: DatabaseId,
    ) -> Result<bool, StoreError> {
        let Some(mut held) = catalog::held(rows, &database)?.filter(|held| !held.complete) else {
            return Ok(false);
        };
        held.complete = true;
        held.put(rows);
        if let Some(replica) = self.replicas.get_mut(&held.number) {
            replica.held = held;
        }
        Ok(true)
    }

    /// Stages what is written once a group. Call it before the rows are applied.
    pub fn finish(&mut self, rows: &mut Overlay) {
        self.replicas.values_mut().for_each(|replica| replica.finish(rows));
    }

    /// Drops what is kept in memory, after rows were staged and not applied.
    pub fn forget(&mut self) {
        self.replicas.clear();
    }

    /// Returns the authority of a database over all its entries, staged ones included.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn authority(
        &mut self,
        rows: &dyn Snapshot,
        database: u32,
    ) -> Result<Option<Arc<Authority>>, StoreError> {
        Ok(self.replica(rows, database)?.map(|(replica, _)| replica.authority()))
    }

    fn replica(
        &mut self,
        rows: &dyn Snapshot,
        number: u32,
    ) -> Result<Option<(&mut Replica, &StoreTypes)>, StoreError> {
        if !self.replicas.contains_key(&number) {
            let all = catalog::all_held(rows)?;
            let Some(held) = all.into_iter().find(|held| held.number == number) else {
                return Ok(None);
            };
            return self.replica_of(rows, held).map(Some);
        }
        let Self { recorded, hidden_max, .. } = self;
        Ok(self.replicas.get_mut(&number).map(|replica| {
            replica.record = recorded.contains(&replica.held.id);
            replica.hidden_max = *hidden_max;
            (replica, &self.types)
        }))
    }

    fn replica_of(
        &mut self,
        rows: &dyn Snapshot,
        held: Held,
    ) -> Result<(&mut Replica, &StoreTypes), StoreError> {
        let replica = match self.replicas.entry(held.number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Replica::load(rows, held)?),
        };
        replica.record = self.recorded.contains(&held.id);
        replica.hidden_max = self.hidden_max;
        Ok((replica, &self.types))
    }
}

/// Returns whether the settings of a root grant Admin to a key, at its time and after it.
fn leaves_administrator(operations: &[Operation], time: Time) -> bool {
    operations.iter().any(|operation| match operation {
        Operation::Grant { subject: Subject::Key(_), level, expires, .. } => {
            level.allows(Action::Administer) && expires.is_none_or(|end| end > time.millis())
        }
        _ => false,
    })
}

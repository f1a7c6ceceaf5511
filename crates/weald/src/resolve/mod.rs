//! Resolving conflicts: one at a time, a whole store, or each as it comes.
//!
//! Invariant: a resolution is an ordinary write that names every version that was looked at; a
//! version that nobody has looked at is never replaced.

mod automatic;
mod listing;
mod resolution;
mod stage;

pub use automatic::{RESOLUTION_ROUNDS_MAX, RESOLUTIONS_REMEMBERED_MAX};
pub(crate) use listing::{doc_conflicts, row_conflicts};
pub use resolution::{Resolution, ResolveError, Resolver};

use weald_crdt::{DocType, Path, TableType, View};
use weald_dag::StoreError;
use weald_engine::{StorePlace, StoreView};

use crate::conflict::ConflictedValue;
use crate::core::Core;
use crate::database::Database;
use crate::error::{Error, ReadError, WriteError};
use crate::rows::Rows;
use crate::store_ref::check_name;
use crate::transaction::{Committed, Transaction};
use crate::watch::WriteCallback;

/// How many conflicts one commit resolves at most, when many are resolved.
pub const RESOLUTIONS_PER_COMMIT: usize = 64;

impl Database {
    /// Returns every value of a store of which several versions stand side by side, unless they are
    /// all equal. Tables and documents have conflicts; other stores have none. It visits all rows of
    /// the store.
    ///
    /// # Errors
    /// [`ReadError`] for a name that cannot be used, or a row that cannot be read.
    pub fn conflicts(&self, store: &str) -> Result<Vec<ConflictedValue>, ReadError> {
        check_name(store)?;
        let rows = self.core().rows()?;
        let mut found = row_conflicts(self.core(), self.number(), &rows, store, None)?;
        found.extend(doc_conflicts(self.core(), self.number(), &rows, store, &Path::root())?);
        Ok(found)
    }

    /// Resolves a conflict as it was listed, by a commit; returns whether there was something to
    /// write.
    ///
    /// # Errors
    /// [`ResolveError`] in [`Error::Write`] when other versions stand there now, or the resolution
    /// does not fit; otherwise why the commit failed.
    pub fn resolve(
        &self,
        conflict: &ConflictedValue,
        resolution: Resolution,
    ) -> Result<Committed<bool>, Error> {
        self.write(|tx| Ok(tx.resolve(conflict, resolution)?))
    }

    /// Asks a resolver about every conflict of a store and writes what it says, at most
    /// [`RESOLUTIONS_PER_COMMIT`] in one commit. Returns how many were resolved; one that has changed
    /// meanwhile is left, and so is one that [`Resolution::KeepWinner`] alone can resolve and the
    /// resolver wants otherwise.
    ///
    /// # Errors
    /// [`Error`] when rows cannot be read or a commit failed; earlier commits stay. When a resolution
    /// cannot be written, such as a merged value that is too large, why; all others are written.
    pub fn resolve_with(&self, store: &str, resolver: &dyn Resolver) -> Result<usize, Error> {
        let found = self.conflicts(store)?;
        let decided = found.into_iter().map(|conflict| {
            let resolution = resolver.resolve(&conflict);
            (conflict, resolution)
        });
        let mut count = 0;
        stage::write(self, decided.collect(), &mut |_, _| count += 1)?;
        Ok(count)
    }

    /// Asks a resolver about every conflict of a store, those that stand now and each that comes, and
    /// writes what it says, on a thread of its own, until what is returned is dropped. Handles that
    /// the resolver owns keep the instance open as long.
    ///
    /// Devices that resolve one conflict at the same time come to an end: equal values are no
    /// conflict, and where a resolution of this device clashes with another's,
    /// [`Resolution::KeepMine`] becomes [`Resolution::KeepWinner`], and so does every other after
    /// [`RESOLUTION_ROUNDS_MAX`](crate::RESOLUTION_ROUNDS_MAX) clashes in a row. A value of a document
    /// that is hidden by values below it, or by one above, makes no event: it is resolved when the
    /// callback starts, or by [`Database::resolve_with`]. What cannot be written is logged and left.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used; [`weald_dag::StoreError::Io`] when the
    /// system gives no thread.
    pub fn on_conflict(
        &self,
        store: &str,
        resolver: impl Resolver + Send + 'static,
    ) -> Result<WriteCallback, ReadError> {
        check_name(store)?;
        Ok(automatic::spawn(self, store, Box::new(resolver))?)
    }
}

impl Transaction {
    /// Stages the resolution of a conflict as it was listed; returns whether there was something to
    /// write.
    ///
    /// # Errors
    /// [`WriteError::Resolve`] when other versions stand there now, or the resolution does not fit;
    /// other [`WriteError`]s for a value that cannot be stored.
    pub fn resolve(
        &mut self,
        conflict: &ConflictedValue,
        resolution: Resolution,
    ) -> Result<bool, WriteError> {
        stage::resolve(self, conflict, resolution)
    }
}

/// Views the rows of the table, or document, with this name.
fn table_view<'a>(
    core: &Core,
    rows: &'a Rows,
    database: u32,
    store: &str,
) -> Result<impl View + use<'a>, StoreError> {
    let place = StorePlace::of(rows, &core.types, database, (store, TableType::NAME))?;
    Ok(StoreView::new(rows, place))
}

fn doc_view<'a>(
    core: &Core,
    rows: &'a Rows,
    database: u32,
    store: &str,
) -> Result<impl View + use<'a>, StoreError> {
    let place = StorePlace::of(rows, &core.types, database, (store, DocType::NAME))?;
    Ok(StoreView::new(rows, place))
}

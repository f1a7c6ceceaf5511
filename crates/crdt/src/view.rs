//! The rows of one store as a merge sees them: three ordered areas, and whether an entry was
//! applied. Keys are relative to the store.

use std::ops::{Bound, ControlFlow};

use thiserror::Error;

use crate::stamp::EntryStamp;

/// Names one of the ordered maps of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Live rows, which readers see.
    State,
    /// Rows without live existence: dormant fields, and removals that nothing has named yet.
    Buried,
    /// Names of operations that are not there (yet): a row for each, with the slots that they are named at.
    Dangling,
    /// Which entries touched a row and have no head in it (any more): a row for each.
    History,
    /// What this replica alone keeps to be faster: it may depend on the order in which sections came,
    /// no digest covers it, and what is read must be the same without it.
    Local,
}

/// A section that counts, as a merge asks for it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The entry that it belongs to.
    pub stamp: EntryStamp,
    /// Its payload; it may be void.
    pub payload: Vec<u8>,
}

/// What a visitor of a range is called with: key and value; it breaks to stop.
pub type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Reads the rows of one store.
pub trait View {
    /// Returns the row at a key.
    ///
    /// # Errors
    /// [`ViewError`] of what the rows rest on.
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;

    /// Calls `visit` with the row at a key, if there is one: where it rests, if the view can do that.
    ///
    /// # Errors
    /// [`ViewError`] of what the rows rest on.
    fn read(&self, area: Area, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), ViewError> {
        self.get(area, key)?.as_deref().into_iter().for_each(visit);
        Ok(())
    }

    /// Calls `visit` for each row between the bounds in order of keys, or against it, until it breaks.
    ///
    /// # Errors
    /// [`ViewError`] of what the rows rest on.
    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ViewError>;

    /// Returns the section of an entry on this store if it counts: the entry is visible, or hidden
    /// but needed, and its section was given to this store, void or not.
    ///
    /// Asked only for what the heads of a slot do not tell, so it may be slower than a read. The
    /// answer must be there exactly for what was given to [`crate::StoreType::apply`], or the rows
    /// would depend on which of two entries came first.
    ///
    /// # Errors
    /// [`ViewError`] of what the rows rest on.
    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError>;
}

/// Reads and writes the rows of one store.
pub trait ViewMut: View {
    /// Writes a row.
    fn put(&mut self, area: Area, key: &[u8], value: Vec<u8>);

    /// Removes a row, if there is one.
    fn remove(&mut self, area: Area, key: &[u8]);
}

/// Wraps what went wrong with the rows, or with the decoding of one.
#[derive(Debug, Error)]
#[error("the rows of the store cannot be read: {source}")]
pub struct ViewError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl ViewError {
    /// Wraps an error of what the rows rest on.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

/// Says that a row is not what a merge writes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the row at key {key:02x?} is damaged; verify the database and rebuild its state")]
pub struct RowError {
    /// The key of the row, relative to its store.
    pub key: Vec<u8>,
}

/// Visits the rows whose key starts with `prefix`, in order of keys.
pub(crate) fn visit_prefix<V: View + ?Sized>(
    view: &V,
    area: Area,
    prefix: &[u8],
    visit: &mut VisitRow<'_>,
) -> Result<(), ViewError> {
    let end = prefix_end(prefix);
    view.range(area, Bound::Included(prefix), end.as_ref().map(Vec::as_slice), false, visit)
}

/// Returns the end of the keys that start with `prefix`.
pub(crate) fn prefix_end(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

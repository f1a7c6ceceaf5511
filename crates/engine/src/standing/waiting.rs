//! Sections that cannot be folded now, of entries that come to stand otherwise.
//!
//! Invariant: a section waits exactly if its entry is needed and it is not in the state; if it is, from
//! a time when it could be folded, all of its store is to be folded again by who can.

use weald_dag::{Number, Overlay, Standing, StoreError};

use crate::locked;
use crate::stale;
use crate::unfolded;
use crate::view::StorePlace;

/// The place of a section that waits, or is to.
pub(super) struct Waiting<'a> {
    pub(super) database: u32,
    pub(super) store: &'a str,
    pub(super) number: Number,
    pub(super) at: usize,
}

impl Waiting<'_> {
    /// Says of a section of an unknown type how its entry stood and how it stands now.
    pub(super) fn for_type(
        &self,
        rows: &mut Overlay,
        (from, to): (Standing, Standing),
        place: &StorePlace,
        type_name: &str,
    ) -> Result<(), StoreError> {
        let Self { database, store, number, at } = *self;
        let is_waiting = stale::is_waiting(rows, place, store, (number, at))?;
        if from.is_needed() && !is_waiting {
            if place.is_sealed() {
                locked::make_stale(rows, database, store)?;
            } else {
                stale::mark(rows, database, store, type_name);
            }
        }
        match (is_waiting, to.is_needed()) {
            (true, false) => self.drop(rows),
            (false, true) if !from.is_needed() => unfolded::mark(rows, database, number, at),
            _ => {}
        }
        Ok(())
    }

    /// Says of a section whose key is not there how its entry stood and how it stands now.
    pub(super) fn for_key(
        &self,
        rows: &mut Overlay,
        (from, to): (Standing, Standing),
    ) -> Result<(), StoreError> {
        let Self { database, store, number, at } = *self;
        let is_waiting = locked::is_waiting(rows, database, store, number, at)?
            || unfolded::is_waiting(rows, database, number, at)?;
        if from.is_needed() && !is_waiting {
            locked::make_stale(rows, database, store)?;
        }
        match (is_waiting, to.is_needed()) {
            (true, false) => self.drop(rows),
            (false, true) if !from.is_needed() => {
                locked::note_sealed(rows, database, store)?;
                locked::mark(rows, database, store, number, at);
            }
            _ => {}
        }
        Ok(())
    }

    /// Stages that the section does not wait any more.
    pub(super) fn drop(&self, rows: &mut Overlay) {
        let Self { database, store, number, at } = *self;
        unfolded::unmark(rows, database, number, at);
        locked::unmark(rows, database, store, number, at);
    }
}

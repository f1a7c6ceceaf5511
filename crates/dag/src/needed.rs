//! The ids of all that is needed, without a look at the entries.
//!
//! Invariant: the cost is that of the rows that find entries by their ids, which are far smaller than
//! the entries; where something is kept that is not needed, also a scan of these.

use std::ops::ControlFlow;

use crate::graph::Graph;
use crate::id::EntryId;
use crate::row::{self, Number, Standing};
use crate::seam::StoreError;
use crate::space::{KeyRange, Order};

impl Graph<'_> {
    /// Visits the number and the id of every needed entry, in no order that means anything, until
    /// `visit` breaks. No entry is read for it: where something is kept that is not needed, the first
    /// byte of each row is.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn each_needed_id(
        &self,
        visit: &mut dyn FnMut(Number, EntryId) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let unneeded = self.unneeded()?;
        let (mut is_sound, space) = (true, row::ids(self.database()));
        self.rows().range(space, KeyRange::all(), Order::Ascending, &mut |id, number| {
            let (Ok(id), Some(number)) = (id.try_into(), Number::from_key(number)) else {
                is_sound = false;
                return ControlFlow::Break(());
            };
            if unneeded.binary_search(&number).is_ok() {
                return ControlFlow::Continue(());
            }
            visit(number, EntryId::from_bytes(id))
        })?;
        if is_sound { Ok(()) } else { Err(self.damaged("the number of an entry".into())) }
    }

    /// Returns the numbers of what is kept and not needed, ascending.
    fn unneeded(&self) -> Result<Vec<Number>, StoreError> {
        let (mut found, mut is_sound) = (Vec::new(), true);
        // As many are kept as are needed: nothing else is.
        let Some((newest, head)) = self.head()? else { return Ok(found) };
        if newest.0.checked_add(1) == Some(head.needed) {
            return Ok(found);
        }
        let (mut kept, ids) = (0, row::ids(self.database()));
        self.rows().range(ids, KeyRange::all(), Order::Ascending, &mut |_, _| {
            kept += 1;
            ControlFlow::Continue(())
        })?;
        if kept == head.needed {
            return Ok(found);
        }
        let space = row::entries(self.database());
        self.rows().range(space, KeyRange::all(), Order::Ascending, &mut |key, row| match (
            Number::from_key(key),
            row.first(),
        ) {
            (Some(number), Some(flags)) => {
                found.extend((!Standing::from_flags(*flags).is_needed()).then_some(number));
                ControlFlow::Continue(())
            }
            _ => {
                is_sound = false;
                ControlFlow::Break(())
            }
        })?;
        if is_sound { Ok(found) } else { Err(self.damaged("the row of an entry".into())) }
    }
}

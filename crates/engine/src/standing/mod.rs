//! Which entries are visible and which are needed, and what follows when that changes for entries
//! that are stored already.
//!
//! Invariant: after each entry the rows of all say: visible by the authority of everything known,
//! needed iff visible or an ancestor of one that is; state is folded by that.

mod beside;
mod dropped;
mod judged;
mod merged;
mod needed;
mod refold;
mod shift;
mod tips;
mod waiting;
mod why;

pub(crate) use beside::Candidates;
pub(crate) use dropped::{Droppable, drop_unneeded};
pub(crate) use merged::merged;
pub(crate) use needed::{Turned, need};
pub(crate) use shift::{Moved, shift};
pub use why::why_hidden;

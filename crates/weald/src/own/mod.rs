//! Store types of the app's own: how their operations are staged, and how their rows are read.
//!
//! Implement [`StoreType`] for a type, check it with [`laws`], give it to
//! [`crate::InstanceBuilder::store_type`] of every device, and use its stores by
//! [`crate::Database::own`] and [`crate::Transaction::own`]. Sections of a type that a device does not know are
//! kept, synced, and folded when a program opens the instance that does know it.

mod draft;
mod store;
mod types;

pub(crate) use draft::OwnDrafts;
pub use draft::OwnMut;
pub use store::{OwnStore, OwnView};
pub(crate) use types::{OwnTypes, is_built_in};

pub use weald_crdt::{
    Applied, ApplyError, Area, Change, ChangeKind, EntryStamp, Malformed, MemoryView, OwnDraft,
    Stamp, StoreType, Touched, View, ViewError, ViewMut, VisitRow, Void, laws, operations,
};

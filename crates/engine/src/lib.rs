//! The one door into the graph: it checks, numbers and folds each entry.
//!
//! Local and remote entries go through the same [`Engine`]: graph checks of `weald-dag`, authority of
//! `weald-auth`, merging of `weald-crdt`, all staged on one overlay that is applied at once. This
//! crate is pure: it starts no thread, reads no clock and writes to no disk; who drives it (the
//! writer thread of an instance, or the simulator) does. It knows nothing of peers.
mod authors;
mod catalog;
mod commit;
mod digest;
mod engine;
mod fold;
mod ingest;
mod replica;
mod settings;
mod verify;
mod view;

pub use catalog::{Held, all_held, held};
pub use commit::{Commit, CommitError, Required, Sign};
pub use digest::state_digest;
pub use engine::{Engine, Founding};
pub use fold::{Folded, RowChange, StoreTypes, VoidSection, store_error};
pub use ingest::Ingested;
pub use settings::load_authority;
pub use verify::{Findings, PROBLEMS_LISTED_MAX, verify};
pub use view::{StorePlace, StoreView, StoreViewMut, space_of};

//! The one door into the graph: it checks, numbers and folds each entry.
//!
//! Local and remote entries go through the same [`Engine`]: graph checks of `weald-dag`, authority of
//! `weald-auth`, merging of `weald-crdt`, all staged on one overlay that is applied at once. This
//! crate is pure: it starts no thread, reads no clock and writes to no disk; who drives it (the
//! writer thread of an instance, or the simulator) does. It knows nothing of peers.
//!
//! ```
//! # use std::sync::Arc;
//! use weald_auth::{Level, Operation, Subject};
//! use weald_dag::{Domain, Durability, MemoryStore, Overlay, SecretKey, Store};
//! use weald_engine::{Engine, Founding, Sign, StoreTypes, state_digest};
//!
//! let (store, key) = (MemoryStore::new(), Arc::new(SecretKey::from_seed(&[1; 32])));
//! let sign: &Sign<'_> =
//!     &|ids| ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect();
//! let subject = Subject::Key(key.public());
//! let operations =
//!     vec![Operation::Grant { subject, level: Level::Admin(0), name: None, expires: None }];
//! let mut engine = Engine::new(StoreTypes::built_in());
//! let mut rows = Overlay::new(store.snapshot()?);
//! let founding = Founding { key, nonce: [7; 16], operations, system: false };
//! let (held, root) = engine.found(&mut rows, founding, 1_800_000_000_000, sign)?;
//! engine.finish(&mut rows);
//! store.apply(rows.into_batch(), Durability::Immediate)?;
//! assert_eq!(held.id.root(), root.id);
//! state_digest(&*store.snapshot()?, held.number)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod authors;
mod catalog;
mod commit;
mod digest;
mod door;
mod engine;
mod fold;
mod hidden;
mod index;
mod ingest;
mod listing;
mod locked;
mod parents;
mod past;
mod recent;
mod refused;
mod replica;
mod secrets;
mod settings;
mod stale;
mod standing;
mod steps;
mod taken;
mod unfolded;
mod verify;
mod view;
mod written;

pub use catalog::{Held, all_held, held};
pub use commit::{Commit, CommitError, Required, Sign};
pub use digest::state_digest;
pub use engine::{Engine, Founding};
pub use fold::{Folded, RowChange, RowValues, Shift, StoreTypes, VoidSection, store_error};
pub use hidden::{HIDDEN_BYTES_MAX, HIDDEN_ENTRIES_MAX, HiddenMax};
pub use index::{
    INDEX_EXPONENT_MAX, INDEX_FIELDS_MAX, INDEX_NAME_BYTES_MAX, INDEX_STEP_ROWS,
    INDEX_VALUE_BYTES_MAX, INDEXES_MAX, IndexDeclaration, IndexDefinition, IndexError, IndexRange,
    IndexScan, IndexShape, IndexStep, Indexed, has_unbuilt, index_definition, index_definitions,
};
pub use ingest::Ingested;
pub use listing::{StoreName, stores, unfolded_stores};
pub use locked::{
    Unlocked, has_locked, has_sealed, is_sealed, note_sealed, rest_key, seal_over, sealed_prefix,
    sealed_rows, sealed_stores,
};
pub use past::past;
pub use secrets::{Opened, Secrets};
pub use settings::load_authority;
pub use standing::why_hidden;
pub use steps::{RowStep, StoreStep, row_steps, store_steps};
pub use taken::{SHOWN_MAX, taken_from};
pub use unfolded::has_unfolded;
pub use verify::{Findings, PROBLEMS_LISTED_MAX, verify};
pub use view::{
    StorePlace, StoreView, StoreViewMut, is_of_sealed, sealed_name, space_of, type_in_use,
};

//! Rows at rest: the redb store behind the storage seam, and the one thread that writes to it.
//!
//! This crate is the file, its owner lock and format version, snapshots for readers, group commit,
//! and what happens when the disk fails. It is not the graph, the state or the authority: what the
//! rows mean is decided by the [`Work`] that runs on the writer thread.
//!
//! ```
//! use weald_dag::{Batch, Durability, Space, Store};
//! use weald_store::{Options, RedbStore};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let store = RedbStore::open(dir.path(), Options::default())?;
//! let mut batch = Batch::default();
//! batch.put(Space::new("greetings", 1), b"en", b"hello");
//! store.apply(batch, Durability::Immediate)?;
//! let found = store.snapshot()?.get(Space::new("greetings", 1), b"en")?;
//! assert_eq!(found.as_deref(), Some(b"hello".as_slice()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod create;
mod fault;
mod format;
mod open;
mod owner;
mod queue;
mod rows;
mod settle;
mod shadow;
mod snapshot;
mod store;
mod work;
mod writer;

#[cfg(test)]
mod failing;

pub use format::{FORMAT_VERSION, FORMAT_VERSION_MIN};
pub use open::{DEFAULT_CACHE_BYTES, OpenError, Options};
pub use queue::{
    MAX_GROUP_BYTES, MAX_GROUP_JOBS, MAX_GROUP_WEIGHT, MAX_WAITING_BYTES, MAX_WAITING_JOBS,
};
pub use settle::Settle;
pub use store::{CompactError, QUICK_REPAIR_ROWS, REOPEN_PAUSE, REOPEN_PAUSE_MAX, RedbStore};
pub use work::{Step, Work, WorkPanic};
pub use writer::{LINGER, SETTLE_AFTER, WeakWriter, Writer, WriterClosed, WriterOptions};

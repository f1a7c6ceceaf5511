//! Entries, their canonical bytes, signatures and the graph they form.
mod memory;
mod overlay;
mod seam;
pub use memory::MemoryStore;
pub use overlay::{Batch, Overlay};
pub use seam::{Durability, KeyRange, Order, Snapshot, Space, Store, StoreError, Visit};

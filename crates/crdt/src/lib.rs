//! Values, operations and how the stores of a database merge.
//!
//! This crate is pure: it knows rows ([`View`]), sections of operations, and the stamps of entries;
//! it knows nothing of keys, signatures, networks, clocks or disks. State is a function of the set of
//! sections applied: their order never shows.
//!
//! ```
//! use weald_crdt::{EntryStamp, Key, MemoryView, StoreType, TableDraft, TableType, Value, table};
//!
//! let mut overlay = MemoryView::new();
//! let mut draft = TableDraft::new();
//! draft.put(&mut overlay, &Key::from("apple"), &Value::from([("colour", "red")]))?;
//!
//! let mut state = MemoryView::new();
//! let entry = EntryStamp::visible(1, [1; 32], [2; 32]);
//! TableType.apply(&draft.encode(), &entry, &mut state, &mut Vec::new())?;
//! let row = table::get(&state, &Key::from("apple"))?.ok_or("no row")?;
//! assert_eq!(row.value.get("colour"), Some(&Value::from("red")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builtin;
mod cbor;
pub mod counter;
pub mod doc;
mod draft;
mod fold;
mod key;
pub mod laws;
mod limits;
pub mod log;
mod malformed;
mod memory;
mod names;
mod ordered;
mod own;
mod pack;
mod path;
mod read;
mod section;
pub mod set;
mod stamp;
mod store_type;
pub mod table;
mod ulid;
mod value;
mod view;

pub use builtin::builtin;
pub use counter::{CounterDraft, CounterType};
pub use doc::{DocDraft, DocType, PathConflict};
pub use draft::{DraftError, SectionDraft};
pub use key::Key;
pub use limits::{
    MAX_COMPONENT_BYTES, MAX_KEY_COMPONENTS, MAX_KEY_NESTING, MAX_NAMED_SLOTS, MAX_NAMES,
    MAX_NESTING, MAX_OPERATIONS, MAX_PAYLOAD_BYTES, MAX_TYPE_NAME_BYTES,
};
pub use log::{Item, LogDraft, LogType};
pub use malformed::Malformed;
pub use memory::MemoryView;
pub use own::{OwnDraft, operations};
pub use path::{ElementId, Path, Step};
pub use read::{ReadError, Version};
pub use section::{SEALED_TYPE, Void, section_type};
pub use set::{SetDraft, SetType};
pub use stamp::{Dot, EntryStamp, Stamp};
pub use store_type::{
    ApplyError, Change, ChangeKind, Conflict, EntryTimes, SlotConflict, StoreType, Touched,
};
pub use table::{FieldConflict, Row, TableDraft, TableType};
pub use ulid::{Ulid, UlidError};
pub use value::{Decimal, Timestamp, Value, ValueError};
pub use view::{Applied, Area, RowError, View, ViewError, ViewMut, VisitRow};

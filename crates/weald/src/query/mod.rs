//! Queries over tables and logs, and the indexes that answer them.
//!
//! Invariant: a query gives what a scan of all rows would give, whether its index is built or not,
//! and holds no snapshot between two pages.

mod builder;
mod cursor;
mod duplicates;
mod found;
mod index;
mod item;
mod order;
mod page;

mod rows;

pub use builder::Query;
pub use cursor::{CursorError, QueryCursor};
pub use duplicates::{DUPLICATE_KEYS_MAX, Duplicate, Duplicates};
pub use index::{Index, IndexProgress, Indexes, StoreIndex};
pub use item::Queried;
pub use order::{ByIndex, ByKey, QueryOrder};
pub use page::Page;
pub use rows::{QUERY_PAGE_ROWS, QueryRows};

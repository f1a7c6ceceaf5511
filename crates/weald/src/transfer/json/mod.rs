//! The values of a database as JSON Lines: a header, then a line for each row.
//!
//! Invariant: what is exported and imported again is equal, to the last digit and the sign of zero;
//! what JSON has a form for is written as that.

mod batch;
mod error;
mod export;
mod import;
mod line;
mod lines;
#[cfg(feature = "text")]
mod text_part;
mod write;

pub use batch::{JSON_BATCH_BYTES, JSON_BATCH_LINES};
pub use error::{BadLine, BadLineReason, JsonImportError};
pub use export::{JsonExport, JsonExportReport};
pub use import::{JSON_BAD_LINES_MAX, JsonImport, JsonImportReport, OnBadLine};
pub use line::StoreRows;
pub use lines::JSON_LINE_MAX;
pub use write::OnExisting;

/// After how many lines a transfer of JSON tells how far it is.
pub const JSON_PROGRESS_LINES: u64 = 1_000;

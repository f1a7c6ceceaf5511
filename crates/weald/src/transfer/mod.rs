//! Databases to files and back: values as JSON Lines, entries as one archive.
//!
//! Invariant: whatever the size of a database, a transfer holds a bounded part of it in memory.

mod archive;
mod error;
mod json;
mod meter;

pub use archive::{
    ARCHIVE_BLOCK_BYTES, ArchiveError, ArchiveExport, ArchiveImport, ArchiveReport, ImportedArchive,
};
pub use error::ExportError;
pub use json::{
    BadLine, BadLineReason, JSON_BAD_LINES_MAX, JSON_BATCH_BYTES, JSON_BATCH_LINES, JSON_LINE_MAX,
    JSON_PROGRESS_LINES, JsonExport, JsonExportReport, JsonImport, JsonImportError,
    JsonImportReport, OnBadLine, OnExisting, StoreRows,
};
pub use meter::TransferProgress;

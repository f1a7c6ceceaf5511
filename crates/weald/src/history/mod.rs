//! What was: every change of a row, a document or a database, and going back.
//!
//! Invariant: history is read from the entries, which never change; going back is one more entry.

mod audit;
mod audit_line;
mod counter_inverse;
mod diff;
mod doc_inverse;
mod entries;
mod inverse;
mod past;
mod patches;
mod revert;
mod revision;
mod row_history;
mod run;
mod steps;
mod table_inverse;
mod undo;
mod walk;

pub use audit::{AUDIT_PAGE_ENTRIES, Audit, AuditChange, AuditRecord, AuditSetting, AuditStore};
pub use audit_line::AuditError;
pub use diff::RowDiff;
pub use entries::{HISTORY_PAGE_ENTRIES, History};
pub use past::Past;
pub use revert::{Reverted, SkipReason, Skipped};
pub(crate) use revision::Names;
pub use revision::Revision;
pub use row_history::RowHistory;
pub use steps::HISTORY_KEPT_BYTES;
pub use undo::{UNDO_GROUP_ENTRIES_MAX, UNDO_STEPS_MAX, UndoStack, Undone};

//! Reading JSON Lines into a database.
//!
//! Invariant: lines are written in their order; with the default, nothing after a bad one is.

use std::io::Read;
use std::ops::ControlFlow;

use super::super::meter::{Meter, TransferProgress};
use super::JSON_PROGRESS_LINES;
use super::batch::Batch;
use super::error::{BadLine, BadLineReason, JsonImportError};
use super::line::{FORMAT, Header, Line, StoreRows, VERSION};
use super::lines::{Lines, Next};
use super::write::{OnExisting, Row};
use crate::database::Database;

/// How many bad lines, and how many stores that were left out, a report lists; all are counted.
pub const JSON_BAD_LINES_MAX: usize = 100;

/// What an import does at a line that it cannot import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadLine {
    /// It ends with an error; the lines before are written.
    #[default]
    Stop,
    /// It goes on, and the report tells of the line.
    Skip,
}

/// How JSON Lines are read into a database.
#[derive(Debug, Default)]
pub struct JsonImport<'a> {
    meter: Meter<'a>,
    existing: OnExisting,
    bad: OnBadLine,
}

impl<'a> JsonImport<'a> {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what to do where there is a row already. It is replaced by default.
    #[must_use]
    pub fn existing(mut self, existing: OnExisting) -> Self {
        self.existing = existing;
        self
    }

    /// Says what to do at a bad line. The import ends there by default.
    #[must_use]
    pub fn bad_lines(mut self, bad: OnBadLine) -> Self {
        self.bad = bad;
        self
    }

    /// Calls back every [`crate::JSON_PROGRESS_LINES`] lines and at the end; breaking ends the
    /// import. Nobody is told by default.
    #[must_use]
    pub fn progress(mut self, call: impl FnMut(TransferProgress) -> ControlFlow<()> + 'a) -> Self {
        self.meter.call(call);
        self
    }
}

/// What an import of JSON Lines did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct JsonImportReport {
    /// How many lines there were, without the header and empty ones.
    pub lines: u64,
    /// How many were written.
    pub written: u64,
    /// How many found a row that stays, with [`OnExisting::Keep`].
    pub kept: u64,
    /// How many were bad and skipped, with [`OnBadLine::Skip`].
    pub bad: u64,
    /// The first [`JSON_BAD_LINES_MAX`] of these.
    pub bad_lines: Vec<BadLine>,
    /// How many lines are of stores whose types an import cannot write.
    pub left_out: u64,
    /// The first [`JSON_BAD_LINES_MAX`] of these stores.
    pub left_out_stores: Vec<StoreRows>,
    /// How long the file is, in bytes.
    pub bytes: u64,
}

impl Database {
    /// Reads JSON Lines that [`Database::export_json`] has written, or that were made like them.
    ///
    /// Rows of tables, values of documents, counters, members of sets and texts are written under the
    /// keys of their lines, items of logs appended, all by this handle's key and now: for entries with their authors and times use
    /// an archive. Lines are committed in batches of up to [`crate::JSON_BATCH_LINES`]. It blocks, so
    /// call it off the threads of an async runtime.
    ///
    /// # Errors
    /// [`JsonImportError`]; what was committed before the error stays.
    pub fn import_json(&self, reader: impl Read) -> Result<JsonImportReport, JsonImportError> {
        self.import_json_with(reader, JsonImport::new())
    }

    /// As [`Database::import_json`], with other options.
    ///
    /// # Errors
    /// As for [`Database::import_json`], and [`JsonImportError::Cancelled`].
    pub fn import_json_with(
        &self,
        reader: impl Read,
        options: JsonImport<'_>,
    ) -> Result<JsonImportReport, JsonImportError> {
        let batch = Batch::new(self, options.existing);
        let (bad, meter, report) = (options.bad, options.meter, JsonImportReport::default());
        let mut import = Import { lines: Lines::new(reader), batch, bad, meter, report };
        import.header()?;
        while import.line()? {}
        import.batch.commit()?;
        import.tell()?;
        Ok(import.close())
    }
}

/// JSON Lines on their way in.
struct Import<'a, R> {
    lines: Lines<R>,
    batch: Batch<'a>,
    bad: OnBadLine,
    meter: Meter<'a>,
    report: JsonImportReport,
}

impl<R: Read> Import<'_, R> {
    fn header(&mut self) -> Result<(), JsonImportError> {
        let next = self.lines.next().map_err(JsonImportError::Read)?;
        let header = serde_json::from_slice::<Header>(&self.lines.line).ok();
        let header = header.filter(|header| next == Next::Line && header.format == FORMAT);
        match header.ok_or(JsonImportError::NoHeader)?.version {
            VERSION => Ok(()),
            found if found > VERSION => Err(JsonImportError::NewerVersion { found }),
            _ => Err(JsonImportError::NoHeader),
        }
    }

    /// Takes one line; returns whether there may be more.
    fn line(&mut self) -> Result<bool, JsonImportError> {
        let next = self.lines.next().map_err(JsonImportError::Read)?;
        let taken = match next {
            Next::End => return Ok(false),
            Next::Line if self.lines.line.trim_ascii().is_empty() => return Ok(true),
            Next::Line => self.take()?,
            Next::TooLong => Err(BadLineReason::TooLong),
        };
        self.report.lines += 1;
        if let Err(reason) = taken {
            self.pass(reason)?;
        }
        if self.report.lines.is_multiple_of(JSON_PROGRESS_LINES) {
            self.tell()?;
        }
        Ok(true)
    }

    fn take(&mut self) -> Result<Result<(), BadLineReason>, JsonImportError> {
        let (text, number) = (self.lines.line.as_slice(), self.lines.number);
        let line: Line<'_> = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(error) => return Ok(Err(BadLineReason::Json(error))),
        };
        match Row::of(&line) {
            Ok(Some(row)) => self.batch.stage(&line.store, &row, number, text.len()),
            Ok(None) => {
                leave_out(&mut self.report, &line);
                Ok(Ok(()))
            }
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// Passes a bad line over, or ends.
    fn pass(&mut self, reason: BadLineReason) -> Result<(), JsonImportError> {
        let bad = BadLine { line: self.lines.number, reason };
        if self.bad == OnBadLine::Stop {
            self.batch.commit()?;
            return Err(JsonImportError::Line { bad, written: self.batch.written });
        }
        self.report.bad += 1;
        if self.report.bad_lines.len() < JSON_BAD_LINES_MAX {
            self.report.bad_lines.push(bad);
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), JsonImportError> {
        self.meter.progress.items = self.report.lines;
        self.meter.progress.bytes = self.lines.bytes;
        Ok(self.meter.tell()?)
    }

    fn close(self) -> JsonImportReport {
        let (written, kept, bytes) = (self.batch.written, self.batch.kept, self.lines.bytes);
        JsonImportReport { written, kept, bytes, ..self.report }
    }
}

/// Counts a line of a type that cannot be written.
fn leave_out(report: &mut JsonImportReport, line: &Line<'_>) {
    report.left_out += 1;
    let stores = &mut report.left_out_stores;
    let same =
        |found: &&mut StoreRows| found.store == line.store && found.type_name == line.type_name;
    if let Some(found) = stores.iter_mut().find(same) {
        found.rows += 1;
    } else if stores.len() < JSON_BAD_LINES_MAX {
        let (store, type_name) = (line.store.to_string(), line.type_name.to_string());
        stores.push(StoreRows { store, type_name, rows: 1 });
    }
}

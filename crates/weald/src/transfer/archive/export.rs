//! Writing an archive.
//!
//! Invariant: it holds the entries of one moment, all that a peer would be sent, parents first.

use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;

use weald_dag::{Graph, Number, Stored};

use super::super::error::ExportError;
use super::super::meter::{Meter, TransferProgress};
use super::file::{ARCHIVE_BLOCK_BYTES, Header, Outgoing};
use crate::database::Database;

/// How an archive is written.
#[derive(Debug, Default)]
pub struct ArchiveExport<'a> {
    meter: Meter<'a>,
}

impl<'a> ArchiveExport<'a> {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls back after each block and at the end; breaking ends the export. Nobody is told by
    /// default.
    #[must_use]
    pub fn progress(mut self, call: impl FnMut(TransferProgress) -> ControlFlow<()> + 'a) -> Self {
        self.meter.call(call);
        self
    }
}

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveReport {
    /// How many entries.
    pub entries: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
}

impl Database {
    /// Writes all entries, with signatures and payloads, as one archive that
    /// [`crate::User::import_archive`] takes on any device.
    ///
    /// It holds one moment of the database and about a block, [`crate::ARCHIVE_BLOCK_BYTES`], in
    /// memory. It blocks, so call it off the threads of an async runtime. Disk pages that are freed
    /// meanwhile are used again only after it.
    ///
    /// # Errors
    /// [`ExportError`]; what was written then is not whole, and no import takes it for whole.
    pub fn export_archive(&self, writer: impl Write) -> Result<ArchiveReport, ExportError> {
        self.export_archive_with(writer, ArchiveExport::new())
    }

    /// As [`Database::export_archive`], telling how far it is.
    ///
    /// # Errors
    /// As for [`Database::export_archive`], and [`ExportError::Cancelled`].
    pub fn export_archive_with(
        &self,
        writer: impl Write,
        options: ArchiveExport<'_>,
    ) -> Result<ArchiveReport, ExportError> {
        if !self.is_complete()? {
            return Err(ExportError::Incomplete { id: self.id() });
        }
        let rows = self.core().rows()?;
        let graph = Graph::new(&rows, self.number());
        let entries = graph.head()?.map_or(0, |(_, head)| head.needed);
        let mut export =
            Export { out: Outgoing::new(writer), meter: options.meter, block: Vec::new() };
        export.meter.progress.total = Some(entries);
        export.out.header(&Header { database: self.id(), entries })?;
        let mut failure = None;
        graph.each_from(Number(0), &mut |stored| match export.take(&stored) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failure.map_or(Ok(()), Err)?;
        export.close()
    }
}

/// An archive on its way out.
struct Export<'a, W> {
    out: Outgoing<W>,
    meter: Meter<'a>,
    block: Vec<u8>,
}

impl<W> fmt::Debug for Export<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("meter", &self.meter).finish_non_exhaustive()
    }
}

impl<W: Write> Export<'_, W> {
    fn take(&mut self, stored: &Stored) -> Result<(), ExportError> {
        if !stored.local.standing.is_needed() {
            return Ok(());
        }
        stored.parcel.check_complete().map_err(ExportError::Withheld)?;
        stored.parcel.encode(&mut self.block);
        self.meter.progress.items += 1;
        if self.block.len() >= ARCHIVE_BLOCK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        if !self.block.is_empty() {
            self.out.block(&self.block)?;
            self.block.clear();
        }
        self.meter.progress.bytes = self.out.bytes;
        Ok(self.meter.tell()?)
    }

    fn close(mut self) -> Result<ArchiveReport, ExportError> {
        self.flush()?;
        let entries = self.meter.progress.items;
        self.out.closing(entries)?;
        Ok(ArchiveReport { entries, bytes: self.out.bytes })
    }
}

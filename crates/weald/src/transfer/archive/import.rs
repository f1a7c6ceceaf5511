//! Taking in an archive.
//!
//! Invariant: every entry goes through the door that entries of peers go through, and the database
//! counts as complete only once the closing line was read and each entry of the archive is here.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use weald_dag::{DatabaseId, EntryId, Graph, Parcel, StoreError, Verdict, Verified};

use super::super::meter::{Meter, TransferProgress};
use super::error::ArchiveError;
use super::file::{Incoming, Part, parcels};
use crate::core::{Core, lost};
use crate::database::{Database, DatabaseError};
use crate::exchange::{Verdicts, complete, take, verify};
use crate::reply::Reply;
use crate::user::User;

/// How an archive is taken in.
#[derive(Debug, Default)]
pub struct ArchiveImport<'a> {
    meter: Meter<'a>,
    expected: Option<DatabaseId>,
}

impl<'a> ArchiveImport<'a> {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an archive of this database alone. Of any by default.
    #[must_use]
    pub fn of(mut self, database: DatabaseId) -> Self {
        self.expected = Some(database);
        self
    }

    /// Calls back after each block and at the end; breaking ends the import. Nobody is told by
    /// default.
    #[must_use]
    pub fn progress(mut self, call: impl FnMut(TransferProgress) -> ControlFlow<()> + 'a) -> Self {
        self.meter.call(call);
        self
    }
}

/// A database that an archive was taken into.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportedArchive {
    /// The database, opened with the strongest of the user's keys.
    pub database: Database,
    /// How many entries the archive holds.
    pub entries: u64,
    /// How many of them were not here before.
    pub stored: u64,
    /// How long the archive is, in bytes.
    pub bytes: u64,
}

impl User {
    /// Takes in an archive that [`Database::export_archive`] has written, and tracks its database.
    ///
    /// Signatures and hashes are checked, and each entry is judged as if a peer had sent it; events
    /// name this device as their origin. What is here already is left as it is: importing twice
    /// changes nothing, and an import that ended early goes on when it is done again. It blocks, so
    /// call it off the threads of an async runtime, and holds two blocks in memory.
    ///
    /// # Errors
    /// [`ArchiveError`]. What came before the error and was checked stays: a database that was not
    /// here is then here and not complete, so it is neither written nor offered to peers.
    pub fn import_archive(&self, reader: impl Read) -> Result<ImportedArchive, ArchiveError> {
        self.import_archive_with(reader, ArchiveImport::new())
    }

    /// As [`User::import_archive`], of one database alone, or telling how far it is.
    ///
    /// # Errors
    /// As for [`User::import_archive`], [`ArchiveError::OtherDatabase`] and
    /// [`ArchiveError::Cancelled`].
    pub fn import_archive_with(
        &self,
        reader: impl Read,
        options: ArchiveImport<'_>,
    ) -> Result<ImportedArchive, ArchiveError> {
        let mut file = Incoming::new(reader);
        let header = file.header()?;
        let id = header.database;
        if let Some(expected) = options.expected.filter(|expected| *expected != id) {
            return Err(ArchiveError::OtherDatabase { expected, found: id });
        }
        let mut import = Import::new(self.core(), id, options.meter)?;
        import.meter.progress.total = Some(header.entries);
        let expected = loop {
            match file.part()? {
                Part::Block(block) => import.take(parcels(&block)?)?,
                Part::Closing(entries) => break entries,
            }
            import.meter.progress.bytes = file.bytes;
            import.meter.tell()?;
        };
        import.settle()?;
        import.meter.progress.bytes = file.bytes;
        let found = import.meter.progress.items;
        for expected in [expected, header.entries] {
            if expected != found {
                return Err(ArchiveError::Count { expected, found });
            }
        }
        import.meter.tell()?;
        complete(self.core(), id)?;
        let database = self.open_database(&id)?;
        self.track(id)?;
        Ok(ImportedArchive { database, entries: found, stored: import.stored, bytes: file.bytes })
    }
}

/// An archive on its way in.
struct Import<'a> {
    core: &'a Core,
    database: DatabaseId,
    meter: Meter<'a>,
    /// What the writer thread is busy with while the next block is checked.
    waiting: Option<Reply<Result<Verdicts, StoreError>>>,
    stored: u64,
}

impl fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import").field("database", &self.database).finish_non_exhaustive()
    }
}

impl<'a> Import<'a> {
    fn new(core: &'a Core, database: DatabaseId, meter: Meter<'a>) -> Result<Self, ArchiveError> {
        if core.held(&database)?.is_some_and(|held| held.system) {
            return Err(DatabaseError::NotHere { id: database }.into());
        }
        Ok(Self { core, database, meter, waiting: None, stored: 0 })
    }

    fn take(&mut self, parcels: Vec<Parcel>) -> Result<(), ArchiveError> {
        let count = parcels.len() as u64;
        let unknown = self.unknown(parcels)?;
        let verified = verify(unknown)?.into_iter().collect::<Result<Vec<Verified>, _>>()?;
        for parcel in &verified {
            parcel.parcel().check_complete()?;
        }
        self.settle()?;
        if !verified.is_empty() {
            let device = self.core.device.public();
            let reply = take(self.core, device, self.database, verified, BTreeMap::new())?;
            self.waiting = Some(reply);
        }
        self.meter.progress.items += count;
        Ok(())
    }

    /// Leaves out what is stored: it was checked when it came.
    fn unknown(&self, parcels: Vec<Parcel>) -> Result<Vec<Parcel>, ArchiveError> {
        let Some(held) = self.core.held(&self.database)? else { return Ok(parcels) };
        let rows = self.core.rows()?;
        let graph = Graph::new(&rows, held.number);
        let mut unknown = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            if graph.number(&parcel.entry.id())?.is_none() {
                unknown.push(parcel);
            }
        }
        Ok(unknown)
    }

    /// Waits until what was handed over is durable, and looks at what became of it.
    fn settle(&mut self) -> Result<(), ArchiveError> {
        let Some(reply) = self.waiting.take() else { return Ok(()) };
        for (entry, verdict) in reply.wait().unwrap_or_else(|| Err(lost()))? {
            match verdict {
                Verdict::Stored(_) => self.stored += 1,
                // What this replica has no use for is no loss.
                Verdict::Duplicate(_) | Verdict::Unwanted => {}
                other => return Err(failure(entry, other)),
            }
        }
        Ok(())
    }
}

fn failure(entry: EntryId, verdict: Verdict) -> ArchiveError {
    match verdict {
        Verdict::Refused(reason) => ArchiveError::Refused { entry, reason },
        Verdict::HeldBack { time } => ArchiveError::HeldBack { entry, time },
        Verdict::Fault(fault) => ArchiveError::Forged(fault),
        Verdict::NewerVersion { what } => ArchiveError::Unknown { entry, what },
        Verdict::Missing(_) | Verdict::Unwanted | Verdict::Stored(_) | Verdict::Duplicate(_) => {
            ArchiveError::Orphan { entry }
        }
    }
}

//! What stands beside our figures: redb alone, with one put for each durable commit.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
/// What one message takes in a raw row: the text and what names it.
const MESSAGE: [u8; 100] = [b'm'; 100];

/// A redb file with nothing of ours in it.
pub(crate) struct Raw {
    database: Database,
    next: u64,
}

impl Raw {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let database =
            Database::builder().set_cache_size(32 << 20).create(folder.join("raw.redb"))?;
        Ok(Self { database, next: 0 })
    }

    /// Opens the file again and reads one message, and returns the seconds that took.
    pub(crate) fn open_and_get(folder: &Path, key: u64) -> Result<f64> {
        let started = Instant::now();
        let database =
            Database::builder().set_cache_size(32 << 20).open(folder.join("raw.redb"))?;
        let table = database.begin_read()?.open_table(TABLE)?;
        std::hint::black_box(table.get(key)?.map(|value| value.value().len()));
        Ok(started.elapsed().as_secs_f64())
    }

    /// Reads the last `count` messages, and returns the seconds that took.
    pub(crate) fn tail(&self, count: usize) -> Result<f64> {
        let started = Instant::now();
        let table = self.database.begin_read()?.open_table(TABLE)?;
        for row in table.iter()?.rev().take(count) {
            std::hint::black_box(row?.1.value().len());
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Puts one message in a durable transaction of its own.
    pub(crate) fn commit(&mut self) -> Result<()> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(TABLE)?.insert(self.next, MESSAGE.as_slice())?;
        transaction.commit()?;
        self.next += 1;
        Ok(())
    }

    /// Puts these bytes in a durable transaction of their own.
    pub(crate) fn commit_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(TABLE)?.insert(self.next, bytes)?;
        transaction.commit()?;
        self.next += 1;
        Ok(())
    }

    /// Puts messages until there are `n`, in one transaction.
    pub(crate) fn fill(&mut self, n: u64) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for key in self.next..n {
                table.insert(key, MESSAGE.as_slice())?;
            }
        }
        transaction.commit()?;
        self.next = n;
        Ok(())
    }

    /// Reads `count` messages by key, and returns the seconds that took.
    pub(crate) fn get(&self, count: u64) -> Result<f64> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        let started = Instant::now();
        for i in 0..count {
            let key = scattered(i, self.next);
            std::hint::black_box(table.get(key)?.map(|value| value.value().len()));
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

/// Spreads `i` over `0..n`, the same in every run.
pub(crate) const fn scattered(i: u64, n: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % n
}

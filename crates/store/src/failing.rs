//! A disk that fails when told to, and what the store makes of it.
//!
//! Invariant: only what was synced survives a power cut for certain; any part of the rest may. What
//! a failed sync could not write is never written, and still read until the file is opened again.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redb::StorageBackend;
use weald_dag::{Batch, Durability, KeyRange, Order, Space, Store, StoreError};

use crate::open::{Opened, Opener, When};
use crate::settle::Settle;
use crate::store::RedbStore;

const ROWS: Space = Space::new("rows", 1);

#[derive(Clone, Debug, Default)]
struct FailingDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    /// What reads see.
    bytes: Vec<u8>,
    /// What survives a power cut.
    durable: Vec<u8>,
    /// Writes since the last sync.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Operations that change something until the fault strikes; `None` is never.
    until_fault: Option<u32>,
    /// How many operations the fault strikes then.
    strikes: u32,
    fault: Fault,
    opened: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    /// Every change fails.
    #[default]
    Broken,
    /// Only syncing fails; what was written stays visible.
    Sync,
    /// Nothing can be written or grown.
    Full,
}

impl FailingDisk {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn arm(&self, fault: Fault, after: u32, strikes: u32) {
        let mut disk = self.disk();
        (disk.fault, disk.until_fault, disk.strikes) = (fault, Some(after), strikes);
    }

    fn heal(&self) {
        self.disk().until_fault = None;
    }

    /// Leaves what was synced and any part of what was not, in pieces.
    fn cut_power(&self, random: &mut impl FnMut() -> usize) {
        let mut disk = self.disk();
        let unsynced = std::mem::take(&mut disk.unsynced);
        let mut bytes = disk.durable.clone();
        for (offset, data) in unsynced {
            // Sectors of 512 bytes arrive whole, each or not.
            for (at, sector) in data.chunks(512).enumerate() {
                let from = offset + at * 512;
                if random().is_multiple_of(2) && from + sector.len() <= bytes.len() {
                    bytes[from..from + sector.len()].copy_from_slice(sector);
                }
            }
        }
        disk.durable.clone_from(&bytes);
        disk.bytes = bytes;
        disk.until_fault = None;
    }

    fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move |when| {
            disk.disk().open(when);
            let seen = std::rc::Rc::new(std::cell::Cell::new(false));
            let repaired = std::rc::Rc::clone(&seen);
            let database = redb::Builder::new()
                .set_cache_size(1 << 20)
                .set_repair_callback(move |_| seen.set(true))
                .create_with_backend(disk.clone())?;
            Ok(Opened { database, repaired: repaired.get() })
        })
    }

    /// Opens a store that tries to open its file again at every call.
    fn store(&self) -> RedbStore {
        RedbStore::with_backend(self.opener(), Duration::ZERO).unwrap()
    }
}

impl Disk {
    fn open(&mut self, when: When) {
        self.opened += 1;
        if when == When::AfterFailure {
            let unsynced = std::mem::take(&mut self.unsynced);
            self.bytes.clone_from(&self.durable);
            for (offset, data) in &unsynced {
                self.bytes[*offset..*offset + data.len()].copy_from_slice(data);
            }
            self.unsynced = unsynced;
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.change(true)?;
        for (offset, data) in unsynced {
            self.durable[offset..offset + data.len()].copy_from_slice(&data);
        }
        Ok(())
    }

    fn change(&mut self, syncs: bool) -> io::Result<()> {
        let struck = match self.fault {
            Fault::Broken => true,
            Fault::Sync => syncs,
            Fault::Full => !syncs,
        };
        let Some(left) = self.until_fault.filter(|_| struck) else { return Ok(()) };
        if left > 0 {
            self.until_fault = Some(left - 1);
            return Ok(());
        }
        self.strikes -= 1;
        if self.strikes == 0 {
            self.until_fault = None;
        }
        Err(match self.fault {
            Fault::Full => io::Error::from(io::ErrorKind::StorageFull),
            _ => io::Error::other("injected"),
        })
    }
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let disk = self.disk();
        let found = disk.bytes.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change(false)?;
        let len = usize::try_from(len).unwrap();
        disk.bytes.resize(len, 0);
        disk.durable.resize(len, 0);
        disk.unsynced.retain(|(offset, data)| offset + data.len() <= len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk().sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change(false)?;
        let from = usize::try_from(offset).unwrap();
        disk.bytes[from..from + data.len()].copy_from_slice(data);
        disk.unsynced.push((from, data.to_vec()));
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, redb::BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), redb::BackendError> {
        Ok(())
    }
}

fn put(store: &RedbStore, number: u32) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    batch.put(ROWS, number.to_be_bytes(), vec![7; 300]);
    batch.put(Space::new("other", 1), number.to_be_bytes(), *b"beside");
    store.apply(batch, Durability::Immediate)
}

fn has(store: &RedbStore, number: u32) -> bool {
    let now = store.snapshot().unwrap();
    let row = now.get(ROWS, &number.to_be_bytes()).unwrap();
    let beside = now.get(Space::new("other", 1), &number.to_be_bytes()).unwrap();
    assert_eq!(row.is_some(), beside.is_some(), "half of batch {number} was applied");
    row.is_some()
}

#[test]
fn a_failed_sync_leaves_the_outcome_unknown_and_the_store_goes_on() {
    let disk = FailingDisk::default();
    let store = disk.store();
    put(&store, 1).unwrap();
    let held = store.snapshot().unwrap();
    disk.arm(Fault::Sync, 0, 1);
    let error = put(&store, 2).unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown { .. }), "{error}");
    assert!(store.was_repaired(), "the file must be opened and checked again");
    assert_eq!(disk.disk().opened, 2);
    assert!(has(&store, 1));
    // Either is right, but it must be one of them, and stay so, whatever happens next.
    let second = has(&store, 2);
    put(&store, 3).unwrap();
    disk.arm(Fault::Broken, 0, u32::MAX);
    drop(store);
    disk.cut_power(&mut || 1);
    let store = disk.store();
    assert_eq!((has(&store, 1), has(&store, 2), has(&store, 3)), (true, second, true));
    // A snapshot of the file as it was open before says so, or still has its row in memory.
    match held.get(ROWS, &1_u32.to_be_bytes()) {
        Ok(row) => assert!(row.is_some()),
        Err(error) => assert!(error.to_string().contains("snapshot"), "{error}"),
    }
}

/// The system reads back what it could not write, as if it had: see [`When::AfterFailure`].
#[test]
fn nothing_is_built_on_what_a_failed_sync_left_in_memory() {
    let disk = FailingDisk::default();
    let store = disk.store();
    put(&store, 1).unwrap();
    let large = Space::new("large", 1);
    let mut batch = Batch::default();
    for row in 0..2_000_u32 {
        batch.put(large, row.to_be_bytes(), vec![5; 100]);
    }
    disk.arm(Fault::Sync, 0, 1);
    let error = store.apply(batch, Durability::Immediate).unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown { .. }), "{error}");
    put(&store, 2).unwrap();
    put(&store, 3).unwrap();
    disk.arm(Fault::Broken, 0, u32::MAX);
    drop(store);
    disk.cut_power(&mut || 1);
    let store = disk.store();
    assert!((1..=3).all(|number| has(&store, number)));
    let mut rows = 0;
    let now = store.snapshot().unwrap();
    now.range(large, KeyRange::all(), Order::Ascending, &mut |_, value| {
        assert_eq!(value, [5; 100]);
        rows += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(rows == 0 || rows == 2_000, "{rows} of 2,000 rows are there");
}

#[test]
fn a_broken_disk_says_what_to_do_until_it_is_repaired() {
    let disk = FailingDisk::default();
    let store = disk.store();
    put(&store, 1).unwrap();
    disk.arm(Fault::Broken, 0, u32::MAX);
    assert!(put(&store, 2).is_err());
    for error in [put(&store, 3).unwrap_err(), store.settle().unwrap_err()] {
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.to_string().contains("free space or repair the disk, then reopen"));
    }
    assert!(matches!(store.snapshot().err(), Some(StoreError::Io { .. })));
    disk.heal();
    assert!(has(&store, 1));
    put(&store, 4).unwrap();
    assert!(has(&store, 4) && !has(&store, 3));
}

#[test]
fn a_broken_disk_is_left_alone_between_attempts() {
    let disk = FailingDisk::default();
    let store = RedbStore::with_backend(disk.opener(), Duration::from_secs(3_600)).unwrap();
    put(&store, 1).unwrap();
    disk.arm(Fault::Broken, 0, u32::MAX);
    for number in 2..200 {
        assert!(put(&store, number).is_err());
        let error = store.snapshot().map(drop).unwrap_err();
        assert!(error.to_string().contains("repair the disk"), "{error}");
    }
    assert_eq!(disk.disk().opened, 2, "once at first, and once after the failed write");
}

#[test]
fn a_disk_that_comes_back_is_used_again_however_often_it_was_asked() {
    let disk = FailingDisk::default();
    let store = disk.store();
    put(&store, 1).unwrap();
    disk.arm(Fault::Broken, 0, u32::MAX);
    for number in 2..200 {
        assert!(put(&store, number).is_err());
        assert!(store.snapshot().is_err());
    }
    disk.heal();
    assert!(has(&store, 1));
    put(&store, 200).unwrap();
    assert!(has(&store, 200));
}

#[test]
fn a_full_disk_loses_nothing_and_heals() {
    let disk = FailingDisk::default();
    let store = disk.store();
    put(&store, 0).unwrap();
    for after in 0..12 {
        disk.arm(Fault::Full, after, u32::MAX);
        let mut batch = Batch::default();
        for row in 0..3_000_u32 {
            batch.put(ROWS, [&row.to_be_bytes()[..], b"bulk"].concat(), vec![1; 1_000]);
        }
        let error = store.apply(batch, Durability::Immediate).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("again") || text.contains("free space"), "{text}");
        disk.heal();
        assert!(has(&store, 0));
        put(&store, after + 1).unwrap();
    }
    drop(store);
    let store = disk.store();
    assert!((0..=12).all(|number| has(&store, number)));
}

#[test]
fn a_power_cut_keeps_what_was_acknowledged_and_tears_nothing() {
    for seed in 1..=60_u32 {
        let mut state = seed;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as usize
        };
        let disk = FailingDisk::default();
        let store = disk.store();
        put(&store, 0).unwrap();
        disk.arm(Fault::Broken, u32::try_from(random() % 120).unwrap(), u32::MAX);
        let mut acknowledged = 0;
        let mut settled = true;
        for number in 1..100 {
            if put(&store, number).is_err() {
                break;
            }
            acknowledged = number;
            if number % 7 == 0 && store.settle().is_err() {
                settled = false;
                break;
            }
        }
        drop(store);
        disk.cut_power(&mut random);
        let store = disk.store();
        for number in 0..=acknowledged {
            assert!(has(&store, number), "seed {seed}: {number} of {acknowledged} is gone");
        }
        has(&store, acknowledged + 1);
        assert!(!has(&store, acknowledged + 2), "seed {seed}, settled: {settled}");
        put(&store, 1_000).unwrap();
    }
}

#[test]
fn an_eventual_batch_is_durable_after_settling() {
    let disk = FailingDisk::default();
    let store = disk.store();
    put(&store, 0).unwrap();
    let mut batch = Batch::default();
    batch.put(ROWS, *b"eventual", *b"row");
    store.apply(batch, Durability::Eventual).unwrap();
    store.settle().unwrap();
    disk.arm(Fault::Broken, 0, u32::MAX);
    drop(store);
    disk.cut_power(&mut || 1);
    let store = disk.store();
    assert!(!store.was_repaired(), "settling must leave the file ready");
    assert!(store.snapshot().unwrap().get(ROWS, b"eventual").unwrap().is_some());
}

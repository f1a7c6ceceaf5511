//! Reads: one row by key, the end of a log, and opening.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use weald::Instance;

use crate::raw::{Raw, scattered};
use crate::report::{Report, percentile};
use crate::sample::{self, Message};

const READS: u64 = 100_000;
const TAILS: usize = 1_000;
const TAIL: usize = 50;
const OPENS: usize = 9;

/// Reads rows by key, warm, and as many of raw redb.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn get(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let keys = sample::fill_table(&database, n)?;
    let table = database.table::<Message>("messages")?;
    let mut raw = Raw::create(folder.path())?;
    raw.fill(n)?;
    let mut seconds = 0.0;
    for round in 0..2 {
        let started = Instant::now();
        for i in 0..READS {
            let key = keys.get(usize::try_from(scattered(i, n))?).context("a key is missing")?;
            black_box(table.get(key)?);
        }
        // The first round warms the cache.
        seconds = started.elapsed().as_secs_f64();
        if round == 0 {
            raw.get(READS)?;
        }
    }
    report.figure("weald", n, seconds / READS as f64 * 1e6, "µs");
    report.figure("redb", n, raw.get(READS)? / READS as f64 * 1e6, "µs");
    instance.close();
    Ok(())
}

/// Reads the last 50 items of a log, warm.
pub(crate) fn tail(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    sample::fill_log(&database, n)?;
    let log = database.log::<Message>("chat")?;
    let mut times = Vec::with_capacity(TAILS);
    for _ in 0..TAILS {
        let started = Instant::now();
        black_box(log.tail(TAIL)?);
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    let mut raw = Raw::create(folder.path())?;
    raw.fill(n)?;
    let raw_tail = |_| Ok(raw.tail(TAIL)? * 1e6);
    let raw_times = (0..TAILS).map(raw_tail).collect::<Result<Vec<f64>>>()?;
    report.figure("weald", n, median(times), "µs");
    report.figure("redb", n, median(raw_times), "µs");
    instance.close();
    Ok(())
}

/// Opens after a clean close, and reads one row.
pub(crate) fn open(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weald");
    sample::leave(&path, n)?;
    let mut times = Vec::with_capacity(OPENS);
    for _ in 0..OPENS {
        let started = Instant::now();
        let instance = open_and_get(&path)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        instance.close();
    }
    let mut raw = Raw::create(folder.path())?;
    raw.fill(n)?;
    drop(raw);
    let raw_open = |_| Ok(Raw::open_and_get(folder.path(), n - 1)? * 1e3);
    let raw_times = (0..OPENS).map(raw_open).collect::<Result<Vec<f64>>>()?;
    report.figure("weald", n, median(times), "ms");
    report.figure("redb", n, median(raw_times), "ms");
    Ok(())
}

/// Opens an instance that [`sample::leave`] left and reads the row that it wrote last.
pub(crate) fn open_and_get(path: &Path) -> Result<Instance> {
    let instance = Instance::open(path)?;
    let database = sample::reopen(&instance)?;
    let table = database.table::<Message>("messages")?;
    black_box(table.get(sample::LAST)?).context("the row is gone")?;
    Ok(instance)
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    percentile(&times, 0.5)
}

//! Writing in bulk: many rows in each transaction, under generated keys or random ones.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Result;
use weald::Key;

use crate::raw::{Raw, scattered};
use crate::report::Report;
use crate::sample::{self, FILL, Message};

/// How many transactions are on their way at most.
const AHEAD: usize = 4;

/// Fills a table with keys that rise with time, and redb with as many rows in transactions of the
/// same size.
pub(crate) fn generated(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let started = Instant::now();
    sample::fill_table(&database, n)?;
    rate(report, "weald", n, started);
    let mut raw = Raw::create(folder.path())?;
    let started = Instant::now();
    for end in (FILL..=n).step_by(usize::try_from(FILL)?) {
        raw.fill(end)?;
    }
    rate(report, "redb", n, started);
    instance.close();
    ahead(report, n)
}

/// Fills a table as an app does that has much to write: the next transactions are made while some
/// are on their way.
fn ahead(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut waiting = VecDeque::new();
    let started = Instant::now();
    for start in (0..n).step_by(usize::try_from(FILL)?) {
        let mut transaction = database.begin()?;
        let mut table = transaction.table::<Message>("messages")?;
        for i in start..n.min(start + FILL) {
            table.insert(&Message::new(i))?;
        }
        waiting.push_back(transaction.commit_async());
        if waiting.len() >= AHEAD
            && let Some(first) = waiting.pop_front()
        {
            runtime.block_on(first)?;
        }
    }
    waiting.into_iter().try_for_each(|commit| runtime.block_on(commit).map(drop))?;
    rate(report, "weald-ahead", n, started);
    instance.close();
    Ok(())
}

/// Fills a table with keys that come in no order.
pub(crate) fn random(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let started = Instant::now();
    for start in (0..n).step_by(usize::try_from(FILL)?) {
        database.write(|tx| {
            let mut table = tx.table::<Message>("messages")?;
            let mut rows = start..n.min(start + FILL);
            Ok(rows.try_for_each(|i| table.put(random_key(i), &Message::new(i)))?)
        })?;
    }
    rate(report, "weald-random-keys", n, started);
    instance.close();
    Ok(())
}

fn random_key(i: u64) -> Key {
    let [high, low] = [i, !i].map(|part| scattered(part + 1, u64::MAX));
    Key::Bytes([high.to_be_bytes(), low.to_be_bytes()].concat())
}

#[allow(clippy::cast_precision_loss)]
fn rate(report: &Report, peer: &str, n: u64, started: Instant) {
    report.figure(peer, n, n as f64 / started.elapsed().as_secs_f64(), "rows/s");
}

//! Durable commits: one thread beside raw redb in turns, and many threads that share flushes.

use std::time::Instant;

use anyhow::Result;

use crate::raw::Raw;
use crate::report::{Report, percentile};
use crate::sample;

/// How many commits of one kind are timed before the other has its turn.
const TURN: u64 = 500;
/// How many commits of each kind are timed at the end of a database of the asked size.
const TIMED_MAX: u64 = 10_000;
const THREADS: u64 = 64;

/// Times the last commits on the way to `n` entries, in turns with raw redb at the same size.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn commit(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let mut raw = Raw::create(folder.path())?;
    let timed = n.min(TIMED_MAX);
    sample::fill_entries(&database, n - timed)?;
    raw.fill(n - timed)?;
    let (mut ours, mut theirs, mut ratios) = (0.0, 0.0, Vec::new());
    let mut done = 0;
    while done < timed {
        let turn = TURN.min(timed - done);
        let started = Instant::now();
        for i in 0..turn {
            sample::commit_one(&database, n - timed + done + i)?;
        }
        let our_turn = started.elapsed().as_secs_f64();
        let started = Instant::now();
        for _ in 0..turn {
            raw.commit()?;
        }
        let their_turn = started.elapsed().as_secs_f64();
        ours += our_turn;
        theirs += their_turn;
        ratios.push(their_turn / our_turn);
        done += turn;
    }
    ratios.sort_by(f64::total_cmp);
    report.figure("weald", n, timed as f64 / ours, "commits/s");
    report.figure("redb", n, timed as f64 / theirs, "commits/s");
    report.note(&format!("n={n}: median ratio of turns {:.2}", percentile(&ratios, 0.5)));
    instance.close();
    Ok(())
}

/// Commits from 64 threads, then from one, and prints the waits too.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn parallel(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let alone = (n / THREADS).clamp(100, 5_000);
    let started = Instant::now();
    for i in 0..alone {
        sample::commit_one(&database, i)?;
    }
    let one = alone as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    let share = n.div_ceil(THREADS);
    let mut waits: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let database = &database;
                scope.spawn(move || -> Result<Vec<f64>> {
                    let mut waits = Vec::new();
                    for i in thread * share..(thread + 1) * share {
                        let started = Instant::now();
                        sample::commit_one(database, i)?;
                        waits.push(started.elapsed().as_secs_f64() * 1e3);
                    }
                    Ok(waits)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()?.ok()).flatten().collect()
    });
    let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    report.figure("weald", n, rate, "commits/s");
    report.figure("weald-1-thread", n, one, "commits/s");
    report.figure("weald", n, percentile(&waits, 0.99), "ms");
    report.note(&format!("n={n}: the milliseconds are the 99th percentile of one commit"));
    instance.close();
    Ok(())
}

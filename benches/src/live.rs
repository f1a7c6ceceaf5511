//! From a commit on one instance to the event on the other, over links that are open.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{Filter, Instance};

use crate::raw::Raw;
use crate::report::{Report, percentile};
use crate::sample;

/// How many commits are made before any is timed.
const WARM: u64 = 100;
const WAIT: Duration = Duration::from_secs(60);

/// Times `n` commits one after the other, over each transport.
pub(crate) fn live(report: &Report, n: u64) -> Result<()> {
    over(report, n, "memory")?;
    over(report, n, "http")
}

/// An entry is flushed twice on its way: before it is sent and before it is told of. What that takes is measured
/// in the same run, by raw redb, and printed beside it.
fn over(report: &Report, n: u64, transport: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("here"))?;
    let other = Instance::open(folder.path().join("there"))?;
    let user = other.create_user(sample::USER, None)?;
    let mut raw = Raw::create(folder.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let network = MemoryNetwork::new();
    let joined = runtime.block_on(async {
        let (ours, theirs) = (instance.enable_sync()?, other.enable_sync()?);
        for (sync, name) in [(&ours, "here"), (&theirs, "there")] {
            match transport {
                "memory" => sync.register_transport(transport, network.transport(name)),
                _ => {
                    let http = HttpTransport::builder().bind("127.0.0.1:0").build()?;
                    sync.register_transport(transport, http);
                }
            }
        }
        ours.accept_connections().await?;
        anyhow::Ok(theirs.join(&user, &ours.ticket(&database)).await?)
    })?;
    let mut watch = joined.watch(Filter::all());
    let (mut times, mut flushes) = (Vec::new(), Vec::new());
    for i in 0..WARM + n {
        let started = Instant::now();
        raw.commit()?;
        let flush = started.elapsed().as_secs_f64() * 1e3;
        let started = Instant::now();
        sample::commit_one(&database, i)?;
        watch.recv_timeout(WAIT).context("the event does not come")?;
        let time = started.elapsed().as_secs_f64() * 1e3;
        if i >= WARM {
            times.push(time);
            flushes.push(flush);
        }
    }
    times.sort_by(f64::total_cmp);
    flushes.sort_by(f64::total_cmp);
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let (time, flush) = (percentile(&times, share), percentile(&flushes, share));
        report.figure(&format!("weald-{transport}-{name}"), n, time, "ms");
        report.figure(&format!("redb-{name}"), n, flush, "ms");
        report.figure(&format!("beyond-{transport}-{name}"), n, time - 2.0 * flush, "ms");
    }
    drop((joined, watch, user));
    other.close();
    drop(database);
    instance.close();
    Ok(())
}

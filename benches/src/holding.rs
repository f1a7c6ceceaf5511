//! An instance held open by another process: what it takes in memory while idle, and how it opens
//! again after that process was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process::memory_mb;
use crate::reads::{median, open_and_get};
use crate::report::Report;
use crate::sample;

/// How long the holder does nothing before it says so.
const IDLE: Duration = Duration::from_secs(1);
const KILLS: usize = 5;

/// What a holder says once it has been idle.
#[derive(Serialize, Deserialize)]
struct Held {
    memory_mb: Option<f64>,
}

/// Opens `n` entries in another process and asks what it takes in memory while idle.
pub(crate) fn memory(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weald");
    sample::leave(&path, n)?;
    let (mut child, held) = hold(&path)?;
    child.kill()?;
    child.wait()?;
    report.figure("weald", n, held.memory_mb.context("the system does not tell")?, "MB");
    Ok(())
}

/// Opens `n` entries after the process that had them open was killed, having been idle.
pub(crate) fn crashed(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weald");
    sample::leave(&path, n)?;
    let mut times = Vec::with_capacity(KILLS);
    for _ in 0..KILLS {
        let (mut child, _) = hold(&path)?;
        child.kill()?;
        child.wait()?;
        let started = Instant::now();
        let instance = open_and_get(&path)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        instance.close();
    }
    report.figure("weald-crashed", n, median(times), "ms");
    Ok(())
}

/// Reports the blocks that `n` messages take after compaction, one entry each.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn disk(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weald");
    sample::leave(&path, n)?;
    let file = path.join("weald.redb");
    let before = blocks(&file)?;
    let mut data = redb::Database::open(&file)?;
    while data.compact()? {}
    drop(data);
    report.figure("weald", n, blocks(&file)? as f64 / n as f64, "bytes");
    report.note(&format!("n={n}: {:.0} bytes before compaction", before as f64 / n as f64));
    Ok(())
}

/// Is the other process: opens, writes and reads a little, is idle, says so, and waits.
#[allow(clippy::print_stdout)] // the report is what the parent reads
pub(crate) fn holder(path: &Path) -> Result<()> {
    let instance = open_and_get(path)?;
    sample::commit_one(&sample::reopen(&instance)?, 0)?;
    std::thread::sleep(IDLE);
    println!("{}", serde_json::to_string(&Held { memory_mb: memory_mb() })?);
    // Until the parent kills this process, or ends.
    std::io::stdin().lines().next();
    Ok(())
}

fn hold(path: &Path) -> Result<(Child, Held)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["holder", "--data"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the holding process")?;
    let output = child.stdout.take().context("the holding process has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok((child, serde_json::from_str(&line)?))
}

#[cfg(unix)]
fn blocks(file: &Path) -> Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(file)?) * 512)
}

#[cfg(not(unix))]
fn blocks(file: &Path) -> Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}

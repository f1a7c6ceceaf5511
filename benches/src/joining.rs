//! Joining from another process, over HTTP on loopback: both sides do all their work for real.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{Database, Instance, Ticket};

use crate::pairs::{copy, prepared};
use crate::process::{cpu_seconds, forget_peak_memory, peak_memory_mb};
use crate::report::Report;
use crate::sample;

/// What a joiner says when it holds everything.
#[derive(Serialize, Deserialize)]
pub(crate) struct Joined {
    pub(crate) entries: u64,
    pub(crate) tips: usize,
    pub(crate) digest: String,
    pub(crate) seconds: f64,
    pub(crate) peak_memory_mb: Option<f64>,
    pub(crate) cpu_seconds: Option<f64>,
}

/// Times how another process joins a database of `n` entries over HTTP.
pub(crate) fn over_http(report: &Report, n: u64) -> Result<()> {
    let kept = prepared(n)?;
    let folder = tempfile::tempdir()?;
    copy(&kept.join("here"), &folder.path().join("here"))?;
    let (instance, database) = sample::open(&folder.path().join("here"))?;
    forget_peak_memory();
    let before = cpu_seconds();
    let joined = serve(&instance, &database, &folder.path().join("joiner"))?;
    let served = cpu_seconds().zip(before).map(|(after, before)| after - before);
    if joined.digest != digest(&database)? {
        bail!("the joiner folded another state");
    }
    rate(report, "weald", &joined, n);
    memory(report, "weald-joiner", n, joined.peak_memory_mb);
    memory(report, "weald-server", n, peak_memory_mb());
    cpu(report, "weald-joiner", &joined, n, joined.cpu_seconds);
    cpu(report, "weald-server", &joined, n, served);
    instance.close();
    Ok(())
}

/// Times how another instance of this process joins a database of `n` entries over the memory transport.
pub(crate) fn over_memory(report: &Report, n: u64) -> Result<()> {
    let kept = prepared(n)?;
    let folder = tempfile::tempdir()?;
    copy(&kept.join("here"), &folder.path().join("here"))?;
    let (instance, database) = sample::open(&folder.path().join("here"))?;
    let other = Instance::open(folder.path().join("there"))?;
    let user = other.create_user(sample::USER, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let network = MemoryNetwork::new();
    forget_peak_memory();
    let before = cpu_seconds();
    let (joined, seconds) = runtime.block_on(async {
        let (ours, theirs) = (instance.enable_sync()?, other.enable_sync()?);
        ours.register_transport("memory", network.transport("here"));
        ours.accept_connections().await?;
        theirs.register_transport("memory", network.transport("there"));
        let ticket = ours.ticket(&database);
        let started = Instant::now();
        let joined = theirs.join(&user, &ticket).await?;
        anyhow::Ok((joined, started.elapsed().as_secs_f64()))
    })?;
    let cpu_seconds = cpu_seconds().zip(before).map(|(after, before)| after - before);
    let joined = joined_now(&joined, seconds, cpu_seconds)?;
    if joined.digest != digest(&database)? {
        bail!("the joiner folded another state");
    }
    rate(report, "weald-memory", &joined, n);
    memory(report, "weald-memory-both", n, joined.peak_memory_mb);
    cpu(report, "weald-memory-both", &joined, n, cpu_seconds);
    drop(user);
    other.close();
    instance.close();
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn rate(report: &Report, peer: &str, joined: &Joined, n: u64) {
    report.figure(peer, n, joined.entries as f64 / joined.seconds, "entries/s");
}

fn memory(report: &Report, peer: &str, n: u64, peak: Option<f64>) {
    peak.into_iter().for_each(|peak| report.figure(peer, n, peak, "MB"));
}

/// Prints the processor time for each entry, which says more than the rate does on a machine that is busy.
#[allow(clippy::cast_precision_loss)]
fn cpu(report: &Report, peer: &str, joined: &Joined, n: u64, seconds: Option<f64>) {
    if let Some(seconds) = seconds {
        report.figure(peer, n, seconds * 1e6 / joined.entries as f64, "µs");
    }
}

/// Returns the state digest as text.
pub(crate) fn digest(database: &Database) -> Result<String> {
    Ok(database.state_digest()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Serves a database to a process that joins it, and returns what that process says.
pub(crate) fn serve(instance: &Instance, database: &Database, data: &Path) -> Result<Joined> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ticket = runtime.block_on(async {
        let sync = instance.enable_sync()?;
        let transport = HttpTransport::builder().bind("127.0.0.1:0").build()?;
        sync.register_transport("http", transport);
        sync.accept_connections().await?;
        anyhow::Ok(sync.ticket(database))
    })?;
    let output = Command::new(std::env::current_exe()?)
        .args(["joiner", "--ticket", &ticket.to_string(), "--data"])
        .arg(data)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the joining process")?;
    if !output.status.success() {
        bail!("the joining process failed: {}", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Is the other process: joins, reports on standard output, ends.
#[allow(clippy::print_stdout)] // the report is what the parent reads
pub(crate) fn join(ticket: &str, data: &Path) -> Result<()> {
    let ticket: Ticket = ticket.parse()?;
    let instance = Instance::open(data)?;
    let user = instance.create_user("joiner", None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (started, before) = (Instant::now(), cpu_seconds());
    let database = runtime.block_on(async {
        let sync = instance.enable_sync()?;
        sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0").build()?);
        anyhow::Ok(sync.join(&user, &ticket).await?)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds().zip(before).map(|(after, before)| after - before);
    let joined = joined_now(&database, seconds, cpu_seconds)?;
    println!("{}", serde_json::to_string(&joined)?);
    instance.close();
    Ok(())
}

fn joined_now(database: &Database, seconds: f64, cpu_seconds: Option<f64>) -> Result<Joined> {
    // Before the state is read for its digest, which takes memory of its own.
    let peak_memory_mb = peak_memory_mb();
    Ok(Joined {
        entries: database.entry_count()?,
        tips: database.tips()?.len(),
        digest: digest(database)?,
        seconds,
        peak_memory_mb,
        cpu_seconds,
    })
}

//! Joining from another process, over HTTP on loopback: both sides do all their work for real.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use weald::transport::http::HttpTransport;
use weald::{Database, Instance, Ticket};

use crate::process::peak_memory_mb;
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
}

/// Makes a database of `n` entries and times how another process joins it.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn bootstrap(report: &Report, n: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    sample::fill_entries(&database, n)?;
    let joined = serve(&instance, &database, &folder.path().join("joiner"))?;
    if joined.digest != digest(&database)? {
        bail!("the joiner folded another state");
    }
    report.figure("weald", n, joined.entries as f64 / joined.seconds, "entries/s");
    if let Some(peak) = joined.peak_memory_mb {
        report.figure("weald-joiner", n, peak, "MB");
    }
    if let Some(peak) = peak_memory_mb() {
        report.figure("weald-server", n, peak, "MB");
    }
    instance.close();
    Ok(())
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
    let started = Instant::now();
    let database = runtime.block_on(async {
        let sync = instance.enable_sync()?;
        sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0").build()?);
        anyhow::Ok(sync.join(&user, &ticket).await?)
    })?;
    let joined = Joined {
        seconds: started.elapsed().as_secs_f64(),
        entries: database.entry_count()?,
        tips: database.tips()?.len(),
        digest: digest(&database)?,
        peak_memory_mb: peak_memory_mb(),
    };
    println!("{}", serde_json::to_string(&joined)?);
    instance.close();
    Ok(())
}

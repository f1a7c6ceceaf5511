//! Two instances that hold the same, ready to be linked; prepared once for each size and kept for later runs.
//!
//! Invariant: what is measured runs on copies, so that what is kept stays as it was prepared.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use weald::transport::memory::MemoryNetwork;
use weald::{Database, DatabaseId, DatabaseStatus, Instance, PeerSync, PublicKey};

use crate::sample;
use crate::wires::{Tally, Traffic, Wires};

/// Where one listens and the other dials.
const ADDRESS: &str = "memory:here";
/// How long nothing goes over a link before it counts as quiet.
const QUIET: Duration = Duration::from_millis(300);
/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// An instance with its database.
pub(crate) struct Side {
    pub(crate) instance: Instance,
    pub(crate) database: Database,
    pub(crate) sync: PeerSync,
}

/// Two instances that hold the same database, and the wires between them.
pub(crate) struct Pair {
    pub(crate) here: Side,
    pub(crate) there: Side,
    pub(crate) id: DatabaseId,
    runtime: Runtime,
    tally: Arc<Tally>,
    _folder: TempDir,
}

/// What a piece of work took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) ms: f64,
    pub(crate) traffic: Traffic,
    /// How many round trips the last round took, as the side says that counted more.
    pub(crate) round_trips: u32,
    /// How the last round found what differed.
    pub(crate) method: String,
    /// How many rounds have ended on the link so far.
    pub(crate) rounds: u64,
}

impl Pair {
    /// Opens a pair that holds `n` entries; each frame between them takes `delay` each way.
    pub(crate) fn of_size(n: u64, delay: Duration) -> Result<Self> {
        let kept = prepared(n)?;
        let folder = tempfile::tempdir()?;
        for side in ["here", "there"] {
            copy(&kept.join(side), &folder.path().join(side))?;
        }
        let here = sample::open(&folder.path().join("here"))?;
        let there = sample::open(&folder.path().join("there"))?;
        Self::link(here, there, folder, delay)
    }

    /// Puts wires between two instances, without dialling.
    pub(crate) fn link(
        here: (Instance, Database),
        there: (Instance, Database),
        folder: TempDir,
        delay: Duration,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let tally = Arc::<Tally>::default();
        let network = MemoryNetwork::new();
        let _guard = runtime.enter();
        let side = |(instance, database): (Instance, Database)| {
            let sync = instance.enable_sync()?;
            anyhow::Ok(Side { instance, database, sync })
        };
        let (here, there) = (side(here)?, side(there)?);
        here.sync.register_transport("memory", network.transport("here"));
        runtime.block_on(here.sync.accept_connections())?;
        let wires = Wires::new(network.transport("there"), Arc::clone(&tally), delay);
        there.sync.register_transport("memory", wires);
        let id = here.database.id();
        drop(_guard);
        Ok(Self { here, there, id, runtime, tally, _folder: folder })
    }

    /// Dials and proves both ways, and nothing else.
    pub(crate) fn connect(&self) -> Result<Cost> {
        self.cost(|| {
            self.runtime.block_on(self.there.sync.connect_to_peer(ADDRESS))?;
            Ok(())
        })
    }

    /// Syncs until both hold the same.
    pub(crate) fn sync(&self) -> Result<Cost> {
        self.cost(|| {
            let synced = self.there.sync.sync_with_peer(ADDRESS, Some(self.id));
            self.runtime.block_on(synced)?;
            Ok(())
        })
    }

    /// Says what some work and all that follows from it costs; the time is that of the work alone.
    pub(crate) fn cost(&self, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
        self.wait_until_quiet()?;
        let before = self.tally.read();
        let started = Instant::now();
        work()?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        self.wait_until_quiet()?;
        let after = self.tally.read();
        let traffic =
            Traffic { frames: after.frames - before.frames, bytes: after.bytes - before.bytes };
        let cost = Cost { ms, traffic, ..Cost::default() };
        Ok(self.statuses().fold(cost, |cost, session| {
            let method = format!("{:?}", session.method);
            let round_trips = cost.round_trips.max(session.round_trips);
            Cost { round_trips, method, rounds: cost.rounds.max(session.rounds), ..cost }
        }))
    }

    /// Returns what both sides say of the database.
    fn statuses(&self) -> impl Iterator<Item = DatabaseStatus> {
        let of = |side: &Side, peer: PublicKey| {
            side.sync.status(&self.id).remove(&peer).and_then(|status| status.session)
        };
        let (here, there) = (self.here.instance.device_key(), self.there.instance.device_key());
        [of(&self.here, there), of(&self.there, here)].into_iter().flatten()
    }

    fn wait_until_quiet(&self) -> Result<()> {
        let (started, mut last, mut since) = (Instant::now(), self.tally.read(), Instant::now());
        while since.elapsed() < QUIET {
            if started.elapsed() > PATIENCE {
                bail!("the link does not become quiet");
            }
            std::thread::sleep(Duration::from_millis(10));
            let now = self.tally.read();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Fails unless both hold the same entries.
    pub(crate) fn check_equal(&self) -> Result<()> {
        let (ours, theirs) = (&self.here.database, &self.there.database);
        if ours.entry_count()? != theirs.entry_count()? || ours.tips()? != theirs.tips()? {
            bail!("the two do not hold the same");
        }
        Ok(())
    }

    /// Closes both.
    pub(crate) fn close(self) {
        let Self { here, there, runtime, .. } = self;
        for Side { instance, database, sync } in [here, there] {
            drop((database, sync));
            instance.close();
        }
        drop(runtime);
    }
}

/// Returns the folder of a pair of this size, after preparing it if it is not there.
pub(crate) fn prepared(n: u64) -> Result<PathBuf> {
    let kept = std::env::temp_dir().join(format!("weald-bench-prepared/{n}"));
    if kept.is_dir() {
        match is_usable(&kept) {
            Ok(()) => return Ok(kept),
            // Such as after the format of rows has changed.
            Err(_) => fs::remove_dir_all(&kept)?,
        }
    }
    let parent = kept.parent().context("a folder has a parent")?;
    fs::create_dir_all(parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    prepare(folder.path(), n)?;
    fs::rename(folder.keep(), &kept)?;
    Ok(kept)
}

fn is_usable(kept: &Path) -> Result<()> {
    for side in ["here", "there"] {
        let copied = tempfile::tempdir()?;
        copy(&kept.join(side), copied.path())?;
        let (instance, database) = sample::open(copied.path())?;
        drop(database);
        instance.close();
    }
    Ok(())
}

/// Makes `n` messages of one entry each by real commits, and a second instance that has fetched them.
fn prepare(folder: &Path, n: u64) -> Result<()> {
    let (path, here) = (folder.join("here"), sample::database(&folder.join("here"))?);
    sample::fill_entries(&here.1, n)?;
    here.0.close();
    drop(here);
    let (instance, database) = sample::open(&path)?;
    let other = Instance::open(folder.join("there"))?;
    let user = other.create_user(sample::USER, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let network = MemoryNetwork::new();
    runtime.block_on(async {
        let (ours, theirs) = (instance.enable_sync()?, other.enable_sync()?);
        ours.register_transport("memory", network.transport("here"));
        ours.accept_connections().await?;
        theirs.register_transport("memory", network.transport("there"));
        theirs.join(&user, &ours.ticket(&database)).await?;
        // Nothing is to be dialled by itself when these are opened again.
        for (side, peer) in [(&theirs, instance.device_key()), (&ours, other.device_key())] {
            side.drop_relation(peer, database.id());
            let started = Instant::now();
            while side.peer(&peer).is_some_and(|peer| !peer.record.databases.is_empty()) {
                if started.elapsed() > PATIENCE {
                    bail!("the relation is not dropped");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        anyhow::Ok(())
    })?;
    drop(database);
    other.close();
    instance.close();
    Ok(())
}

/// Copies the files of a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for item in fs::read_dir(from)? {
        let item = item?;
        fs::copy(item.path(), to.join(item.file_name()))?;
    }
    Ok(())
}

//! Twenty instances that all write, in a ring, a star and a random mesh: how much comes twice, and how long it takes.
//!
//! Invariant: what is counted is what the sessions count, once all instances hold the same.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weald::transport::memory::MemoryNetwork;
use weald::{Database, Filter, Instance};
use weald_dag::Randomness;

use crate::report::Report;
use crate::sample;

const INSTANCES: usize = 20;
/// How many instances that are there before each further one dials in the random mesh, at most.
const DIALS: usize = 2;
/// The pause between two commits, of any two instances.
const PAUSE: Duration = Duration::from_millis(5);
const WAIT: Duration = Duration::from_secs(120);

/// Has every instance make `n` commits, one after the other in turn.
pub(crate) fn mesh(report: &Report, n: u64) -> Result<()> {
    let line = (1..INSTANCES).map(|at| (at - 1, at));
    run(report, n, "weald-ring", &line.chain([(0, INSTANCES - 1)]).collect::<Vec<_>>())?;
    run(report, n, "weald-star", &(1..INSTANCES).map(|at| (0, at)).collect::<Vec<_>>())?;
    let mut chance = Randomness::from_seed([9; 32]);
    let mut edges = BTreeSet::new();
    for at in 1..INSTANCES {
        for _ in 0..DIALS {
            edges.insert((usize::from(chance.bytes::<1>()[0]) % at, at));
        }
    }
    run(report, n, "weald-mesh", &edges.into_iter().collect::<Vec<_>>())
}

fn run(report: &Report, n: u64, peer: &str, edges: &[(usize, usize)]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (instances, databases) = runtime.block_on(join(edges))?;
    let started = Instant::now();
    for i in 0..n {
        for database in &databases {
            sample::commit_one(database, i)?;
            std::thread::sleep(PAUSE);
        }
    }
    let made = INSTANCES as u64 * n;
    let written = Instant::now();
    for database in &databases {
        let mut watch = database.watch(Filter::all());
        while count(database)? < made {
            ensure!(started.elapsed() < WAIT, "the instances do not come to hold the same");
            // Where the last one came before the watch was there, no event follows.
            let _ = watch.recv_timeout(PAUSE);
        }
    }
    report.figure(peer, n, written.elapsed().as_secs_f64() * 1e3, "ms after the last commit");
    let (came, again) = received(&instances, &databases);
    report.figure(peer, n, came as f64, "entries received");
    report.figure(peer, n, again as f64 * 100.0 / came.max(1) as f64, "% received again");
    instances.iter().for_each(Instance::close);
    Ok(())
}

/// Makes the instances, of which the second of each edge dials the first, and lets all of them join.
async fn join(edges: &[(usize, usize)]) -> Result<(Vec<Instance>, Vec<Database>)> {
    let network = MemoryNetwork::new();
    let (mut instances, mut databases): (Vec<Instance>, Vec<Database>) = Default::default();
    for at in 0..INSTANCES {
        let instance = Instance::in_memory()?;
        let sync = instance.enable_sync()?;
        sync.register_transport("memory", network.transport(&at.to_string()));
        sync.accept_connections().await?;
        let before = edges.iter().filter(|(_, from)| *from == at).map(|(to, _)| *to);
        if let Some(first) = databases.first().map(Database::id) {
            let user = instance.create_user(sample::USER, None)?;
            for to in before {
                sync.sync_with_peer(format!("memory:{to}"), Some(first)).await?;
            }
            databases.push(user.open_database(&first)?);
        } else {
            databases.push(sample::room(&instance)?);
        }
        instances.push(instance);
    }
    Ok((instances, databases))
}

/// Returns how many commits of the run an instance holds; its root is not one of them.
fn count(database: &Database) -> Result<u64> {
    Ok(database.entry_count()?.saturating_sub(1))
}

/// Returns how many entries the open sessions have received, and how many of them were held already.
fn received(instances: &[Instance], databases: &[Database]) -> (u64, u64) {
    let mut sum = (0, 0);
    for (instance, database) in instances.iter().zip(databases) {
        let peers = instance.sync().map(|sync| sync.list_peers()).unwrap_or_default();
        let statuses = peers.iter().filter_map(|peer| peer.databases.get(&database.id()));
        for session in statuses.filter_map(|status| status.session.as_ref()) {
            sum.0 += session.cost.entries_in;
            sum.1 += session.duplicates_in;
        }
    }
    sum
}

//! `weald-bench`: what Weald costs, beside raw redb in the same run.
//!
//! Every figure is one line: case, peer, n, value, unit. Nothing here asserts a time; a person or a
//! bar compares. Raw rates depend on the disk, so compare ratios of one run.

mod commit;
mod differences;
mod filling;
mod folding;
mod halves;
mod history;
mod holding;
mod joining;
mod live;
mod meeting;
mod mesh;
mod pairs;
mod process;
mod raw;
mod reads;
mod replay;
mod report;
mod sample;
mod text;
mod trace;
mod wires;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::report::Report;

/// Measures Weald, one JSON object or line for each figure.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    case: Case,
}

/// What the cases share.
#[derive(Args)]
struct Common {
    /// Only this size; without it the case runs its whole range.
    #[arg(long)]
    n: Option<u64>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Case {
    /// Durable commits on one thread, one 100-byte message each; beside raw redb.
    Commit(Common),
    /// The same from 64 threads that share flushes.
    CommitParallel(Common),
    /// Rows under generated keys, 1,000 a transaction; beside raw redb.
    Bulk {
        /// Keys that come in no order.
        #[arg(long)]
        random_keys: bool,
        #[command(flatten)]
        common: Common,
    },
    /// One row by key, warm; beside raw redb.
    Get(Common),
    /// The last 50 items of a log, warm.
    Tail(Common),
    /// Opening from disk, then one read.
    Open {
        /// After the process that had it open was killed, having been idle for a second.
        #[arg(long)]
        crashed: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Committing one operation as its store grows, without waiting for the disk.
    Fold(Common),
    /// Resident memory of a process that has an instance open and is idle.
    Memory(Common),
    /// Bytes on disk for each message, after compaction.
    Disk(Common),
    /// All entries to an empty instance: over loopback HTTP in another process, or over memory in this one.
    Bootstrap {
        /// Only over this transport.
        #[arg(long)]
        transport: Option<Over>,
        #[command(flatten)]
        common: Common,
    },
    /// One new entry where both sides hold the rest.
    Incremental(Common),
    /// 1,000 new entries on each side of a shared history.
    Diverged(Common),
    /// 500 old leaves that one side lacks and 500 that the other does.
    Scattered(Common),
    /// The same over a link on which each frame takes 50 ms each way.
    Delay(Common),
    /// From a commit on one instance to the event on the other, over open links; beside raw redb.
    Live(Common),
    /// Twenty instances in a ring, a star and a random mesh, each writing: what comes twice.
    Mesh(Common),
    /// A real history as entries of many authors, then synced to another process.
    Replay {
        /// A commit graph: one JSON array a line (see the guide); generated when left out.
        #[arg(long)]
        dag: Option<PathBuf>,
        /// Prints how many entries are reachable from line A and not from line B.
        #[arg(long, num_args = 2, value_names = ["A", "B"])]
        difference: Option<Vec<usize>>,
        /// Two instances hold different halves that overlap, and sync.
        #[arg(long)]
        halves: bool,
        #[command(flatten)]
        common: Common,
    },
    /// A text typed key by key, a hundred edits an entry; beside raw Loro.
    Text(Common),
    /// An editing trace of either form (see the guide), with its real concurrency.
    Trace {
        /// The trace, compressed by gzip or not; generated when left out.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Joins a database and reports what came; started by `bootstrap` and `replay`.
    #[command(hide = true)]
    Joiner {
        #[arg(long)]
        ticket: String,
        #[arg(long)]
        data: PathBuf,
    },
    /// Holds an instance open until it is killed; started by `memory` and `open --crashed`.
    #[command(hide = true)]
    Holder {
        #[arg(long)]
        data: PathBuf,
    },
}

/// A transport to measure.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    Http,
    Memory,
}

/// The sizes that a case runs through.
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Measures a case at one size.
type Run = fn(&Report, u64) -> Result<()>;

/// What measures joining over which transport.
const BOOTSTRAPS: [(Over, Run); 2] =
    [(Over::Http, joining::over_http), (Over::Memory, joining::over_memory)];

fn main() -> Result<()> {
    match Cli::parse().case {
        Case::Commit(common) => sizes(&common, &SIZES, "commit", commit::commit),
        Case::CommitParallel(common) => {
            sizes(&common, &[10_000, 100_000], "commit-parallel", commit::parallel)
        }
        Case::Get(common) => sizes(&common, &SIZES, "get", reads::get),
        Case::Tail(common) => sizes(&common, &[1_000, 100_000, 1_000_000], "tail", reads::tail),
        Case::Open { crashed, common } => {
            sizes(&common, &SIZES, "open", if crashed { holding::crashed } else { reads::open })
        }
        Case::Bulk { random_keys, common } => {
            let run = if random_keys { filling::random } else { filling::generated };
            sizes(&common, &[1_000_000], "bulk", run)
        }
        Case::Fold(common) => sizes(&common, &SIZES, "fold", folding::fold),
        Case::Memory(common) => sizes(&common, &[1_000_000], "memory", holding::memory),
        Case::Disk(common) => sizes(&common, &[100_000], "disk", holding::disk),
        Case::Bootstrap { transport, common } => {
            for (over, run) in BOOTSTRAPS {
                if transport.is_none_or(|only| only == over) {
                    sizes(&common, &[10_000, 100_000, 1_000_000], "bootstrap", run)?;
                }
            }
            Ok(())
        }
        Case::Incremental(common) => {
            sizes(&common, &SIZES, "incremental", differences::incremental)
        }
        Case::Diverged(common) => sizes(&common, &SIZES, "diverged", differences::diverged),
        Case::Scattered(common) => sizes(&common, &SIZES, "scattered", differences::scattered),
        Case::Delay(common) => sizes(&common, &[10_000], "delay", differences::delay),
        Case::Mesh(common) => sizes(&common, &[20], "mesh", mesh::mesh),
        Case::Live(common) => sizes(&common, &[1_000], "live", live::live),
        Case::Replay { dag, difference, halves, common } => {
            let report = Report::new("replay", common.json);
            replay::replay(&report, dag.as_deref(), difference.as_deref(), common.n, halves)
        }
        Case::Text(common) => text::text(&Report::new("text", common.json)),
        Case::Trace { file, json } => text::trace(&Report::new("trace", json), file.as_deref()),
        Case::Joiner { ticket, data } => joining::join(&ticket, &data),
        Case::Holder { data } => holding::holder(&data),
    }
}

fn sizes(common: &Common, range: &[u64], case: &'static str, run: Run) -> Result<()> {
    let report = Report::new(case, common.json);
    match common.n {
        Some(n) => run(&report, n),
        None => range.iter().try_for_each(|n| run(&report, *n)),
    }
}

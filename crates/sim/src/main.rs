//! Runs worlds from the command line: `weald-sim --seeds N [--from S] [--jobs J]`, `weald-sim --seed S --trace`.
//!
//! Invariant: the exit code is 0 only if no world was found to do anything wrong.
// The program's whole purpose is to print what it found.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use weald_sim::{Counts, Outcome, Plan, run};

const USAGE: &str = "usage: weald-sim [--seeds COUNT] [--from FIRST] [--jobs JOBS]
       weald-sim --seed SEED [--trace]
  --seeds COUNT  how many worlds to run (default 1)
  --from FIRST   the seed of the first (default 0)
  --seed SEED    the same, for the one world that is looked at
  --jobs JOBS    how many worlds run side by side (default 1)
  --trace        print what happens, line by line; of one world at a time";
/// How many worlds pass between two lines of progress.
const PROGRESS: u64 = 500;

struct Request {
    first: u64,
    count: u64,
    jobs: u64,
    trace: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let mut request = Request { first: 0, count: 1, jobs: 1, trace: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seeds" => request.count = arguments.next()?.parse().ok()?,
            "--seed" | "--from" => request.first = arguments.next()?.parse().ok()?,
            "--jobs" => request.jobs = arguments.next()?.parse().ok()?,
            "--trace" => request.trace = true,
            _ => return None,
        }
    }
    let jobs = if request.trace { 1 } else { request.jobs.max(1) };
    Some(Request { jobs, ..request })
}

/// What came of the worlds that have ended.
#[derive(Default)]
struct Tally {
    ended: u64,
    failed: u64,
    sum: Counts,
}

fn main() -> ExitCode {
    let Some(request) = parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        for _ in 0..request.jobs {
            scope.spawn(|| work(&request, &next, &tally));
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} worlds from seed {}, {} failed", tally.ended, request.first, tally.failed);
    println!("{:?}", tally.sum);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the next world until there is none.
fn work(request: &Request, next: &AtomicU64, tally: &Mutex<Tally>) {
    loop {
        let done = next.fetch_add(1, Ordering::Relaxed);
        if done >= request.count {
            return;
        }
        let seed = request.first.wrapping_add(done);
        let ended = catch_unwind(AssertUnwindSafe(|| run(Plan::from_seed(seed), request.trace)));
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.ended += 1;
        match ended {
            Ok(outcome) => {
                outcome.trace.lines().iter().for_each(|line| println!("{line}"));
                tally.failed += u64::from(report(seed, &outcome));
                tally.sum.add(&outcome.counts);
            }
            Err(_) => {
                println!("seed {seed} panicked");
                tally.failed += 1;
            }
        }
        if tally.ended.is_multiple_of(PROGRESS) {
            println!("{} worlds, {} failed", tally.ended, tally.failed);
        }
    }
}

/// Prints what was found, and returns whether there was anything.
fn report(seed: u64, outcome: &Outcome) -> bool {
    let Some(finding) = &outcome.finding else { return false };
    println!("seed {seed} failed after {} virtual ms: {finding}", outcome.ended_ms);
    println!("  see what happened: weald-sim --seed {seed} --trace");
    true
}

//! Runs worlds from the command line: `weald-sim --seeds N [--seed S] [--trace]`.
//!
//! Invariant: the exit code is 0 only if no world was found to do anything wrong.
// The program's whole purpose is to print what it found.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::process::ExitCode;

use weald_sim::{Counts, Outcome, Plan, run};

const USAGE: &str = "usage: weald-sim [--seeds COUNT] [--seed FIRST] [--trace]
  --seeds COUNT  how many worlds to run (default 1)
  --seed FIRST   the seed of the first (default 0)
  --trace        print what happens, line by line";
/// How many worlds pass between two lines of progress.
const PROGRESS: u64 = 500;

struct Request {
    first: u64,
    count: u64,
    trace: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let mut request = Request { first: 0, count: 1, trace: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seeds" => request.count = arguments.next()?.parse().ok()?,
            "--seed" => request.first = arguments.next()?.parse().ok()?,
            "--trace" => request.trace = true,
            _ => return None,
        }
    }
    Some(request)
}

fn main() -> ExitCode {
    let Some(request) = parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut failed, mut sum) = (0u64, Counts::default());
    for seed in request.first..request.first.saturating_add(request.count) {
        let outcome = run(Plan::from_seed(seed), request.trace);
        outcome.trace.lines().iter().for_each(|line| println!("{line}"));
        failed += u64::from(report(seed, &outcome));
        sum.add(&outcome.counts);
        if (seed - request.first + 1).is_multiple_of(PROGRESS) {
            println!("{} worlds, {failed} failed", seed - request.first + 1);
        }
    }
    println!("{} worlds from seed {}, {failed} failed", request.count, request.first);
    println!("{sum:?}");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what was found, and returns whether there was anything.
fn report(seed: u64, outcome: &Outcome) -> bool {
    let Some(finding) = &outcome.finding else { return false };
    println!("seed {seed} failed after {} virtual ms: {finding}", outcome.ended_ms);
    println!("  see what happened: weald-sim --seed {seed} --trace");
    true
}

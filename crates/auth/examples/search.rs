//! Compares random graphs with the oracle, more than the tests do.
//!
//! usage: `cargo run --release -p weald-auth --example search -- --seeds N [--first S] [--entries N]`
//!
//! A seed that differs ends it, by a panic that names the seed; keep it as a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]
// What only the tests need of these is not used here.
#[path = "../tests/authority/compare.rs"]
mod compare;
#[path = "../tests/authority/graph.rs"]
mod graph;
#[allow(dead_code)]
#[path = "../tests/authority/oracle.rs"]
mod oracle;
#[path = "../tests/authority/random.rs"]
mod random;
#[allow(dead_code)]
#[path = "../tests/authority/replica.rs"]
mod replica;

use compare::{Compared, Effort, compare};

/// How many seeds there are between two lines of progress.
const PROGRESS: u64 = 50_000;

fn option(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map(|value| value.parse().expect("options are followed by numbers"))
}

fn main() {
    let (seeds, first) = (option("--seeds").unwrap_or(10_000), option("--first").unwrap_or(0));
    let entries_max = option("--entries").unwrap_or(14) as usize;
    let mut all = Compared::default();
    for (done, seed) in (1..=seeds).zip(first..) {
        let compared = compare(seed, Effort { entries_max, doors: 1 });
        all.entries += compared.entries;
        all.hidden += compared.hidden;
        all.moved += compared.moved;
        if done % PROGRESS == 0 || done == seeds {
            let Compared { entries, hidden, moved } = all;
            println!("{done} graphs agree: {entries} entries, {hidden} hidden, {moved} moves");
        }
    }
}

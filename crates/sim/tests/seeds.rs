//! Worlds drawn from seeds: whatever goes wrong, all sites hold the same in the end.
#![allow(clippy::panic)]

use weald_sim::{Counts, Plan, run};

/// Runs worlds and fails with every seed that found something.
fn all_converge(seeds: std::ops::Range<u64>) {
    let (mut failures, mut sum) = (Vec::new(), Counts::default());
    for seed in seeds {
        let outcome = run(Plan::from_seed(seed), false);
        if let Some(finding) = outcome.finding {
            failures.push(format!("seed {seed}: {finding}"));
        }
        sum.add(&outcome.counts);
    }
    // Worlds in which nothing happens would show nothing.
    assert!(sum.commits > 0 && sum.faults > 0 && sum.received > 0, "{sum:?}");
    // Which of the two is met depends on little things; a scenario forces each.
    assert!(sum.by_filter > 0 && sum.by_symbols + sum.by_pages > 0, "{sum:?}");
    assert!(sum.held_back > 0 && sum.refused > 0 && sum.restored > 0, "{sum:?}");
    assert!(
        failures.is_empty(),
        "{}\nsee what happened: cargo run -p weald-sim -- --seed SEED --trace",
        failures.join("\n")
    );
}

// Several tests, so that they run side by side.
#[test]
fn seeds_0_to_100_converge() {
    all_converge(0..100);
}

#[test]
fn seeds_100_to_200_converge() {
    all_converge(100..200);
}

#[test]
fn seeds_200_to_300_converge() {
    all_converge(200..300);
}

#[test]
fn seeds_300_to_400_converge() {
    all_converge(300..400);
}

#[test]
fn seeds_400_to_500_converge() {
    all_converge(400..500);
}

#[test]
fn a_seed_gives_the_same_trace_again_and_another_seed_another() {
    for seed in 0..8 {
        let (first, again) = (run(Plan::from_seed(seed), true), run(Plan::from_seed(seed), false));
        assert_eq!(first.trace.hash(), again.trace.hash(), "seed {seed}");
        assert_eq!(first.counts, again.counts, "seed {seed}");
        assert!(first.trace.lines().len() > 10 && again.trace.lines().is_empty());
        let other = run(Plan::from_seed(seed + 1), false);
        assert_ne!(first.trace.hash(), other.trace.hash(), "seed {seed}");
    }
}

//! Worlds of one kind each, so that every kind of trouble is met for certain.
#![allow(clippy::panic)]

use weald_sim::{Counts, Faults, Lie, Plan, Topology, WrongClock, run};

const NONE: Faults = Faults::NONE;

/// Runs a kind of world with several seeds and returns what was counted.
fn converges(name: &str, plan: impl Fn(u64) -> Plan) -> Counts {
    let mut sum = Counts::default();
    for seed in 0..5 {
        let outcome = run(plan(seed), true);
        if let Some(finding) = outcome.finding {
            let lines = outcome.trace.lines();
            let last = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default();
            panic!("{name}, seed {seed}: {finding}\n{}", last.join("\n"));
        }
        sum.add(&outcome.counts);
    }
    sum
}

fn stormy(seed: u64, faults: Faults) -> Plan {
    let plan = Plan { sites: 4, topology: Topology::Ring, commits: 30, ..Plan::calm(seed) };
    Plan { faults, fault_count: 20, storm_ms: 20_000, flush_ms_max: 100, ..plan }
}

#[test]
fn calm_worlds_converge_without_duplicates() {
    let counts = converges("calm", Plan::calm);
    assert_eq!((counts.duplicates, counts.accusations), (0, 0), "{counts:?}");
}

#[test]
fn a_chain_relays_live() {
    let chain = |seed| Plan { sites: 5, commits: 20, ..Plan::calm(seed) };
    let counts = converges("chain", chain);
    assert!(counts.duplicates * 20 < counts.received, "{counts:?}");
    assert_eq!(counts.accusations, 0, "{counts:?}");
}

#[test]
fn cuts_lose_nothing() {
    converges("cuts", |seed| stormy(seed, Faults { cut: 1, ..NONE }));
}

#[test]
fn outages_and_partitions_heal() {
    converges("partitions", |seed| stormy(seed, Faults { outage: 1, partition: 1, ..NONE }));
}

#[test]
fn crashes_lose_nothing_that_was_acknowledged() {
    converges("crashes", |seed| stormy(seed, Faults { crash: 1, ..NONE }));
    let early = |seed| Plan { early_rows: true, ..stormy(seed, Faults { crash: 1, ..NONE }) };
    converges("crashes with rows seen early", early);
}

#[test]
fn tampering_is_noticed_and_survived() {
    let counts = converges("tampering", |seed| stormy(seed, Faults { tampering: 1, ..NONE }));
    assert!(counts.accusations > 0, "{counts:?}");
}

#[test]
fn large_entries_arrive_over_slow_wires() {
    let large = |seed| Plan { large_percent: 60, latency_ms_max: 400, ..Plan::calm(seed) };
    converges("large", large);
}

#[test]
fn clocks_may_be_minutes_apart() {
    let skewed = |seed| Plan { skew_ms: 290_000, ..stormy(seed, Faults { crash: 1, ..NONE }) };
    converges("skew", skewed);
}

#[test]
fn a_private_database_stays_private() {
    let private = |seed| Plan { private: true, ..stormy(seed, Faults { cut: 1, ..NONE }) };
    converges("private", private);
}

#[test]
fn long_histories_that_moved_on_both_sides_meet_in_few_round_trips() {
    let long =
        |seed| Plan { bursts: 6, branches: 40, ..stormy(seed, Faults { partition: 1, ..NONE }) };
    let counts = converges("long", long);
    assert!(counts.round_trips_max <= 8, "{counts:?}");
}

#[test]
fn liars_are_not_believed() {
    for lie in Lie::ALL {
        let liar = |seed| Plan { lie: Some(lie), ..stormy(seed, Faults { cut: 1, ..NONE }) };
        converges(&format!("{lie:?}"), liar);
    }
}

#[test]
fn who_may_do_what_changes_while_syncing() {
    let changing = |seed| Plan { sites: 3, commits: 20, permits: 25, ..Plan::calm(seed) };
    let counts = converges("permits", changing);
    assert!(counts.not_permitted > 0 && counts.hidden > 0 && counts.shut_off > 0, "{counts:?}");
    let faults = Faults { cut: 1, partition: 1, crash: 1, ..NONE };
    let stormy = |seed| Plan { permits: 40, branches: 20, ..stormy(seed, faults) };
    let counts = converges("permits in a storm", stormy);
    assert!(counts.hidden > 0 && counts.shut_off > 0, "{counts:?}");
}

#[test]
fn an_older_copy_of_a_disk_catches_up_and_loses_only_what_nobody_else_held() {
    let faults = Faults { cut: 1, restore: 2, ..NONE };
    let counts = converges("restored", |seed| Plan { bursts: 1, ..stormy(seed, faults) });
    assert!(counts.restored > 10, "{counts:?}");
    let permits = |seed| Plan { permits: 25, ..stormy(seed, faults) };
    converges("restored with permissions", permits);
}

#[test]
fn what_a_clock_ahead_has_written_is_held_back_and_comes() {
    for is_mended in [true, false] {
        let clock = Some(WrongClock { ahead_ms: 1_200_000, is_mended });
        let ahead = |seed| {
            let plan = Plan { sites: 3, rounds_every_ms: Some(30_000), ..Plan::calm(seed) };
            Plan { clock, commits: 25, ..plan }
        };
        let counts = converges("a clock ahead", ahead);
        assert!(counts.held_back > 0, "{counts:?}");
    }
}

#[test]
fn a_clock_years_behind_keeps_nothing_from_coming_once_it_is_right() {
    let clock = Some(WrongClock { ahead_ms: -200_000_000_000, is_mended: true });
    let behind = |seed| Plan { clock, sites: 3, rounds_every_ms: Some(10_000), ..Plan::calm(seed) };
    let counts = converges("a clock behind", behind);
    assert!(counts.held_back > 0, "{counts:?}");
}

#[test]
fn sites_that_keep_little_of_what_is_hidden_hold_the_same_in_the_end() {
    let faults = Faults { partition: 2, cut: 1, ..NONE };
    let little = |seed| {
        let plan = Plan { permits: 30, branches: 40, ..stormy(seed, faults) };
        Plan { keeps_little: true, prunes: 5, rounds_every_ms: Some(5_000), ..plan }
    };
    let counts = converges("keeping little", little);
    assert!(counts.pruned > 0, "{counts:?}");
}

#[test]
fn liars_are_not_believed_where_not_everybody_may_write() {
    for lie in Lie::ALL {
        let liar = |seed| {
            let plan = stormy(seed, Faults { cut: 1, crash: 1, ..NONE });
            Plan { lie: Some(lie), permits: 10, ..plan }
        };
        let counts = converges(&format!("{lie:?}"), liar);
        assert!(lie != Lie::Stranger || counts.refused > 0, "{counts:?}");
    }
}

#[test]
fn every_way_of_finding_the_difference_is_gone_and_ends_with_the_same_entries() {
    let apart = |seed| {
        let faults = Faults { partition: 1, ..NONE };
        let plan = Plan { bursts: 4, branches: 40, ..stormy(seed, faults) };
        Plan { topology: Topology::Mesh, fault_count: 8, sent_at_once_max: 3, ..plan }
    };
    let counts = converges("first attempts", apart);
    assert!(counts.by_filter > 0, "{counts:?}");
    let counts = converges("second attempts", |seed| Plan { attempts: 1, ..apart(seed) });
    assert!(counts.by_symbols > 0 && counts.by_filter == 0, "{counts:?}");
    let counts = converges("third attempts", |seed| Plan { attempts: 2, ..apart(seed) });
    assert!(counts.by_pages > 0 && counts.by_symbols == 0, "{counts:?}");
    for short_bits in [2, 8, 16] {
        let weak = |seed| Plan { short_bits, ..apart(seed) };
        converges("weak short ids", weak);
        converges("weak symbols", |seed| Plan { attempts: 1, ..weak(seed) });
    }
}

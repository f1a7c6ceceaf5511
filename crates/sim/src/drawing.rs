//! What the world of a seed is like.
//!
//! Invariant: a plan follows from its seed alone; every kind of trouble meets every other.

use weald_dag::limits::CLOCK_AHEAD_MAX_MS;

use crate::chance::Chance;
use crate::clock::WrongClock;
use crate::lie::Lie;
use crate::plan::{Faults, Plan, Topology};

/// How far behind a clock is that is far behind, at most: ten years, in milliseconds.
const BEHIND_MS_MAX: u64 = 10 * 365 * 24 * 3_600 * 1_000;
/// How far ahead a clock is at most that is too far ahead to be believed, in milliseconds.
const AHEAD_MS_MAX: u64 = 2 * CLOCK_AHEAD_MAX_MS + CLOCK_AHEAD_MAX_MS / 2;
/// How often sites start rounds of themselves where a clock is far off, at most, in milliseconds.
const ROUNDS_EVERY_MS_MAX: u64 = 60_000;

impl Plan {
    /// Draws a plan.
    pub fn from_seed(seed: u64) -> Self {
        // Another stream than the world's own, which starts from the seed itself.
        let mut chance = Chance::from_seed(!seed);
        let topologies = [Topology::Chain, Topology::Ring, Topology::Star, Topology::Mesh];
        let sites = [2, 2, 3, 3, 3, 4, 5];
        let lie = chance.percent(20).then(|| chance.pick(&Lie::ALL).copied()).flatten();
        let permits = if chance.percent(40) { 1 + chance.index(40) } else { 0 };
        let keeps_little = permits > 0 && chance.percent(40);
        let clock = chance.percent(12).then(|| wrong_clock(&mut chance));
        let rounds = chance.within(2_000..=ROUNDS_EVERY_MS_MAX);
        let faults = faults(&mut chance);
        Self {
            seed,
            sites: chance.pick(&sites).copied().unwrap_or(2),
            topology: chance.pick(&topologies).copied().unwrap_or(Topology::Chain),
            databases: if chance.percent(30) { 2 } else { 1 },
            private: chance.percent(30),
            commits: chance.index(50),
            bursts: if chance.percent(18) { chance.index(5) } else { 0 },
            branches: if chance.percent(25) { chance.index(60) } else { 0 },
            permits,
            prunes: if permits > 0 && chance.percent(30) { chance.index(6) } else { 0 },
            keeps_little,
            // What is held back for its time, or had no room, comes in a later round.
            rounds_every_ms: (clock.is_some() || keeps_little || chance.percent(20))
                .then_some(rounds),
            storm_ms: chance.within(1_000..=40_000),
            faults,
            fault_count: chance.within(0..=25),
            flush_ms_max: chance.within(1..=80),
            early_rows: chance.percent(25),
            skew_ms: if chance.percent(50) { 0 } else { chance.within(1..=240_000) },
            clock,
            large_percent: if chance.percent(20) { 15 } else { 0 },
            attempts: if chance.percent(20) { 1 + u8::from(chance.percent(30)) } else { 0 },
            sent_at_once_max: if chance.percent(40) { chance.index(9) } else { usize::MAX },
            short_bits: if chance.percent(20) { short_bits(&mut chance) } else { u64::BITS },
            health_every_ms: chance.percent(10).then(|| chance.within(30_000..=60_000)),
            latency_ms_max: chance.within(1..=250),
            lie,
        }
    }
}

fn faults(chance: &mut Chance) -> Faults {
    Faults {
        cut: chance.within(0..=3),
        outage: chance.within(0..=2),
        partition: chance.within(0..=1),
        crash: chance.within(0..=2),
        tampering: chance.within(0..=2),
        restore: u64::from(chance.percent(30)),
    }
}

/// Draws a length of short ids that makes some of many entries the same.
fn short_bits(chance: &mut Chance) -> u32 {
    u32::try_from(chance.within(3..=14)).unwrap_or(u64::BITS)
}

fn wrong_clock(chance: &mut Chance) -> WrongClock {
    if chance.percent(30) {
        let behind = i64::try_from(chance.within(0..=BEHIND_MS_MAX)).unwrap_or(0);
        return WrongClock { ahead_ms: -behind, is_mended: true };
    }
    let ahead = i64::try_from(chance.within(0..=AHEAD_MS_MAX)).unwrap_or(0);
    WrongClock { ahead_ms: ahead, is_mended: chance.percent(50) }
}

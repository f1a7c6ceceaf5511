//! What a world is like: its sites, who dials whom, and what will go wrong.
//!
//! Invariant: a plan follows from its seed, and every site can be reached from every other.

use crate::chance::Chance;
use crate::lie::Lie;
use crate::network::Quality;

/// How often each kind of thing goes wrong, as weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A link is cut.
    pub cut: u64,
    /// A wire is down for a while.
    pub outage: u64,
    /// The sites fall into two halves for a while.
    pub partition: u64,
    /// A site loses power; half of the time while its writer is at work.
    pub crash: u64,
    /// Somebody on the path tampers with a frame.
    pub tampering: u64,
}

impl Faults {
    const fn sum(&self) -> u64 {
        self.cut + self.outage + self.partition + self.crash + self.tampering
    }
}

/// Which sites dial which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Each dials the one before it.
    Chain,
    /// A chain that is closed.
    Ring,
    /// All dial the first.
    Star,
    /// A chain with random dials besides, some of them both ways.
    Mesh,
}

/// A world before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything that happens.
    pub seed: u64,
    /// How many sites there are, at least two.
    pub sites: usize,
    /// Which sites dial which.
    pub topology: Topology,
    /// How many databases everyone shares.
    pub databases: usize,
    /// Whether the first site also holds a database that nobody else may read, and everyone asks for.
    pub private: bool,
    /// How many commits are made while things go wrong.
    pub commits: usize,
    /// How many times a site makes many commits at once.
    pub bursts: usize,
    /// How many entries are made on top of old ones, so that the graph grows wide.
    pub branches: usize,
    /// How many times somebody changes who may do what, or tries to; with any, all sites dial all
    /// others, and each proves a key of its own.
    pub permits: usize,
    /// For how many virtual milliseconds things go wrong.
    pub storm_ms: u64,
    /// How often each kind of thing goes wrong.
    pub faults: Faults,
    /// How many faults there are.
    pub fault_count: u64,
    /// Greatest number of milliseconds that a group takes to be flushed.
    pub flush_ms_max: u64,
    /// Whether rows are seen before they are flushed.
    pub early_rows: bool,
    /// How far a clock may be wrong, in milliseconds either way.
    pub skew_ms: u64,
    /// How many commits in a hundred are large.
    pub large_percent: u64,
    /// Greatest latency of a wire in milliseconds.
    pub latency_ms_max: u64,
    /// What a peer beside these sites, which dials all of them, lies about.
    pub lie: Option<Lie>,
}

impl Plan {
    /// Draws a plan.
    pub fn from_seed(seed: u64) -> Self {
        // Another stream than the world's own, which starts from the seed itself.
        let mut chance = Chance::from_seed(!seed);
        let topologies = [Topology::Chain, Topology::Ring, Topology::Star, Topology::Mesh];
        let sites = [2, 2, 3, 3, 3, 4, 5];
        let lie = chance.percent(15).then(|| chance.pick(&Lie::ALL).copied()).flatten();
        let permits = if lie.is_none() && chance.percent(40) { 1 + chance.index(40) } else { 0 };
        Self {
            seed,
            sites: chance.pick(&sites).copied().unwrap_or(2),
            topology: chance.pick(&topologies).copied().unwrap_or(Topology::Chain),
            databases: if chance.percent(30) { 2 } else { 1 },
            private: chance.percent(30),
            commits: chance.index(50),
            bursts: if chance.percent(12) { chance.index(4) } else { 0 },
            branches: if chance.percent(25) { chance.index(60) } else { 0 },
            permits,
            storm_ms: chance.within(1_000..=40_000),
            faults: Faults {
                cut: chance.within(0..=3),
                outage: chance.within(0..=2),
                partition: chance.within(0..=1),
                crash: chance.within(0..=2),
                tampering: chance.within(0..=2),
            },
            fault_count: chance.within(0..=25),
            flush_ms_max: chance.within(1..=80),
            early_rows: chance.percent(25),
            skew_ms: if chance.percent(50) { 0 } else { chance.within(1..=240_000) },
            large_percent: if chance.percent(20) { 15 } else { 0 },
            latency_ms_max: chance.within(1..=250),
            lie,
        }
    }

    /// Plans two sites without faults, databases beside the one, or errors of clocks.
    pub const fn calm(seed: u64) -> Self {
        let faults = Faults { cut: 0, outage: 0, partition: 0, crash: 0, tampering: 0 };
        Self {
            seed,
            sites: 2,
            topology: Topology::Chain,
            databases: 1,
            private: false,
            commits: 10,
            bursts: 0,
            branches: 0,
            permits: 0,
            storm_ms: 2_000,
            faults,
            fault_count: 0,
            flush_ms_max: 5,
            early_rows: false,
            skew_ms: 0,
            large_percent: 0,
            latency_ms_max: 20,
            lie: None,
        }
    }

    /// Returns how many faults there will be: none where nothing can go wrong.
    pub(crate) const fn faults_to_come(&self) -> u64 {
        if self.faults.sum() == 0 { 0 } else { self.fault_count }
    }

    /// Draws who dials whom.
    pub(crate) fn dials(&self, chance: &mut Chance) -> Vec<(usize, usize)> {
        let mut dials: Vec<(usize, usize)> = match self.topology {
            Topology::Star => (1..self.sites).map(|site| (site, 0)).collect(),
            _ => (1..self.sites).map(|site| (site, site - 1)).collect(),
        };
        if self.topology == Topology::Ring && self.sites > 2 {
            dials.push((0, self.sites - 1));
        }
        if self.permits > 0 {
            // Whoever may read must not depend on somebody between who may not.
            let all = (0..self.sites).flat_map(|site| (0..site).map(move |peer| (site, peer)));
            dials = all.collect();
        } else if self.topology == Topology::Mesh {
            for _ in 0..self.sites {
                let dial = (chance.index(self.sites), chance.index(self.sites));
                if dial.0 != dial.1 && !dials.contains(&dial) {
                    dials.push(dial);
                }
            }
        }
        // Half of the links are dialled from the other end.
        for dial in &mut dials {
            if self.topology != Topology::Mesh && chance.percent(50) {
                *dial = (dial.1, dial.0);
            }
        }
        dials
    }

    /// Draws how frames travel one way over a wire.
    pub(crate) fn quality(&self, chance: &mut Chance) -> Quality {
        let latency = chance.within(0..=self.latency_ms_max);
        let jitter = chance.within(0..=self.latency_ms_max);
        Quality { latency, jitter, bandwidth: chance.within(20..=20_000) }
    }
}

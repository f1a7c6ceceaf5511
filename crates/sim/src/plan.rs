//! What a world is like: its sites, who dials whom, and what will go wrong.
//!
//! Invariant: a plan follows from its seed, and every site can be reached from every other.

use crate::chance::Chance;
use crate::clock::WrongClock;
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
    /// A site loses power and comes up with an older copy of its disk.
    pub restore: u64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self =
        Self { cut: 0, outage: 0, partition: 0, crash: 0, tampering: 0, restore: 0 };

    const fn sum(&self) -> u64 {
        self.cut + self.outage + self.partition + self.crash + self.tampering + self.restore
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
    /// How many times a site drops what is hidden and not needed.
    pub prunes: usize,
    /// Whether most sites keep few entries that came hidden and that nobody needs, until the storm ends.
    pub keeps_little: bool,
    /// How many milliseconds pass between two rounds that a site starts of itself, if it does.
    pub rounds_every_ms: Option<u64>,
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
    /// How the clock of one site is far off, if it is.
    pub clock: Option<WrongClock>,
    /// How many commits in a hundred are large.
    pub large_percent: u64,
    /// How many attempts rounds take to have failed before them: the later look for the difference more
    /// thoroughly.
    pub attempts: u8,
    /// How many entries rounds send without a finer comparison, at most; never more than the protocol says.
    pub sent_at_once_max: usize,
    /// How many bits short ids have.
    pub short_bits: u32,
    /// After how many silent milliseconds a session asks whether the peer is there, if it does.
    pub health_every_ms: Option<u64>,
    /// Greatest latency of a wire in milliseconds.
    pub latency_ms_max: u64,
    /// What a peer beside these sites, which dials all of them, lies about.
    pub lie: Option<Lie>,
}

impl Plan {
    /// Plans two sites without faults, databases beside the one, or errors of clocks.
    pub const fn calm(seed: u64) -> Self {
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
            prunes: 0,
            keeps_little: false,
            rounds_every_ms: None,
            storm_ms: 2_000,
            faults: Faults::NONE,
            fault_count: 0,
            flush_ms_max: 5,
            early_rows: false,
            skew_ms: 0,
            clock: None,
            large_percent: 0,
            attempts: 0,
            sent_at_once_max: usize::MAX,
            short_bits: u64::BITS,
            health_every_ms: None,
            latency_ms_max: 20,
            lie: None,
        }
    }

    /// Returns whether a site may be told that it cannot commit.
    pub(crate) const fn may_refuse_commits(&self) -> bool {
        self.permits > 0 || self.clock.is_some()
    }

    /// Returns how many milliseconds it may take until what was written by a wrong clock is believed,
    /// and has been asked for again.
    pub(crate) fn patience_ms(&self) -> u64 {
        let rounds = self.rounds_every_ms.unwrap_or(0);
        self.clock.map_or(0, WrongClock::wait_ms) + 2 * rounds
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

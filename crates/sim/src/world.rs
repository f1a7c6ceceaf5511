//! A world: sites, what is around them, and its course from founding to rest.
//!
//! Invariant: one event at a time, in the order of the schedule; nothing else happens.

use std::collections::BTreeSet;

use weald_dag::DatabaseId;

use crate::counts::Counts;
use crate::fault;
use crate::finding::Finding;
use crate::founding::found;
use crate::network::{End, LinkId};
use crate::oracle;
use crate::outside::Outside;
use crate::plan::Plan;
use crate::port::Port;
use crate::schedule::Event;
use crate::site::Site;
use crate::trace::Trace;
use crate::work;

/// How many events a world may take; many times what the longest took.
const EVENTS_MAX: u64 = 3_000_000;
/// How long after healing the sites may take until all hold the same, in milliseconds: a lost frame
/// is noticed after a minute, and a dial is tried again within ten seconds.
const HEAL_MS_MAX: u64 = 180_000;
/// How long rounds may take that were begun before all was equal, in milliseconds.
const SETTLE_MS: u64 = 10_000;
/// For how long nothing may be said once all is equal, in milliseconds.
const QUIET_MS: u64 = 30_000;
/// How long a commit may take to reach everyone over open links, in milliseconds.
const LIVE_MS_MAX: u64 = 20_000;
/// How many commits a burst has at most.
const BURST_MAX: u64 = 250;
/// How often a liar forges something.
const LIES: u64 = 5;
/// How often it is looked whether all is equal, in milliseconds.
const LOOK_MS: u64 = 500;

/// What came of a world.
pub struct Outcome {
    /// What was found wrong, if anything.
    pub finding: Option<Finding>,
    /// What was counted.
    pub counts: Counts,
    /// What happened.
    pub trace: Trace,
    /// The virtual time at its end in milliseconds.
    pub ended_ms: u64,
}

/// Lets a world take its course, and says what came of it.
pub fn run(plan: Plan, keep_trace: bool) -> Outcome {
    let kept_bits = u64::MAX.checked_shr(u64::BITS.saturating_sub(plan.short_bits)).unwrap_or(0);
    weald_sync::weaken_short_ids(kept_bits);
    weald_sync::send_at_once_at_most(plan.sent_at_once_max);
    weald_sync::start_at_attempt(plan.attempts);
    let mut world = World { outside: Outside::new(plan, keep_trace), sites: Vec::new(), events: 0 };
    let finding = world.take_course().err();
    if let Some(finding) = &finding {
        world.outside.note(format_args!("found: {finding}"));
    }
    let Outside { counts, trace, schedule, .. } = world.outside;
    Outcome { finding, counts, trace, ended_ms: schedule.now() }
}

struct World {
    outside: Outside,
    sites: Vec<Site>,
    events: u64,
}

impl World {
    fn take_course(&mut self) -> Result<(), Finding> {
        let shared = found(&mut self.sites, &mut self.outside)?;
        let storm = self.outside.plan.storm_ms;
        self.plan_storm();
        self.plan_rounds();
        self.run_until(storm)?;
        self.heal();
        self.come_to_rest(&shared)?;
        self.keep_quiet()?;
        self.stay_live(&shared)?;
        oracle::check(&self.sites, &shared, &mut self.outside)
    }

    fn plan_storm(&mut self) {
        let Outside { plan, chance, schedule, .. } = &mut self.outside;
        for _ in 0..plan.commits {
            let site = chance.index(plan.sites);
            schedule.at(chance.within(0..=plan.storm_ms), Event::Write { site, count: 1 });
        }
        for _ in 0..plan.bursts {
            let (site, count) = (chance.index(plan.sites), chance.within(1..=BURST_MAX));
            schedule.at(chance.within(0..=plan.storm_ms), Event::Write { site, count });
        }
        for _ in 0..plan.branches {
            let site = chance.index(plan.sites);
            schedule.at(chance.within(0..=plan.storm_ms), Event::Branch { site });
        }
        for _ in 0..plan.permits {
            let site = chance.index(plan.sites);
            schedule.at(chance.within(0..=plan.storm_ms), Event::Permit { site });
        }
        for _ in 0..plan.prunes {
            let site = chance.index(plan.sites);
            schedule.at(chance.within(0..=plan.storm_ms), Event::Prune { site });
        }
        for _ in 0..plan.lie.map_or(0, |_| LIES) {
            schedule.at(chance.within(0..=plan.storm_ms), Event::Lie);
        }
        for _ in 0..plan.faults_to_come() {
            schedule.at(chance.within(0..=plan.storm_ms), Event::Fault);
        }
    }

    fn run_until(&mut self, time: u64) -> Result<(), Finding> {
        while let Some(event) = self.outside.schedule.next(time) {
            self.events += 1;
            if self.events > EVENTS_MAX {
                return Err(Finding::Endless { events: EVENTS_MAX });
            }
            self.happen(event)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Finding> {
        let outside = &mut self.outside;
        match event {
            Event::Dial { site, peer } => self.dial(site, peer),
            Event::Accept { link } => self.accept(link),
            Event::Frame { link, to, bytes } => self.arrive(link, to, &bytes),
            Event::Cut { link, end } => match site_at(&mut self.sites, outside, link, end) {
                Some(site) => site.link_closed(link, outside),
                None => Ok(()),
            },
            Event::Deadline { site, link, at } => match self.sites.get_mut(site) {
                Some(site) => site.wake(link, at, outside),
                None => Ok(()),
            },
            Event::Flushed { site, life } => match self.sites.get_mut(site) {
                Some(site) => site.flushed(life, outside),
                None => Ok(()),
            },
            Event::Write { site, count } => match up(&mut self.sites, site) {
                Some(site) => (0..count).try_for_each(|_| work::write(site, outside)),
                None => Ok(()),
            },
            Event::Branch { site } => match up(&mut self.sites, site) {
                Some(site) => work::branch(site, outside),
                None => Ok(()),
            },
            Event::Permit { site } => match up(&mut self.sites, site) {
                Some(site) => work::permit(site, outside),
                None => Ok(()),
            },
            Event::Prune { site } => match up(&mut self.sites, site) {
                Some(site) => work::prune(site, outside),
                None => Ok(()),
            },
            Event::Rounds { site } => self.start_rounds(site),
            Event::Lie => {
                let liar = outside.liar.and_then(|liar| up(&mut self.sites, liar));
                match liar.zip(outside.plan.lie) {
                    Some((liar, lie)) => work::lie(liar, lie, outside),
                    None => Ok(()),
                }
            }
            Event::Fault => {
                oracle::queues(&self.sites, outside)?;
                fault::strike(&mut self.sites, outside)
            }
            Event::Restart { site } => {
                if let Some(site) = self.sites.get_mut(site) {
                    site.restart(outside);
                }
                Ok(())
            }
            Event::WireUp { a, b } => {
                outside.network.bring_up(a, b);
                Ok(())
            }
        }
    }

    fn start_rounds(&mut self, site: usize) -> Result<(), Finding> {
        let outside = &mut self.outside;
        let Some(every) = outside.plan.rounds_every_ms.filter(|_| !outside.is_quiet) else {
            return Ok(());
        };
        outside.schedule.after(every, Event::Rounds { site });
        up(&mut self.sites, site).map_or(Ok(()), |site| site.start_rounds(outside))
    }

    /// Plans that sites start rounds of themselves, where they do in this world.
    fn plan_rounds(&mut self) {
        let outside = &mut self.outside;
        outside.is_quiet = false;
        let Some(every) = outside.plan.rounds_every_ms else { return };
        for site in 0..outside.plan.sites {
            outside.schedule.after(outside.chance.within(0..=every), Event::Rounds { site });
        }
    }

    fn accept(&mut self, link: LinkId) -> Result<(), Finding> {
        let outside = &mut self.outside;
        // A link that was cut on its way there does not arrive.
        let ends = outside.network.link(link).filter(|link| link.is_alive());
        let ends = ends.map(|link| (link.site(End::Responder), link.site(End::Dialler)));
        let Some((site, peer)) = ends else { return Ok(()) };
        match up(&mut self.sites, site) {
            Some(site) => site.open(link, End::Responder, peer, outside),
            None => {
                outside.close(link, End::Responder);
                Ok(())
            }
        }
    }

    fn arrive(&mut self, link: LinkId, to: End, bytes: &[u8]) -> Result<(), Finding> {
        let outside = &mut self.outside;
        outside.network.arrived(link, to, bytes.len());
        let Some(site) = site_at(&mut self.sites, outside, link, to) else { return Ok(()) };
        let (index, length) = (site.index, bytes.len());
        let [a, b, ..] = *blake3::hash(bytes).as_bytes();
        outside.note(format_args!("site {index} link {} < {length} bytes {a:02x}{b:02x}", link.0));
        site.frame(link, bytes, outside)
    }

    fn dial(&mut self, site: usize, peer: usize) -> Result<(), Finding> {
        let outside = &mut self.outside;
        let reachable = self.sites.get(peer).is_some_and(|peer| peer.up);
        let Some(dialler) = self.sites.get_mut(site).filter(|site| site.up) else { return Ok(()) };
        if dialler.is_dialled(peer) {
            return Ok(());
        }
        if !reachable || !outside.network.is_up(site, peer) {
            dialler.dials.retry(peer, outside);
            return Ok(());
        }
        let plan = outside.plan.clone();
        let (out, back) = (plan.quality(&mut outside.chance), plan.quality(&mut outside.chance));
        let link = outside.network.open(site, peer, out, back);
        outside.note(format_args!("site {site} dials site {peer}: link {}", link.0));
        // Planned before the first frame is sent, which takes at least as long.
        outside.schedule.after(out.latency, Event::Accept { link });
        dialler.open(link, End::Dialler, peer, outside)
    }

    fn heal(&mut self) {
        self.outside.note(format_args!("all is well from now on"));
        self.outside.network.heal();
        for site in &mut self.sites {
            site.clock.mend();
            site.writer.make_room();
            site.ports.values_mut().for_each(Port::count_anew);
            site.restart(&mut self.outside);
        }
    }

    /// Runs until all sites hold the same and nobody owes an answer.
    fn come_to_rest(&mut self, shared: &[DatabaseId]) -> Result<(), Finding> {
        let start = self.outside.now();
        let limit = HEAL_MS_MAX + self.outside.plan.patience_ms();
        loop {
            self.run_until(self.outside.now() + LOOK_MS)?;
            oracle::queues(&self.sites, &mut self.outside)?;
            let Some(what) = oracle::unrest(&self.sites, shared, &self.outside)? else {
                oracle::rounds(&self.sites, &mut self.outside)?;
                self.outside.note(format_args!("all hold the same"));
                return Ok(());
            };
            let after_ms = self.outside.now() - start;
            if after_ms > limit {
                return Err(Finding::Apart { after_ms, what });
            }
        }
    }

    fn keep_quiet(&mut self) -> Result<(), Finding> {
        // What rounds were begun of themselves come to their end first.
        self.outside.is_quiet = true;
        self.run_until(self.outside.now() + SETTLE_MS)?;
        let before = self.outside.counts.frames;
        self.run_until(self.outside.now() + QUIET_MS)?;
        if self.outside.liar.is_some() || self.outside.plan.health_every_ms.is_some() {
            // A liar dials again and again; now everyone has heard it. Whoever asks how the other is, asks.
            return Ok(());
        }
        let frames = self.outside.counts.frames - before;
        if frames > 0 {
            let link = self.outside.last_link.0;
            return Err(Finding::Chatter { frames, ms: QUIET_MS, link });
        }
        Ok(())
    }

    /// Has each site write once more, and waits until everyone has it over the links that are open.
    fn stay_live(&mut self, shared: &[DatabaseId]) -> Result<(), Finding> {
        let links = |outside: &Outside| -> BTreeSet<_> {
            outside.network.alive().map(|(id, _)| id).collect()
        };
        let (start, before) = (self.outside.now(), links(&self.outside));
        let honest = self.outside.liar.is_none()
            && !before.iter().any(|link| self.outside.is_suspect(*link));
        let liar = self.outside.liar;
        for site in self.sites.iter_mut().filter(|site| Some(site.index) != liar) {
            work::write(site, &mut self.outside)?;
        }
        self.plan_rounds();
        let mut limit = LIVE_MS_MAX + self.outside.plan.patience_ms();
        if !honest {
            // A frame that was lost unnoticed is noticed only now.
            limit += HEAL_MS_MAX;
        }
        loop {
            self.run_until(self.outside.now() + LOOK_MS)?;
            let after_ms = self.outside.now() - start;
            match oracle::unrest(&self.sites, shared, &self.outside)? {
                None => break,
                Some(what) if after_ms > limit => return Err(Finding::NotLive { after_ms, what }),
                Some(_) => {}
            }
        }
        if honest && links(&self.outside) != before {
            let after_ms = self.outside.now() - start;
            return Err(Finding::NotLive {
                after_ms,
                what: "links were closed or opened".to_owned(),
            });
        }
        Ok(())
    }
}

/// Returns a site, if it has power.
fn up(sites: &mut [Site], site: usize) -> Option<&mut Site> {
    sites.get_mut(site).filter(|site| site.up)
}

fn site_at<'a>(
    sites: &'a mut [Site],
    outside: &Outside,
    link: LinkId,
    end: End,
) -> Option<&'a mut Site> {
    let site = outside.network.link(link)?.site(end);
    sites.get_mut(site)
}

//! What a round does next: send, or hear more first.
//!
//! Invariant: whoever waits for the other has told it so, or the other leads and always answers; where
//! neither holds, it asks page by page on its own.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, StoreError};

use super::{Decision, Round, Scope, Sending};
use crate::close::PeerFault;
use crate::cost::Method;
use crate::filter::{FILTER_ENTRIES_MAX, Filter};
use crate::ids::{Bits, Ids};
use crate::limits::{COMMON_MAX, DIRECT_MAX, PROBE_MAX, REACH_MAX};
use crate::message::Control;
use crate::outgoing::Plan;
use crate::pages::Pages;
use crate::reach::beyond;
use crate::rungs::{Rung, Rungs};
use crate::sift::{self, Sieve};

/// From this attempt on, symbols are tried first.
pub(super) const LEVEL_SYMBOLS: u8 = 1;
/// From this attempt on, every entry is asked for by its id.
pub(super) const LEVEL_PAGES: u8 = 2;

impl Round {
    /// Decides how to go on: says what the peer must hear, and returns what is to be sent.
    pub(crate) fn decide(
        &mut self,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<Decision, StoreError> {
        if self.theirs.is_none() {
            return Ok(Decision::Wait);
        }
        if self.leads && self.compared && !self.led {
            self.led = true;
            self.lead(graph, scope, say)?;
        }
        if self.sending != Sending::Undecided {
            return Ok(Decision::Wait);
        }
        let Some(graph) = graph.filter(|_| self.may_send) else {
            return Ok(Decision::Nothing);
        };
        match self.at_once(graph, scope)? {
            Decision::Wait if self.compared => self.by_method(graph, scope, say),
            decision => Ok(decision),
        }
    }

    /// Decides what can be decided without hearing more than the tips.
    fn at_once(&mut self, graph: &Graph<'_>, scope: &Scope<'_>) -> Result<Decision, StoreError> {
        let (Some(theirs), Some(newest)) = (&self.theirs, self.ours.newest) else {
            return Ok(Decision::Nothing);
        };
        if self.caught_up || self.ours.equals(&theirs.announce) {
            return Ok(Decision::Nothing);
        }
        if !theirs.all_known() {
            // What is said after that does not make it few, and costs no further look.
            if (!self.compared && !self.apart) || self.many {
                return Ok(Decision::Wait);
            }
            let few = self.few(graph, scope)?;
            self.many = few.is_none();
            return Ok(few.map_or(Decision::Wait, send));
        }
        let common = self.shared(graph, scope)?;
        if common.is_empty() {
            let count = self.ours.entries;
            return Ok(Decision::Send(Plan::All { next: Number(0), end: newest, count }));
        }
        let ours = graph.still_stored(self.ours.tips.iter().copied())?;
        Ok(send(graph.difference(&ours, &common)?))
    }

    /// Decides by what the peer has told beside its tips.
    fn by_method(
        &mut self,
        graph: &Graph<'_>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<Decision, StoreError> {
        let hushed = self.theirs.as_ref().is_some_and(|theirs| theirs.announce.silent);
        if hushed || self.by_pages || self.level >= LEVEL_PAGES {
            return self.page(graph, scope, say);
        }
        if let Some(sieve) = self.sieve.take() {
            let common = self.shared(graph, scope)?;
            let ours = graph.still_stored(self.ours.tips.iter().copied())?;
            let Some(entries) = beyond(graph, &ours, &common, sieve.base, REACH_MAX)? else {
                return self.page(graph, scope, say);
            };
            // What it has declined for good counts as common.
            let common: BTreeSet<Number> = common.into_iter().collect();
            let lacking = graph.still_stored(self.lacking.difference(&common).copied())?;
            let lacking = lacking.into_iter().collect();
            let lacked = sift::sift(graph, &entries, &sieve, &lacking, scope.shorts)?;
            return Ok(send(lacked));
        }
        if let Some(lacked) = self.symbolic.take_lacked() {
            return Ok(send(graph.still_stored(lacked)?));
        }
        if self.told_need {
            return Ok(Decision::Wait);
        }
        self.page(graph, scope, say)
    }

    /// Says, as the side that leads, how to go on where one side must hear more.
    fn lead(
        &mut self,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<(), StoreError> {
        let Some(theirs) = &self.theirs else {
            return Ok(());
        };
        let hushed = self.silent || theirs.announce.silent;
        if hushed || theirs.all_held(graph)? || self.level >= LEVEL_PAGES {
            return Ok(());
        }
        let paged = theirs.announce.paged.is_some() || self.ours.paged.is_some();
        let Some(graph) = graph else {
            say.push(Control::Pages { name: scope.name, round: self.number });
            return Ok(());
        };
        let undecided = self.may_send && self.sending == Sending::Undecided;
        self.told_need = undecided && matches!(self.at_once(graph, scope)?, Decision::Wait);
        // Whoever did not know that both are apart when it asked for more learns it from our answer.
        if !self.told_need && (!self.they_need || self.apart) {
            return Ok(());
        }
        if self.level < LEVEL_SYMBOLS && !paged {
            let base = self.base(graph)?;
            if let Some((filter, common)) = self.filter(graph, scope, base)? {
                self.say_filter(scope, base, common, &filter, self.told_need, say);
                return Ok(());
            }
        }
        self.ask_symbols(scope, say);
        Ok(())
    }

    fn say_filter(
        &mut self,
        scope: &Scope<'_>,
        base: u64,
        common: Ids,
        filter: &Filter,
        needs: bool,
        say: &mut Vec<Control>,
    ) {
        let filter = filter.to_bytes().into();
        let (name, round) = (scope.name, self.number);
        say.push(Control::Filter { name, round, base, common, filter, needs });
        self.method = self.method.max(Method::Filter);
        self.waits.ask();
    }

    /// Makes the filter of what is held at and above `base`, unless it is too much, and names the
    /// entries below it that the peer has not heard of yet as common.
    fn filter(
        &self,
        graph: &Graph<'_>,
        scope: &Scope<'_>,
        base: u64,
    ) -> Result<Option<(Filter, Ids)>, StoreError> {
        let named = graph.still_stored(scope.known.newest_held(COMMON_MAX))?;
        let common = graph.still_stored(self.told_common().chain(named.iter().copied()))?;
        let ours = graph.still_stored(self.ours.tips.iter().copied())?;
        let Some(entries) = beyond(graph, &ours, &common, base, FILTER_ENTRIES_MAX)? else {
            return Ok(None);
        };
        // A peer that needs nothing is only told from where on to tell.
        let told = if !self.leads || self.they_need { entries.as_slice() } else { &[] };
        let filter = sift::filter(graph, told, scope.shorts)?;
        let named: Vec<Number> =
            named.into_iter().filter(|number| !self.common.contains(number)).collect();
        Ok(filter.ok().zip(Some(Ids(graph.ids(&named)?))))
    }

    /// Takes the peer's filter, and answers with our own where it is asked for.
    pub(crate) fn filtered(
        &mut self,
        sieve: Sieve,
        common: &Ids,
        needs: bool,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<Result<(), PeerFault>, StoreError> {
        let due = if self.leads { self.told_need && self.led } else { self.compared };
        if !due || std::mem::replace(&mut self.sifted, true) {
            return Ok(Err(PeerFault::Unexpected { what: "a filter" }));
        }
        self.waits.hear();
        self.method = self.method.max(Method::Filter);
        let base = sieve.base;
        // Where this side needed none, what is told is no filter of what the peer holds.
        self.sieve = Some(sieve).filter(|_| self.told_need);
        let Some(graph) = graph else {
            return Ok(Ok(()));
        };
        self.common.extend(graph.numbers(&common.0)?);
        self.many &= common.is_empty();
        if needs && !self.leads {
            match self.filter(graph, scope, base)? {
                Some((filter, common)) if !self.silent => {
                    self.say_filter(scope, base, common, &filter, false, say);
                }
                _ => say.push(Control::Pages { name: scope.name, round: self.number }),
            }
        }
        Ok(Ok(()))
    }

    /// Takes the peer's word that it cannot tell by filters or symbols what it holds.
    pub(crate) const fn turn_to_pages(&mut self) {
        self.waits.hear();
        self.by_pages = true;
    }

    /// Asks about the next page, or sends what was found once all is known.
    fn page(
        &mut self,
        graph: &Graph<'_>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<Decision, StoreError> {
        self.method = Method::Pages;
        let mut pages = match self.pages.take() {
            Some(pages) => pages,
            None => {
                let common = self.shared(graph, scope)?;
                let ours = graph.still_stored(self.ours.tips.iter().copied())?;
                Pages::new(&ours, &common)
            }
        };
        if pages.is_asking() {
            self.pages = Some(pages);
            return Ok(Decision::Wait);
        }
        let ids = Ids(graph.ids(pages.next(graph, PROBE_MAX)?)?);
        if ids.is_empty() {
            return Ok(send(graph.still_stored(pages.finish())?));
        }
        self.pages = Some(pages);
        say.push(Control::Probe { name: scope.name, round: self.number, ids });
        self.waits.ask();
        Ok(Decision::Wait)
    }

    /// Takes the peer's answer to a page.
    pub(crate) fn probed(
        &mut self,
        held: &Bits,
        graph: Option<&Graph<'_>>,
    ) -> Result<Result<(), PeerFault>, StoreError> {
        let Some(pages) = self.pages.as_mut().filter(|pages| pages.is_asking()) else {
            return Ok(Err(PeerFault::Unexpected { what: "an answer to no probe" }));
        };
        self.waits.hear();
        if let Some(graph) = graph {
            pages.take(graph, held)?;
        }
        Ok(Ok(()))
    }

    /// Returns what the peer lacks for all that is known, if that is certain or little; tips that it has said
    /// it lacks are no guess and count for nothing.
    pub(super) fn few(
        &self,
        graph: &Graph<'_>,
        scope: &Scope<'_>,
    ) -> Result<Option<Vec<Number>>, StoreError> {
        let common = self.shared(graph, scope)?;
        let ours = graph.still_stored(self.ours.tips.iter().copied())?;
        if self.apart {
            return beyond(graph, &ours, &common, 0, REACH_MAX);
        }
        let direct_max = DIRECT_MAX;
        #[cfg(feature = "testing")]
        let direct_max = crate::testing::sent_at_once_max(direct_max);
        let found = beyond(graph, &ours, &common, 0, direct_max + self.lacking.len())?;
        let guessed = |found: &Vec<Number>| {
            found.iter().filter(|number| !self.lacking.contains(number)).count()
        };
        Ok(found.filter(|found| guessed(found) <= direct_max))
    }

    /// Returns the sums of what is held here, for the peer to find a base by.
    pub(super) fn rungs(&self, graph: &Graph<'_>) -> Result<Rungs, StoreError> {
        if self.level >= LEVEL_SYMBOLS || self.ours.paged.is_some() {
            return Ok(Rungs::default());
        }
        let rung = |rung: weald_dag::Rung| Rung {
            generation: rung.generation,
            count: rung.below.count,
            sum: told(rung.below.sum),
        };
        Ok(Rungs(graph.ladder()?.into_iter().map(rung).collect()))
    }

    /// Returns the highest generation below which both seem to hold the same.
    fn base(&self, graph: &Graph<'_>) -> Result<u64, StoreError> {
        let rungs = &self.their_rungs.0;
        let generations: Vec<u64> = rungs.iter().map(|rung| rung.generation).collect();
        let ours = graph.below(&generations)?;
        let equal = rungs
            .iter()
            .zip(&ours)
            .find(|(theirs, ours)| theirs.count == ours.count && theirs.sum == told(ours.sum));
        Ok(equal.map_or(0, |(rung, _)| rung.generation))
    }

    /// Returns what both are known to hold.
    fn shared(&self, graph: &Graph<'_>, scope: &Scope<'_>) -> Result<Vec<Number>, StoreError> {
        graph.still_stored(self.told_common().chain(scope.known.iter()))
    }
}

/// Returns the part of a sum that is told.
#[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn told(sum: u64) -> u32 {
    sum as u32
}

pub(super) fn send(numbers: Vec<Number>) -> Decision {
    if numbers.is_empty() {
        return Decision::Nothing;
    }
    Decision::Send(Plan::Numbers(numbers.into()))
}

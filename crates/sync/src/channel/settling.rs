//! How a database's round ends: every tip has a class, or another attempt begins.
//!
//! Invariant: a round ends only when both sides have classed all tips and sent all they had.

use super::Channel;
use crate::class::{Class, Classes, Tally};
use crate::close::{CloseReason, PeerFault};
use crate::context::Context;
use crate::ids::Ids;
use crate::limits::{
    ROUNDS_MAX, WANT_DEPTH, WANT_DEPTH_FACTOR, WANT_DEPTH_MAX, WANT_MAX, WANTS_MAX,
};
use crate::message::{Control, Unheld};
use crate::output::Event;
use crate::round::{Held, Sending};

impl Channel {
    /// Takes the peer's word that all entries of the round have come.
    pub(crate) fn sent(&mut self, number: u64, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.round(number)?.peer_sent = true;
        self.settle(ctx)
    }

    /// Classes the peer's tips once all that it sent has its verdicts.
    pub(super) fn settle(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(round) = &mut self.round else {
            return Ok(());
        };
        let come = round.peer_sent && !round.wanting && self.incoming.is_idle();
        let Some(theirs) = round.theirs.as_ref().filter(|_| come && !round.settled_here) else {
            return self.finish(ctx);
        };
        let mut missing = self.incoming.missing();
        missing.truncate(WANT_MAX);
        if !missing.is_empty() && round.wants < WANTS_MAX {
            let depth = WANT_DEPTH.saturating_mul(WANT_DEPTH_FACTOR.pow(round.wants.into()));
            let (ids, depth) = (Ids(missing), depth.min(WANT_DEPTH_MAX));
            round.wants += 1;
            round.wanting = true;
            round.round_trips += 1;
            ctx.out.control(Control::Want { name: self.name, ids, depth });
            return Ok(());
        }
        let view = ctx.view(&self.database)?;
        let (tally, unheld) = theirs.classify(view.graph().as_ref(), &mut self.incoming)?;
        self.tally = tally;
        round.settled_here = true;
        let (name, number) = (self.name, round.number);
        ctx.out.control(Control::Settled { name, round: number, unheld });
        self.finish(ctx)
    }

    /// Takes the peer's classes of our tips.
    pub(crate) fn settled(
        &mut self,
        number: u64,
        unheld: Vec<Unheld>,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let round = self.round(number)?;
        if round.settled_there.is_some() || round.sending != Sending::Done {
            return Err(PeerFault::Unexpected { what: "the end of a round" }.into());
        }
        round.settled_there = Some(unheld);
        self.finish(ctx)
    }

    pub(super) fn finish(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(round) = self.round.take_if(|round| round.is_over()) else {
            return Ok(());
        };
        let (Some(theirs), Some(unheld)) = (round.theirs, round.settled_there) else {
            return Ok(());
        };
        let view = ctx.view(&self.database)?;
        let ours = self.learn(&round.ours, &unheld)?;
        if let Some(graph) = view.graph() {
            self.known.extend(graph.numbers(&theirs.announce.tips.0)?);
        }
        self.status.rounds += 1;
        self.status.round_trips = round.round_trips;
        let classes = Classes { theirs: self.tally, ours };
        self.status.classes = Some(classes);
        let overflowed = self.incoming.settle();
        if overflowed || classes.theirs.missing > 0 {
            self.attempt += 1;
            if self.attempt < ROUNDS_MAX {
                return self.start(true, ctx);
            }
            let (database, tips) = (self.database, classes.theirs.missing);
            ctx.out.event(Event::Unclassed { database, tips });
        }
        self.attempt = 0;
        let lacking = classes.theirs.lacking();
        let complete =
            theirs.announce.complete && lacking == 0 && !overflowed && view.graph().is_some();
        let (database, round_trips) = (self.database, round.round_trips);
        ctx.out.event(Event::Settled { database, classes, complete, round_trips });
        if std::mem::take(&mut self.heard_out) && !self.check(ctx)? {
            return Ok(());
        }
        if self.silent && !ctx.may_read(&self.database)? {
            return Ok(());
        }
        // Finished while the round ran: the peer must hear of it, also to finish its own.
        if self.silent || (view.is_complete() && !self.offered) {
            return self.start(false, ctx);
        }
        if self.live.has_own() || ctx.may_send(&self.database, &view)? != self.allowed {
            return self.push(ctx);
        }
        self.go_on_live(ctx)
    }

    /// Learns from the peer's classes of our tips; of what was not announced there are none.
    fn learn(&mut self, ours: &Held, unheld: &[Unheld]) -> Result<Tally, PeerFault> {
        if !self.silent {
            return self.known.learn(ours, unheld);
        }
        if !unheld.is_empty() {
            return Err(PeerFault::Garbled { what: "classes of our tips" });
        }
        let mut tally = Tally::default();
        tally.add(Class::Withheld);
        Ok(tally)
    }
}

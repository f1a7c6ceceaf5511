//! How a database's round ends: every tip has a class, or another attempt begins.
//!
//! Invariant: a round ends only when both sides have classed all tips and sent all they had.

use super::Channel;
use crate::class::{Class, Classes, Tally};
use crate::close::{CloseReason, PeerFault};
use crate::context::{Context, View};
use crate::held::Held;
use crate::ids::Ids;
use crate::limits::{
    ROUNDS_MAX, WANT_DEPTH, WANT_DEPTH_FACTOR, WANT_DEPTH_MAX, WANT_MAX, WANTS_MAX,
};
use crate::message::{Control, Unheld};
use crate::output::Event;
use crate::round::{Round, Sending};

impl Channel {
    /// Takes the peer's word that all entries of the round have come.
    pub(crate) fn sent(&mut self, number: u64, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if let Some(round) = self.round(number)? {
            round.peer_sent = true;
            self.settle(ctx)?;
        }
        Ok(())
    }

    /// Returns whether the tips are classed as soon as is looked, which tells that all batches are stored.
    pub(super) fn will_settle(&self) -> bool {
        let come = |round: &Round| {
            round.peer_sent && !round.settled_here && !round.wanting && round.theirs.is_some()
        };
        let asks = !self.incoming.missing().is_empty();
        self.round.as_ref().is_some_and(come) && self.incoming.is_idle() && !asks
    }

    /// Classes the peer's tips once all that it sent has its verdicts.
    pub(super) fn settle(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(round) = &mut self.round else {
            return Ok(());
        };
        if round.settled_here || round.wanting {
            return self.finish(ctx);
        }
        let Some(theirs) = &round.theirs else {
            return Ok(());
        };
        // Where every tip is held, whatever is on its way is held too.
        let view = ctx.view(&self.database)?;
        let all_held = theirs.all_held(view.graph().as_ref())?;
        // Whoever has announced the same sends nothing and does not say so, also where what was announced
        // here is not kept any more.
        let nothing_comes = round.ours.paged.is_none() && round.ours.equals(&theirs.announce);
        let come = (round.peer_sent || nothing_comes) && self.incoming.is_idle();
        if !(all_held || come) {
            return self.finish(ctx);
        }
        let mut missing = self.incoming.missing();
        missing.truncate(WANT_MAX);
        if !all_held && !missing.is_empty() && round.wants < WANTS_MAX {
            let depth = WANT_DEPTH.saturating_mul(WANT_DEPTH_FACTOR.pow(round.wants.into()));
            let (ids, depth) = (Ids(missing), depth.min(WANT_DEPTH_MAX));
            round.wants += 1;
            round.wanting = true;
            round.waits.ask();
            ctx.out.control(Control::Want { name: self.name, ids, depth });
            return Ok(());
        }
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
        let Some(round) = self.round(number)? else {
            return Err(PeerFault::Unexpected { what: "the end of a round that has ended" }.into());
        };
        let done = round.sending == Sending::Done;
        // Who holds all of our tips may say so at any time, and needs nothing more.
        let early = unheld.is_empty() && round.ours.paged.is_none() && !round.silent;
        if round.settled_there.is_some() || round.theirs.is_none() || !(done || early) {
            return Err(PeerFault::Unexpected { what: "the end of a round" }.into());
        }
        round.caught_up |= early;
        round.sending = Sending::Done;
        round.settled_there = Some(unheld);
        self.outgoing.drop_round();
        self.outgoing.acknowledge_all(ctx.flow);
        self.settle(ctx)
    }

    pub(super) fn finish(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(round) = self.round.take_if(|round| round.is_over()) else {
            return Ok(());
        };
        let (method, round_trips) = (round.method(), round.waits.round_trips());
        let (Some(theirs), Some(unheld)) = (round.theirs, round.settled_there) else {
            return Ok(());
        };
        let view = ctx.view(&self.database)?;
        let ours = self.learn(&round.ours, &unheld)?;
        if let Some(graph) = view.graph() {
            self.known.extend(graph.numbers(&theirs.announce.tips.0)?);
        }
        self.remember();
        self.status.rounds += 1;
        self.status.round_trips = round_trips;
        self.status.method = method;
        self.status.last_round = self.cost_at(ctx).since(&self.spent.before);
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
        let again = std::mem::take(&mut self.asked_again) && self.lags(&view, ctx)?;
        // Once: whoever asks without end is still told of ends.
        self.repeats = again && !self.repeats;
        if self.repeats {
            return self.start(false, ctx);
        }
        let lacking = classes.theirs.lacking();
        let complete =
            theirs.announce.complete && lacking == 0 && !overflowed && view.graph().is_some();
        let database = self.database;
        ctx.out.event(Event::Settled { database, classes, complete, round_trips });
        if std::mem::take(&mut self.heard_out) && !self.check(ctx)? {
            return Ok(());
        }
        if self.silent && !ctx.may_read(&self.database)? {
            return Ok(());
        }
        // Finished while the round ran: the peer must hear of it, also to finish its own.
        if again || self.silent || (view.is_complete() && !self.offered) {
            return self.start(false, ctx);
        }
        if self.live.has_own() || ctx.may_send(&self.database, &view)? != self.allowed {
            return self.push(ctx);
        }
        self.go_on_live(ctx)
    }

    /// Returns whether something is new here since the round that has ended was begun; whoever has asked for
    /// another while it ran waits for that too.
    fn lags(&mut self, view: &View, ctx: &Context<'_>) -> Result<bool, CloseReason> {
        if self.heard_out || self.silent || !ctx.may_send(&self.database, view)? {
            return Ok(false);
        }
        let Some(graph) = view.graph() else { return Ok(false) };
        Ok(!self.unknown_there(&graph)?.is_empty())
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

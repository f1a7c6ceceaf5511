//! How a database's round finds what the other side lacks.
//!
//! Invariant: what a message is about is the round that runs, or the peer is at fault.

use super::Channel;
use crate::close::{CloseReason, PeerFault};
use crate::context::Context;
use crate::ids::{Bits, Ids};
use crate::message::{Announce, Control};
use crate::output::Event;
use crate::round::{Decision, Round, Sending, Theirs};

impl Channel {
    /// Takes the peer's announcement, which starts a round or joins one that was started here.
    pub(crate) fn announced(
        &mut self,
        announce: Announce,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let view = ctx.view(&self.database)?;
        let joins = self.round.as_ref().is_some_and(|round| round.awaits(&announce));
        let starts = self.round.is_none() && announce.round == self.last_round + 1;
        let again = starts && self.begin(&view, ctx)?;
        let Some(round) = self.round.as_mut().filter(|_| joins || starts) else {
            return Err(PeerFault::Unexpected { what: "an announcement" }.into());
        };
        if announce.round == 1 && round.theirs.is_none() {
            ctx.out.event(Event::Opened { database: self.database });
        }
        if announce.forget {
            self.known.forget();
        }
        let silent = announce.silent;
        let theirs = Theirs::read(announce, view.graph().as_ref())?;
        let (name, number) = (self.name, round.number);
        let (tips, probe) = theirs.answers();
        round.theirs = Some(theirs);
        if starts {
            self.announce(again, &view, ctx)?;
        } else if round.silent && ctx.may_read(&self.database)? {
            // The peer has proven meanwhile that it may read.
            round.silent = false;
            round.may_send = view.is_complete();
            self.announce(false, &view, ctx)?;
        }
        if !silent {
            ctx.out.control(Control::Compared { name, round: number, tips, probe });
        }
        self.decide(ctx)
    }

    /// Takes the peer's answer to our announcement.
    pub(crate) fn compared(
        &mut self,
        number: u64,
        tips: &Bits,
        probe: &Bits,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.round(number)?.compare(tips, probe)?;
        self.decide(ctx)
    }

    /// Answers which entries are held here.
    pub(crate) fn probe(
        &self,
        number: u64,
        ids: &Ids,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let view = ctx.view(&self.database)?;
        let held = match view.graph() {
            Some(graph) => {
                let held = ids.0.iter().map(|id| Ok(graph.number(id)?.is_some()));
                held.collect::<Result<Bits, CloseReason>>()?
            }
            None => Bits::default(),
        };
        ctx.out.control(Control::Probed { name: self.name, round: number, held });
        Ok(())
    }

    /// Takes the peer's answer to a probe.
    pub(crate) fn probed(
        &mut self,
        number: u64,
        held: &Bits,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.round(number)?.probed(held)?;
        self.decide(ctx)
    }

    pub(super) fn round(&mut self, number: u64) -> Result<&mut Round, PeerFault> {
        self.round
            .as_mut()
            .filter(|round| round.number == number)
            .ok_or(PeerFault::Unexpected { what: "a message of no running round" })
    }

    pub(super) fn decide(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let view = ctx.view(&self.database)?;
        let Some(round) = &mut self.round else {
            return Ok(());
        };
        // The keys that allow it may have been proven after the round was begun. Where nothing was said
        // of our tips, the round after this one sends them.
        self.allowed = ctx.may_send(&self.database, &view)? && !round.silent;
        round.may_send = self.allowed;
        let (name, number) = (self.name, round.number);
        let decision = round.decide(view.graph().as_ref(), &mut self.known.iter())?;
        match decision {
            Decision::Wait => {}
            Decision::Nothing => {
                round.sending = Sending::Done;
                ctx.out.control(Control::Sent { name, round: number });
            }
            Decision::Ask(numbers) => {
                let ids = view.graph().map_or(Ok(Vec::new()), |graph| graph.ids(&numbers))?;
                ctx.out.control(Control::Probe { name, round: number, ids: Ids(ids) });
            }
            Decision::Send(plan) => {
                round.sending = Sending::Running;
                let entries = plan.len();
                ctx.out.control(Control::Sending { name, round: number, entries });
                self.outgoing.start(plan, false);
            }
        }
        self.settle(ctx)
    }
}

//! How a database's round finds what the other side lacks.
//!
//! Invariant: what a message is about is the round that runs, or one that has ended here and not yet
//! there; else the peer is at fault.

use std::ops::Range;

use weald_dag::{Graph, StoreError};

use super::Channel;
use crate::close::{CloseReason, PeerFault};
use crate::context::{Context, View};
use crate::ids::{Bits, Ids, ShortList};
use crate::message::{Announce, Answers, Control};
use crate::output::Event;
use crate::round::{Decision, Round, Scope, Sending};
use crate::short::ShortIds;
use crate::sift::Sieve;
use crate::theirs::Theirs;

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
        if starts {
            // What starts the round is a part of it.
            let before = &mut self.spent.before;
            before.overhead_in = before.overhead_in.saturating_sub(self.spent.hearing);
        }
        let Some(round) = self.round.as_mut().filter(|_| joins || starts) else {
            return Err(PeerFault::Unexpected { what: "an announcement" }.into());
        };
        if announce.round == 1 && round.theirs.is_none() {
            ctx.out.event(Event::Opened { database: self.database });
        }
        if announce.forget {
            self.known.forget();
        }
        let answers = announce.answers.clone();
        round.hear(Theirs::read(announce, view.graph().as_ref())?, joins, ctx.dialled);
        if let Some(answers) = answers {
            round.compare(answers)?;
        }
        if starts {
            self.announce(again, &view, ctx)?;
        } else if round.silent && ctx.may_read(&self.database)? {
            // The peer has proven meanwhile that it may read.
            round.silent = false;
            round.may_send = view.is_complete();
            self.announce(false, &view, ctx)?;
        } else {
            self.answer(&view, ctx)?;
        }
        self.decide(ctx)
    }

    /// Answers the peer's announcement, where it is not settled by it.
    fn answer(&mut self, view: &View, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if let Some(round) = &mut self.round {
            let shorts = ShortIds::new(ctx.transcript, &self.name, round.number);
            let scope = Scope { name: self.name, shorts: &shorts, known: &self.known };
            if let Some(answers) = round.answers(view.graph().as_ref(), &scope)? {
                let (name, round) = (self.name, round.number);
                ctx.out.control(Control::Compared { name, round, answers });
            }
        }
        Ok(())
    }

    /// Takes the peer's answer to our announcement.
    pub(crate) fn compared(
        &mut self,
        number: u64,
        answers: Answers,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        if let Some(round) = self.round(number)? {
            round.compare(answers)?;
            self.decide(ctx)?;
        }
        Ok(())
    }

    /// Takes the peer's filter.
    pub(crate) fn filter(
        &mut self,
        number: u64,
        sieve: Sieve,
        common: &Ids,
        needs: bool,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.hear(number, ctx, |round, graph, scope, say| {
            round.filtered(sieve, common, needs, graph, scope, say)
        })
    }

    /// Makes the symbols that the peer asks for.
    pub(crate) fn code(
        &mut self,
        number: u64,
        window: Range<usize>,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.hear(number, ctx, |round, graph, scope, say| round.code(window, graph, scope, say))
    }

    /// Takes the symbols that the peer was asked for.
    pub(crate) fn symbols(
        &mut self,
        number: u64,
        symbols: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.hear(number, ctx, |round, graph, scope, say| round.decode(symbols, graph, scope, say))
    }

    /// Takes short ids of entries that the peer lacks.
    pub(crate) fn want_short(
        &mut self,
        number: u64,
        shorts: ShortList,
        more: bool,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.hear(number, ctx, |round, graph, scope, _| {
            round.want_short(shorts, more, graph, scope)
        })
    }

    /// Takes the peer's word that it is to be asked page by page.
    pub(crate) fn pages(&mut self, number: u64, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.hear(number, ctx, |round, _, _, _| {
            round.turn_to_pages();
            Ok(Ok(()))
        })
    }

    /// Answers which entries are held here.
    pub(crate) fn probe(
        &mut self,
        number: u64,
        ids: &Ids,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let view = ctx.view(&self.database)?;
        let Some(round) = self.round(number)? else {
            return Ok(());
        };
        round.answer_page();
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
        self.hear(number, ctx, |round, graph, _, _| round.probed(held, graph))
    }

    /// Has a round hear something, says what it says to that, and goes on.
    fn hear(
        &mut self,
        number: u64,
        ctx: &mut Context<'_>,
        what: impl FnOnce(
            &mut Round,
            Option<&Graph<'_>>,
            &Scope<'_>,
            &mut Vec<Control>,
        ) -> Result<Result<(), PeerFault>, StoreError>,
    ) -> Result<(), CloseReason> {
        if self.round(number)?.is_none() {
            return Ok(());
        }
        let view = ctx.view(&self.database)?;
        let shorts = ShortIds::new(ctx.transcript, &self.name, number);
        let scope = Scope { name: self.name, shorts: &shorts, known: &self.known };
        let mut say = Vec::new();
        if let Some(round) = &mut self.round {
            round.spare_passes(ctx.pace.effort().is_spent());
            let heard = what(round, view.graph().as_ref(), &scope, &mut say);
            ctx.pace.effort().spend(round.passed());
            heard??;
        }
        say.into_iter().for_each(|control| ctx.out.control(control));
        self.decide(ctx)
    }

    /// Returns the round that a message is about; `None` where it has ended here.
    pub(super) fn round(&mut self, number: u64) -> Result<Option<&mut Round>, PeerFault> {
        let runs = self.round.is_some();
        match self.round.as_mut().filter(|round| round.number == number) {
            Some(round) => Ok(Some(round)),
            None if number < self.last_round || (number == self.last_round && !runs) => Ok(None),
            None => Err(PeerFault::Unexpected { what: "a message of no running round" }),
        }
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
        let shorts = ShortIds::new(ctx.transcript, &name, number);
        let scope = Scope { name, shorts: &shorts, known: &self.known };
        let mut say = Vec::new();
        let decision = round.decide(view.graph().as_ref(), &scope, &mut say)?;
        say.into_iter().for_each(|control| ctx.out.control(control));
        match decision {
            Decision::Wait => {}
            Decision::Nothing => {
                round.sending = Sending::Done;
                if !round.peer_is_content() {
                    ctx.out.control(Control::Sent { name, round: number });
                }
            }
            Decision::Send(plan) => {
                round.sending = Sending::Running;
                self.outgoing.start(plan, false);
            }
        }
        self.settle(ctx)
    }
}

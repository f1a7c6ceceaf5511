//! Entries of a database on their way, both ways, and what is asked for by id.
//!
//! Invariant: a batch is acknowledged when it and all before it are stored or judged; one want is answered at a time.

use weald_dag::{EntryId, Number, Verdict};

use super::Channel;
use crate::batch::{EntryBatch, RawParcels};
use crate::close::{CloseReason, PeerFault};
use crate::context::Context;
use crate::ids::Ids;
use crate::limits::WANTS_MAX;
use crate::message::Control;
use crate::nearest::nearest;
use crate::outgoing::Packed;
use crate::output::{BatchId, Event};
use crate::round::Sending;

impl Channel {
    /// Takes a batch of entries.
    pub(crate) fn entries(
        &mut self,
        batch: EntryBatch,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let bootstrap = !ctx.view(&self.database)?.is_complete();
        let (live, last, left) = (batch.live, batch.last, batch.left);
        self.incoming.take(batch, bootstrap, ctx.flow, ctx.out)?;
        // Before the peer has announced, what comes is of the round before.
        let of_round = self.round.as_mut().filter(|round| round.theirs.is_some() && !live);
        if let Some(round) = of_round {
            round.waits.hear();
            round.peer_sent |= last;
            let come = self.incoming.entries - self.progress.entries_before;
            self.progress.total = Some(come.saturating_add(left));
        }
        Ok(())
    }

    /// Takes the verdicts on a batch.
    pub(crate) fn ingested(
        &mut self,
        batch: BatchId,
        verdicts: Vec<(EntryId, Verdict)>,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let judged = self.incoming.judge(batch, verdicts, ctx.out)?;
        let view = ctx.view(&self.database)?;
        if let Some(graph) = view.graph() {
            for number in graph.still_stored(judged.live)? {
                self.known.advance(number, &graph.local(number)?.parents);
            }
        }
        if self.round.is_none() {
            self.remember();
        }
        let acknowledge = judged.acknowledge.map(|batch| Control::Ack { name: self.name, batch });
        if acknowledge.is_some() {
            self.tell_progress(ctx);
        }
        if !judged.ready.is_empty() {
            let raw = RawParcels::pack(&judged.ready);
            let id = ctx.flow.begin(self.name, raw.len())?;
            self.incoming.retry(id, raw);
            ctx.out.ingest(id, self.database, judged.ready, !view.is_complete());
        }
        if self.round.is_none() && self.incoming.is_idle() && self.incoming.has_gap() {
            acknowledge.into_iter().for_each(|acknowledge| ctx.out.control(acknowledge));
            return self.start(true, ctx);
        }
        if self.round.is_none() && self.incoming.is_idle() {
            self.incoming.wait_no_more();
        }
        if !self.will_settle() {
            acknowledge.into_iter().for_each(|acknowledge| ctx.out.control(acknowledge));
        }
        self.settle(ctx)
    }

    fn tell_progress(&self, ctx: &mut Context<'_>) {
        ctx.out.event(Event::Progress {
            database: self.database,
            entries_done: self.incoming.entries - self.progress.entries_before,
            entries_total: self.progress.total,
            bytes: self.incoming.bytes - self.progress.bytes_before,
        });
    }

    /// Answers a want: the entries and what is before them, as far as the peer's tips do not cover
    /// it, at most `depth` and those nearest first.
    pub(crate) fn want(
        &mut self,
        ids: &Ids,
        depth: u32,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        if self.outgoing.is_answering() {
            return Err(PeerFault::Unexpected { what: "a second want" }.into());
        }
        let Some(round) = &mut self.round else {
            return Err(PeerFault::Unexpected { what: "a want of no running round" }.into());
        };
        if round.wants_there >= WANTS_MAX {
            return Err(PeerFault::Unexpected { what: "a further want of a round" }.into());
        }
        round.wants_there += 1;
        let common: Vec<Number> = round.told_common().collect();
        let view = ctx.view(&self.database)?;
        let mut numbers = Vec::new();
        if !ctx.may_send(&self.database, &view)? {
            ctx.out.control(Control::Wanted(self.name));
            return Ok(());
        }
        if let Some(graph) = view.graph() {
            let depth = usize::try_from(depth).unwrap_or(usize::MAX);
            let covered = graph.still_stored(common)?;
            numbers = nearest(&graph, &graph.numbers(&ids.0)?, &covered, depth)?;
        }
        self.outgoing.answer(numbers);
        Ok(())
    }

    /// Takes the peer's word that what was wanted has come.
    pub(crate) fn wanted(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let wanting = self.round.as_mut().filter(|round| round.wanting);
        let Some(round) = wanting else {
            return Err(PeerFault::Unexpected { what: "an answer to no want" }.into());
        };
        round.wanting = false;
        round.waits.hear();
        self.settle(ctx)
    }

    /// Takes the acknowledgement of a batch.
    pub(crate) fn acknowledged(
        &mut self,
        batch: u64,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        self.outgoing.acknowledge(batch, ctx.flow)?;
        if self.round.is_none() {
            self.remember();
        }
        Ok(())
    }

    /// Sends one batch, where there is one to send; returns whether there may be more.
    pub(crate) fn pump(&mut self, ctx: &mut Context<'_>) -> Result<bool, CloseReason> {
        if !self.has_work() {
            return Ok(false);
        }
        let view = ctx.view(&self.database)?;
        if !ctx.may_send(&self.database, &view)? {
            return Ok(false);
        }
        let Some(graph) = view.graph() else {
            return Ok(false);
        };
        match self.outgoing.pack(&graph, self.name, &mut self.known, ctx.flow)? {
            Packed::Batch { batch, ended } => {
                ctx.out.batch(&batch);
                if let Some(round) = self.round.as_mut().filter(|_| ended) {
                    round.sending = Sending::Done;
                    self.finish(ctx)?;
                }
            }
            Packed::Wanted => ctx.out.control(Control::Wanted(self.name)),
            Packed::Sent { of_round: true } => {
                if let Some(round) = &mut self.round {
                    round.sending = Sending::Done;
                    let (name, round) = (self.name, round.number);
                    ctx.out.control(Control::Sent { name, round });
                }
                self.finish(ctx)?;
            }
            Packed::Sent { of_round: false } => self.go_on_live(ctx)?,
            Packed::Idle => {}
        }
        Ok(true)
    }
}

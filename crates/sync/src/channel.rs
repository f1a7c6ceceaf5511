//! One database in one session: rounds one at a time, and live entries between them.
//!
//! Invariant: what the peer is known to hold is known for certain, sent, or declined by it; after a
//! round, whatever else becomes a tip here is sent without being asked for. To a peer that may not
//! read, nothing is said but which of its own entries are held here.

use weald_dag::{DatabaseId, EntryId, Number, Verdict};

use crate::batch::{EntryBatch, RawParcels};
use crate::class::{Class, Classes, Tally};
use crate::close::{CloseReason, PeerFault};
use crate::context::{Context, View};
use crate::flow::Flow;
use crate::frontier::Frontier;
use crate::ids::{Bits, Ids};
use crate::incoming::Incoming;
use crate::limits::{
    FRONTIER_MAX, ROUNDS_MAX, WANT_DEPTH, WANT_DEPTH_FACTOR, WANT_DEPTH_MAX, WANT_MAX, WANTS_MAX,
};
use crate::message::{Announce, Control, Unheld};
use crate::naming::Name;
use crate::nearest::nearest;
use crate::outgoing::{Outgoing, Packed, Plan};
use crate::output::{BatchId, Event};
use crate::round::{Decision, Held, Round, Sending, Theirs};
use crate::status::{DatabaseState, DatabaseStatus};

/// One database in one session.
pub(crate) struct Channel {
    database: DatabaseId,
    name: Name,
    round: Option<Round>,
    /// The number of the last round that was begun.
    last_round: u64,
    /// How many rounds in a row left a tip without a class.
    attempt: u8,
    known: Frontier,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Whether something was committed that is not planned yet.
    dirty: bool,
    allowed: bool,
    /// Whether the last announcement said that the database is complete here.
    offered: bool,
    /// Whether the last announcement said nothing of what is held here.
    silent: bool,
    /// Whether the peer could read when it was last looked at.
    readable: bool,
    /// Whether the peer, told that it may not read, is heard out in this round all the same.
    heard_out: bool,
    /// Whether the next announcement is to be heard by a peer that has said that we may not read.
    objects: bool,
    ending: Option<Ending>,
    tally: Tally,
    progress: Progress,
    status: DatabaseStatus,
}

/// Why a database must be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A key of the peer once held something and may not read any more.
    Revoked,
    /// The peer could read as anyone can, and anyone cannot any more.
    Closed,
}

#[derive(Default)]
struct Progress {
    entries_before: u64,
    bytes_before: u64,
    total: Option<u64>,
}

impl Channel {
    pub(crate) fn new(database: DatabaseId, name: Name) -> Self {
        Self {
            database,
            name,
            round: None,
            last_round: 0,
            attempt: 0,
            known: Frontier::default(),
            outgoing: Outgoing::default(),
            incoming: Incoming::new(database),
            dirty: false,
            allowed: false,
            offered: false,
            silent: false,
            readable: false,
            heard_out: false,
            objects: false,
            ending: None,
            tally: Tally::default(),
            progress: Progress::default(),
            status: DatabaseStatus::new(DatabaseState::Asked),
        }
    }

    pub(crate) const fn database(&self) -> DatabaseId {
        self.database
    }

    /// Returns why the database must be left, if it must.
    pub(crate) const fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Looks whether the peer may read by the authority as it is now; returns whether to go on with
    /// it. Before all of the database is here, what is known of its authority ends nothing.
    pub(crate) fn check(&mut self, ctx: &Context<'_>) -> Result<bool, CloseReason> {
        let could = std::mem::replace(&mut self.readable, ctx.may_read(&self.database)?);
        if self.readable || self.ending.is_some() {
            return Ok(self.ending.is_none());
        }
        if !ctx.reads.database(&self.database)?.is_some_and(|local| local.complete) {
            return Ok(true);
        }
        self.ending = match ctx.reads.taken_from(&self.database, ctx.keys)? {
            Some(_) if self.heard_out => None,
            Some(_) => Some(Ending::Revoked),
            None if could => Some(Ending::Closed),
            None => None,
        };
        Ok(self.ending.is_none())
    }

    /// Returns whether the peer could read when it was last looked at.
    pub(crate) const fn is_readable(&self) -> bool {
        self.readable
    }

    /// Hears the peer out in the round that comes, though it may not read by what is known here.
    pub(crate) const fn hear_out(&mut self) {
        self.heard_out = true;
    }

    /// Starts a round against the peer's word that this side may not read.
    pub(crate) fn object(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.objects = true;
        self.start(false, ctx)
    }

    /// Starts a round, unless one is running.
    pub(crate) fn start(&mut self, forget: bool, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.round.is_some() {
            return Ok(());
        }
        let view = ctx.view(&self.database)?;
        let again = self.begin(&view, ctx)?;
        self.announce(forget || again, &view, ctx)
    }

    /// Returns whether the peer must forget what it has sent, because not all of it stayed.
    fn begin(&mut self, view: &View, ctx: &Context<'_>) -> Result<bool, CloseReason> {
        let held = Held::read(view.graph().as_ref())?;
        let may_read = ctx.may_read(&self.database)?;
        self.allowed = view.is_complete() && may_read;
        self.last_round += 1;
        self.round = Some(Round::new(self.last_round, held, self.allowed, may_read));
        self.outgoing.drop_live();
        self.dirty = false;
        self.progress = Progress {
            entries_before: self.incoming.entries,
            bytes_before: self.incoming.bytes,
            total: None,
        };
        Ok(self.incoming.begin_round())
    }

    fn announce(
        &mut self,
        forget: bool,
        view: &View,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        if let Some(round) = &mut self.round {
            let graph = view.graph();
            let mut announce =
                round.announce(self.name, view.is_complete(), forget, graph.as_ref())?;
            announce.objects = std::mem::take(&mut self.objects);
            self.offered = announce.complete;
            self.silent = announce.silent;
            ctx.out.control(Control::Announce(announce));
        }
        Ok(())
    }

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

    fn round(&mut self, number: u64) -> Result<&mut Round, PeerFault> {
        self.round
            .as_mut()
            .filter(|round| round.number == number)
            .ok_or(PeerFault::Unexpected { what: "a message of no running round" })
    }

    fn decide(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
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

    /// Takes the peer's word on how many entries will come.
    pub(crate) fn sending(&mut self, number: u64, entries: u64) -> Result<(), CloseReason> {
        self.round(number)?;
        self.progress.total = Some(entries);
        Ok(())
    }

    /// Takes the peer's word that all entries of the round have come.
    pub(crate) fn sent(&mut self, number: u64, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.round(number)?.peer_sent = true;
        self.settle(ctx)
    }

    /// Takes a batch of entries.
    pub(crate) fn entries(
        &mut self,
        batch: EntryBatch,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let bootstrap = !ctx.view(&self.database)?.is_complete();
        Ok(self.incoming.take(batch, bootstrap, ctx.flow, ctx.out)?)
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
        if let Some(batch) = judged.acknowledge {
            ctx.out.control(Control::Ack { name: self.name, batch });
            self.tell_progress(ctx);
        }
        if !judged.ready.is_empty() {
            let raw = RawParcels::pack(&judged.ready);
            let id = ctx.flow.begin(self.name, raw.len())?;
            self.incoming.retry(id, raw);
            ctx.out.ingest(id, self.database, judged.ready, !view.is_complete());
        }
        if self.round.is_none() && self.incoming.is_idle() && self.incoming.has_gap() {
            return self.start(true, ctx);
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

    /// Classes the peer's tips once all that it sent has its verdicts.
    fn settle(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
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

    fn finish(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
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
        if self.dirty || ctx.may_send(&self.database, &view)? != self.allowed {
            return self.push(ctx);
        }
        Ok(())
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

    /// Starts a round where the peer's new keys let it have what was withheld; the round that may be
    /// running looks at the keys by itself.
    pub(crate) fn keys_came(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let view = ctx.view(&self.database)?;
        if self.round.is_some() {
            return Ok(());
        }
        let speaks = self.silent && ctx.may_read(&self.database)?;
        if speaks || (!self.allowed && ctx.may_send(&self.database, &view)?) {
            return self.start(false, ctx);
        }
        Ok(())
    }

    /// Sends what has been committed here since, as far as the peer does not hold it.
    pub(crate) fn push(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.round.is_some() || self.outgoing.is_planned() {
            self.dirty = true;
            return Ok(());
        }
        self.dirty = false;
        let view = ctx.view(&self.database)?;
        let may_send = ctx.may_send(&self.database, &view)?;
        if !may_send {
            // What comes while the database is fetched goes on once all of it is here.
            self.dirty = !view.is_complete();
            return Ok(());
        }
        self.allowed = true;
        if self.silent || self.known.len() > FRONTIER_MAX {
            return self.start(false, ctx);
        }
        let Some(graph) = view.graph() else {
            return Ok(());
        };
        let tips = graph.head()?.map(|(_, head)| head.tips).unwrap_or_default();
        let known = graph.still_stored(self.known.iter())?;
        let new = graph.difference(&tips, &known)?;
        if !new.is_empty() {
            self.outgoing.start(Plan::Numbers(new.into()), true);
        }
        Ok(())
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
        let tips = round.theirs.iter().flat_map(|theirs| &theirs.tips);
        let tips: Vec<Number> = tips.flatten().copied().collect();
        let view = ctx.view(&self.database)?;
        let mut numbers = Vec::new();
        if !ctx.may_send(&self.database, &view)? {
            ctx.out.control(Control::Wanted(self.name));
            return Ok(());
        }
        if let Some(graph) = view.graph() {
            let depth = usize::try_from(depth).unwrap_or(usize::MAX);
            let covered = graph.still_stored(tips)?;
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
        self.settle(ctx)
    }

    /// Takes the acknowledgement of a batch.
    pub(crate) fn acknowledged(
        &mut self,
        batch: u64,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        Ok(self.outgoing.acknowledge(batch, ctx.flow)?)
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
            Packed::Batch(message) => ctx.out.message(message),
            Packed::Wanted => ctx.out.control(Control::Wanted(self.name)),
            Packed::Sent { of_round: false } if self.dirty => self.push(ctx)?,
            Packed::Sent { of_round: true } => {
                if let Some(round) = &mut self.round {
                    round.sending = Sending::Done;
                    let (name, round) = (self.name, round.number);
                    ctx.out.control(Control::Sent { name, round });
                }
                self.finish(ctx)?;
            }
            Packed::Sent { .. } | Packed::Idle => {}
        }
        Ok(true)
    }

    /// Gives back what the session holds for this database, before it is left.
    pub(crate) fn release(&mut self, flow: &mut Flow) {
        self.outgoing.release(flow);
    }

    /// Returns whether there is anything to send.
    pub(crate) const fn has_work(&self) -> bool {
        self.outgoing.has_work() && self.ending.is_none()
    }

    /// Returns whether the peer owes an answer.
    pub(crate) fn waits_for_peer(&self) -> bool {
        self.round.is_some() || self.outgoing.is_in_flight()
    }

    pub(crate) fn status(&self) -> DatabaseStatus {
        let state = match &self.round {
            Some(round) if round.theirs.is_none() => DatabaseState::Asked,
            Some(round) if round.sending == Sending::Running => DatabaseState::Transferring,
            Some(_) if self.progress.total.is_some() => DatabaseState::Transferring,
            Some(_) => DatabaseState::Comparing,
            None => DatabaseState::Live,
        };
        DatabaseStatus {
            state,
            pending_in: self.incoming.waiting(),
            pending_out: self.outgoing.left(),
            entries_in: self.incoming.entries,
            entries_out: self.outgoing.entries,
            bytes_in: self.incoming.bytes,
            bytes_out: self.outgoing.bytes,
            ..self.status.clone()
        }
    }
}

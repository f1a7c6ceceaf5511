//! One database in one session: rounds one at a time, and live entries between them.
//!
//! Invariant: what the peer is known to hold is known for certain, sent, or declined by it; after a
//! round, whatever else becomes a tip here is sent without being asked for. To a peer that may not
//! read, nothing is said but which of its own entries are held here.

mod comparing;
mod live;
mod moving;
mod owing;
mod settling;

use weald_dag::{DatabaseId, EntryId, Number};

use crate::class::Tally;
use crate::close::CloseReason;
use crate::context::{Context, View};
use crate::cost::Cost;
use crate::flow::Flow;
use crate::frontier::Frontier;
use crate::held::Held;
use crate::incoming::Incoming;
use crate::limits::COMMON_MAX;
use crate::message::Control;
use crate::naming::Name;
use crate::outgoing::Outgoing;
use crate::round::{Round, Scope, Sending};
use crate::short::ShortIds;
use crate::status::{DatabaseState, DatabaseStatus};
use live::Live;

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
    /// What an earlier session has shown that both held, until the first round begins.
    recalled: Vec<EntryId>,
    /// What both held when nothing was on its way to the peer.
    common: Vec<Number>,
    outgoing: Outgoing,
    incoming: Incoming,
    live: Live,
    /// Whether a round was asked for while one was running.
    asked_again: bool,
    /// Whether the round that runs was begun for that, in place of the end of the one before.
    repeats: bool,
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
    pub(crate) spent: Spent,
    status: DatabaseStatus,
}

/// How many bytes were said and heard about a database, its entries among them.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    pub(crate) said: u64,
    pub(crate) heard: u64,
    /// How many of the bytes heard are those of the control under way.
    pub(crate) hearing: u64,
    /// What all had cost when the round began.
    before: Cost,
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
    /// Makes the channel of a database; `recalled` is remembered as common with the peer.
    pub(crate) fn new(database: DatabaseId, name: Name, recalled: Vec<EntryId>) -> Self {
        Self {
            database,
            name,
            round: None,
            last_round: 0,
            attempt: 0,
            known: Frontier::default(),
            recalled,
            common: Vec::new(),
            outgoing: Outgoing::default(),
            incoming: Incoming::new(database),
            live: Live::default(),
            asked_again: false,
            repeats: false,
            allowed: false,
            offered: false,
            silent: false,
            readable: false,
            heard_out: false,
            objects: false,
            ending: None,
            tally: Tally::default(),
            progress: Progress::default(),
            spent: Spent::default(),
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

    /// Starts a round; one that is running is followed by another if it leaves out what is new here by now.
    pub(crate) fn start(&mut self, forget: bool, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.round.is_some() {
            self.asked_again = true;
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
        let mut round = Round::new(self.last_round, self.attempt, held, self.allowed, may_read);
        round.recall(std::mem::take(&mut self.recalled));
        self.round = Some(round);
        self.spent.before = self.cost_at(ctx);
        self.outgoing.drop_live();
        self.live.begin_round();
        self.asked_again = false;
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
            let shorts = ShortIds::new(ctx.transcript, &self.name, round.number);
            let scope = Scope { name: self.name, shorts: &shorts, known: &self.known };
            let mut announce =
                round.announce(view.is_complete(), forget, graph.as_ref(), &scope)?;
            announce.answers = round.answers(graph.as_ref(), &scope)?;
            announce.objects = std::mem::take(&mut self.objects);
            self.offered = announce.complete;
            self.silent = announce.silent;
            ctx.out.control(Control::Announce(announce));
        }
        Ok(())
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

    /// Takes note of what both hold, unless something is on its way that the peer may never get.
    fn remember(&mut self) {
        if !self.outgoing.is_in_flight() {
            self.common = self.known.held_at_most(COMMON_MAX).unwrap_or_default();
        }
    }

    /// Returns what both held when nothing was on its way to the peer; empty where that is not known or too much.
    pub(crate) fn common(&self) -> &[Number] {
        &self.common
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
        self.round.is_some() || self.outgoing.is_in_flight() || self.live.is_asking()
    }

    /// Returns what all has cost, that which is said in this call too.
    fn cost_at(&self, ctx: &Context<'_>) -> Cost {
        let mut cost = self.cost();
        cost.overhead_out += ctx.out.said() - ctx.said;
        cost
    }

    fn cost(&self) -> Cost {
        let (incoming, outgoing) = (&self.incoming, &self.outgoing);
        Cost {
            entries_in: incoming.entries,
            entries_out: outgoing.entries,
            entry_bytes_in: incoming.bytes,
            entry_bytes_out: outgoing.bytes,
            overhead_in: self.spent.heard.saturating_sub(incoming.bytes),
            overhead_out: self.spent.said.saturating_sub(outgoing.bytes),
        }
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
            cost: self.cost(),
            duplicates_in: self.incoming.duplicates,
            ..self.status.clone()
        }
    }
}

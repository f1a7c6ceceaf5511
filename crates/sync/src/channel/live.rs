//! What goes over a channel between rounds: own commits are pushed whole and at once; what came from
//! other peers is announced after a pause to those that have neither sent nor announced it, and
//! pushed where it is lacking, so that a mesh does not carry every entry over every link.
//!
//! Invariant: what came and was neither pushed nor announced is noted here, or a round that is
//! running covers it; one announcement at a time is without its answer.

use std::collections::BTreeSet;

use weald_dag::{EntryId, Graph, Number};

use super::Channel;
use crate::close::{CloseReason, PeerFault};
use crate::context::Context;
use crate::ids::{Bits, Ids};
use crate::limits::{FRONTIER_MAX, HAVE_MAX, HEARD_MAX};
use crate::message::Control;
use crate::outgoing::Plan;

/// What is still to be said of entries that came between rounds.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Whether something was committed here that is not planned yet.
    own: bool,
    /// Whether something came from another peer whose announcement is not planned yet.
    relayed: bool,
    /// When what came from others is announced, in milliseconds.
    due: Option<u64>,
    /// What was announced and has no answer yet.
    asked: Option<Asked>,
    /// What the peer has announced and was not here yet.
    heard: BTreeSet<EntryId>,
}

/// An announcement without its answer.
#[derive(Debug)]
struct Asked {
    /// What was announced, ascending.
    numbers: Vec<Number>,
    /// Whether that was only a part of what is new, which reaches the rest.
    sampled: bool,
}

impl Live {
    /// Forgets what is still to be said: a round that starts covers it.
    pub(super) const fn begin_round(&mut self) {
        self.own = false;
        self.relayed = false;
        self.due = None;
    }

    /// Returns whether the peer owes an answer.
    pub(super) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Returns whether anything waits that was committed here.
    pub(super) const fn has_own(&self) -> bool {
        self.own
    }

    /// Takes note that the peer holds these, which are not here yet.
    fn hear(&mut self, ids: impl IntoIterator<Item = EntryId>) {
        for id in ids {
            // Where too many are announced and never come, some are told of again: that does no harm.
            if self.heard.len() >= HEARD_MAX {
                self.heard.clear();
            }
            self.heard.insert(id);
        }
    }
}

impl Channel {
    /// Sends what is held here and not by the peer, as far as it may be sent.
    pub(crate) fn push(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.round.is_some() || self.outgoing.is_planned() {
            self.live.own = true;
            return Ok(());
        }
        // What came from others goes along.
        self.live.begin_round();
        let view = ctx.view(&self.database)?;
        if !self.may_go_live(view.is_complete(), ctx)? {
            // What comes while the database is fetched goes on once all of it is here.
            self.live.own = !view.is_complete();
            return Ok(());
        }
        if let Some(graph) = view.graph().filter(|_| self.round.is_none()) {
            let new = self.unknown_there(&graph)?;
            self.send_live(new);
        }
        Ok(())
    }

    /// Takes note of entries that came from another peer: they are announced after a pause.
    pub(crate) fn relay(&mut self, ctx: &mut Context<'_>) {
        if self.round.is_some() || self.outgoing.is_planned() || self.live.is_asking() {
            self.live.relayed = true;
        } else if self.live.due.is_none() {
            self.live.due = Some(ctx.pace.relay_at());
        }
    }

    /// Returns when something is to be announced.
    pub(crate) const fn announces_at(&self) -> Option<u64> {
        self.live.due
    }

    /// Announces what came from others, if it is time.
    pub(crate) fn wake(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let now = ctx.pace.now();
        if self.live.due.take_if(|due| *due <= now).is_none() {
            return Ok(());
        }
        if self.round.is_some() || self.outgoing.is_planned() || self.live.is_asking() {
            self.live.relayed = true;
            return Ok(());
        }
        let view = ctx.view(&self.database)?;
        if !self.may_go_live(view.is_complete(), ctx)? {
            self.live.own = !view.is_complete();
            return Ok(());
        }
        if let Some(graph) = view.graph().filter(|_| self.round.is_none()) {
            self.announce_new(&graph, ctx)?;
        }
        Ok(())
    }

    /// Looks whether entries may be sent between rounds; starts a round where one is needed for that.
    fn may_go_live(&mut self, complete: bool, ctx: &mut Context<'_>) -> Result<bool, CloseReason> {
        if !complete || !ctx.may_read(&self.database)? {
            return Ok(false);
        }
        self.allowed = true;
        if self.silent || self.known.len() > FRONTIER_MAX {
            self.start(false, ctx)?;
        }
        Ok(true)
    }

    /// Returns what is held here and, as far as is known, not by the peer, ascending.
    pub(super) fn unknown_there(&mut self, graph: &Graph<'_>) -> Result<Vec<Number>, CloseReason> {
        let heard: Vec<EntryId> = self.live.heard.iter().copied().collect();
        for id in heard {
            if let Some(number) = graph.number(&id)? {
                self.live.heard.remove(&id);
                self.known.advance(number, &graph.local(number)?.parents);
            }
        }
        let tips = graph.head()?.map(|(_, head)| head.tips).unwrap_or_default();
        let known = graph.still_stored(self.known.iter())?;
        Ok(graph.difference(&tips, &known)?)
    }

    fn send_live(&mut self, numbers: Vec<Number>) {
        if !numbers.is_empty() {
            self.outgoing.start(Plan::Numbers(numbers.into()), true);
        }
    }

    fn announce_new(
        &mut self,
        graph: &Graph<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let new = self.unknown_there(graph)?;
        if new.is_empty() {
            return Ok(());
        }
        let sampled = new.len() > HAVE_MAX;
        let numbers = if sampled { sample(&new) } else { new };
        let ids = Ids(graph.ids(&numbers)?);
        ctx.out.control(Control::Have { name: self.name, ids });
        self.live.asked = Some(Asked { numbers, sampled });
        Ok(())
    }

    /// Answers which of the entries that the peer announces are held here.
    pub(crate) fn have(&mut self, ids: Ids, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let view = ctx.view(&self.database)?;
        let mut found = vec![None; ids.0.len()];
        if let Some(graph) = view.graph() {
            for (id, place) in ids.0.iter().zip(&mut found) {
                *place = graph.number(id)?;
                if let Some(number) = *place {
                    self.known.advance(number, &graph.local(number)?.parents);
                }
            }
        }
        let held = found.iter().map(Option::is_some).collect();
        let unheld = ids.0.into_iter().zip(found).filter(|(_, found)| found.is_none());
        self.live.hear(unheld.map(|(id, _)| id));
        ctx.out.control(Control::Had { name: self.name, held });
        Ok(())
    }

    /// Takes the peer's answer to an announcement; what it does not hold goes to it at once.
    pub(crate) fn had(&mut self, held: &Bits, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(Asked { numbers, sampled }) = self.live.asked.take() else {
            return Err(PeerFault::Unexpected { what: "an answer to no announcement" }.into());
        };
        let view = ctx.view(&self.database)?;
        let Some(graph) = view.graph() else {
            return Ok(());
        };
        let mut lacking = Vec::new();
        for (i, number) in numbers.into_iter().enumerate() {
            if graph.standing_if_stored(number)?.is_none() {
                continue;
            }
            if held.get(i) {
                self.known.advance(number, &graph.local(number)?.parents);
            } else {
                lacking.push(number);
            }
        }
        // A round that was begun since covers what was announced.
        if self.round.is_some() || lacking.is_empty() {
            return self.go_on_live(ctx);
        }
        if sampled || self.outgoing.is_planned() {
            return self.push(ctx);
        }
        if self.may_go_live(view.is_complete(), ctx)? && self.round.is_none() {
            let known = graph.still_stored(self.known.iter())?;
            let new = graph.difference(&lacking, &known)?;
            self.send_live(new);
        }
        self.go_on_live(ctx)
    }

    /// Goes on with what came while something else was on its way.
    pub(super) fn go_on_live(&mut self, ctx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.live.own && self.round.is_none() && !self.outgoing.is_planned() {
            return self.push(ctx);
        }
        if std::mem::take(&mut self.live.relayed) {
            self.relay(ctx);
        }
        Ok(())
    }
}

/// Picks some of many, ascending, the last among them.
fn sample(numbers: &[Number]) -> Vec<Number> {
    let count = numbers.len();
    let pick = |i: usize| numbers.get((i + 1) * count / HAVE_MAX - 1).copied();
    (0..HAVE_MAX).filter_map(pick).collect()
}

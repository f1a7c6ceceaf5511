//! Entries on their way to a peer, for one database.
//!
//! Invariant: parents go before children; numbers wait here, parcels never do; what is packed is
//! marked as known to the peer, and nothing that nobody needs any more is packed.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use weald_dag::{Graph, Number, Standing, StoreError, Stored};

use crate::batch::{Kind, Packer};
use crate::close::PeerFault;
use crate::flow::Flow;
use crate::frontier::Frontier;
use crate::naming::Name;

/// What is to be sent.
#[derive(Debug)]
pub(crate) enum Plan {
    /// All needed entries from `next` to `end`, of which there are about `count`.
    All { next: Number, end: Number, count: u64 },
    /// These, ascending.
    Numbers(VecDeque<Number>),
}

impl Plan {
    fn is_empty(&self) -> bool {
        match self {
            Self::All { next, end, .. } => next > end,
            Self::Numbers(numbers) => numbers.is_empty(),
        }
    }

    /// Returns how many entries are left.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::All { count, .. } => *count,
            Self::Numbers(numbers) => numbers.len() as u64,
        }
    }
}

/// What became of packing.
#[derive(Debug)]
pub(crate) enum Packed {
    /// A batch to send.
    Batch {
        /// Its bytes.
        batch: Vec<u8>,
        /// Whether it is the last of a round's plan, and says so.
        ended: bool,
    },
    /// The plan has come to its end.
    Sent {
        /// Whether it was a round's plan.
        of_round: bool,
    },
    /// What was asked for by id has been sent.
    Wanted,
    /// There is nothing to send.
    Idle,
}

/// Entries on their way to a peer.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    plan: Option<Plan>,
    live: bool,
    wanted: VecDeque<Number>,
    answering: bool,
    last: u64,
    in_flight: VecDeque<(u64, usize)>,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Outgoing {
    /// Starts a plan; one that was running is dropped, because the new one covers it.
    pub(crate) fn start(&mut self, plan: Plan, live: bool) {
        self.plan = Some(plan);
        self.live = live;
    }

    /// Answers a want: these go before the plan.
    pub(crate) fn answer(&mut self, numbers: Vec<Number>) {
        self.wanted.extend(numbers);
        self.answering = true;
    }

    /// Returns whether a want is being answered.
    pub(crate) const fn is_answering(&self) -> bool {
        self.answering
    }

    /// Drops a plan of live entries: a round that starts covers it.
    pub(crate) fn drop_live(&mut self) {
        if self.live {
            self.plan = None;
        }
    }

    /// Drops the plan of a round: the peer holds all that it covers.
    pub(crate) fn drop_round(&mut self) {
        if !self.live {
            self.plan = None;
        }
    }

    /// Returns whether there is anything to send or to end.
    pub(crate) const fn has_work(&self) -> bool {
        self.plan.is_some() || self.answering
    }

    /// Returns whether a plan is running.
    pub(crate) const fn is_planned(&self) -> bool {
        self.plan.is_some()
    }

    /// Returns how many entries are still to be sent.
    pub(crate) fn left(&self) -> u64 {
        self.plan.as_ref().map_or(0, Plan::len) + self.wanted.len() as u64
    }

    /// Returns whether batches wait for their acknowledgement.
    pub(crate) fn is_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Packs the next batch.
    pub(crate) fn pack(
        &mut self,
        graph: &Graph<'_>,
        name: Name,
        known: &mut Frontier,
        flow: &mut Flow,
    ) -> Result<Packed, StoreError> {
        let for_want = self.answering;
        let mut packer = Packer::new(name, self.last + 1);
        if for_want {
            fill(&mut self.wanted, graph, &mut packer, known)?;
        } else {
            match &mut self.plan {
                Some(Plan::Numbers(numbers)) => fill(numbers, graph, &mut packer, known)?,
                Some(Plan::All { next, end, count }) => {
                    let sent = fill_range(next, *end, graph, &mut packer, known)?;
                    *count = count.saturating_sub(sent);
                }
                None => return Ok(Packed::Idle),
            }
        }
        if packer.entries() == 0 {
            if for_want {
                self.answering = false;
                return Ok(Packed::Wanted);
            }
            self.plan = None;
            return Ok(Packed::Sent { of_round: !self.live });
        }
        self.last += 1;
        self.entries += packer.entries();
        self.bytes += packer.parcel_bytes() as u64;
        let ended = !for_want && !self.live && self.plan.as_ref().is_some_and(Plan::is_empty);
        if ended {
            self.plan = None;
        }
        let kind = match (for_want, self.live) {
            (false, true) => Kind::Live,
            (false, false) if ended => Kind::Last,
            _ => Kind::Part,
        };
        let batch = packer.finish(kind, self.plan.as_ref().map_or(0, Plan::len));
        self.in_flight.push_back((self.last, batch.len()));
        flow.sent(batch.len());
        Ok(Packed::Batch { batch, ended })
    }

    /// Returns whether a batch waits for its acknowledgement, or one before it.
    pub(crate) fn awaits(&self, batch: u64) -> bool {
        self.in_flight.front().is_some_and(|(first, _)| *first <= batch)
    }

    /// Takes the acknowledgement of a batch and all before it.
    pub(crate) fn acknowledge(&mut self, batch: u64, flow: &mut Flow) -> Result<(), PeerFault> {
        if batch > self.last {
            return Err(PeerFault::Unexpected { what: "the acknowledgement of a batch to come" });
        }
        while let Some((number, bytes)) = self.in_flight.front().copied()
            && number <= batch
        {
            self.in_flight.pop_front();
            flow.acknowledged(bytes);
        }
        Ok(())
    }

    /// Takes the peer's word that all that was sent is stored.
    pub(crate) fn acknowledge_all(&mut self, flow: &mut Flow) {
        self.in_flight.drain(..).for_each(|(_, bytes)| flow.acknowledged(bytes));
    }

    /// Gives back the part of the window that is held, before the database is left.
    pub(crate) fn release(&mut self, flow: &mut Flow) {
        self.acknowledge_all(flow);
        self.plan = None;
        self.wanted.clear();
    }
}

fn fill(
    numbers: &mut VecDeque<Number>,
    graph: &Graph<'_>,
    packer: &mut Packer,
    known: &mut Frontier,
) -> Result<(), StoreError> {
    while !packer.is_full()
        && let Some(number) = numbers.pop_front()
    {
        // What was planned may have been hidden meanwhile, with all that descends from it, and dropped.
        if graph.standing_if_stored(number)?.is_some_and(Standing::is_needed) {
            let stored = graph.stored(number)?;
            packer.push(&stored.parcel);
            known.advance(number, &stored.local.parents);
        }
    }
    Ok(())
}

fn fill_range(
    next: &mut Number,
    end: Number,
    graph: &Graph<'_>,
    packer: &mut Packer,
    known: &mut Frontier,
) -> Result<u64, StoreError> {
    if *next > end {
        return Ok(0);
    }
    let mut sent = 0;
    graph.each_from(*next, &mut |stored: Stored| {
        if stored.number > end {
            return ControlFlow::Break(());
        }
        *next = Number(stored.number.0 + 1);
        if stored.local.standing.is_needed() {
            packer.push(&stored.parcel);
            known.advance(stored.number, &stored.local.parents);
            sent += 1;
        }
        if packer.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(sent)
}

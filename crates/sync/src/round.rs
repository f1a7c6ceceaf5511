//! One round: both sides say what they hold, find what the other lacks, send it, and class the tips.
//!
//! Invariant: whatever is taken as common is held by both, so what is planned is never too little;
//! comparing further only makes it less.

use serde_bytes::ByteBuf;
use weald_dag::{EntryId, Graph, Number, StoreError};

use crate::class::{Class, Tally};
use crate::close::PeerFault;
use crate::ids::{Bits, Ids};
use crate::incoming::Incoming;
use crate::limits::{DIRECT_MAX, PROBE_MAX, PROBE_STEPS_MAX, REASONS_MAX, TIPS_PAGE};
use crate::message::{Announce, Unheld};
use crate::naming::Name;
use crate::outgoing::Plan;
use crate::probe;

/// What this side holds at the start of a round.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// All tips, ascending.
    pub(crate) tips: Vec<Number>,
    /// The ids of the newest tips, as announced.
    pub(crate) page: Vec<EntryId>,
    digest: Option<[u8; 32]>,
    newest: Option<Number>,
    entries: u64,
}

impl Held {
    /// Reads what is held of a graph, if it is held at all.
    pub(crate) fn read(graph: Option<&Graph<'_>>) -> Result<Self, StoreError> {
        let Some(graph) = graph else {
            return Ok(Self::default());
        };
        let Some((newest, head)) = graph.head()? else {
            return Ok(Self::default());
        };
        let all = graph.ids(&head.tips)?;
        let digest = (all.len() > TIPS_PAGE).then(|| digest(&all));
        let page = all.get(all.len().saturating_sub(TIPS_PAGE)..).unwrap_or_default().to_vec();
        Ok(Self { tips: head.tips, page, digest, newest: Some(newest), entries: head.needed })
    }

    /// Returns the numbers of the announced tips.
    pub(crate) fn page_numbers(&self) -> &[Number] {
        self.tips.get(self.tips.len().saturating_sub(TIPS_PAGE)..).unwrap_or_default()
    }
}

fn digest(ids: &[EntryId]) -> [u8; 32] {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for id in &sorted {
        hasher.update(id.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// What the peer announced, and what of it is held here.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) announce: Announce,
    /// The number of each announced tip that was held here when it was announced.
    pub(crate) tips: Vec<Option<Number>>,
    probe: Vec<Option<Number>>,
}

impl Theirs {
    pub(crate) fn read(announce: Announce, graph: Option<&Graph<'_>>) -> Result<Self, StoreError> {
        let find = |ids: &Ids| match graph {
            Some(graph) => ids.0.iter().map(|id| graph.number(id)).collect(),
            None => Ok(vec![None; ids.0.len()]),
        };
        let (tips, probe) = (find(&announce.tips)?, find(&announce.probe)?);
        Ok(Self { announce, tips, probe })
    }

    /// Returns whether everything that the peer holds is held here.
    pub(crate) fn all_known(&self) -> bool {
        !self.announce.silent
            && self.announce.digest.is_none()
            && self.tips.iter().all(Option::is_some)
    }

    /// Returns which of the announced ids are held here.
    pub(crate) fn answers(&self) -> (Bits, Bits) {
        let bits = |held: &[Option<Number>]| held.iter().map(Option::is_some).collect();
        (bits(&self.tips), bits(&self.probe))
    }

    /// Classes the tips; returns the tally, and each that is not held here.
    pub(crate) fn classify(
        &self,
        graph: Option<&Graph<'_>>,
        incoming: &mut Incoming,
    ) -> Result<(Tally, Vec<Unheld>), StoreError> {
        let mut tally = Tally::default();
        let mut unheld = Vec::new();
        if self.announce.silent {
            tally.add(Class::Withheld);
        }
        for (index, id) in (0u32..).zip(&self.announce.tips.0) {
            let held = match graph {
                Some(graph) => graph.number(id)?.is_some(),
                None => false,
            };
            if held {
                tally.add(Class::Held);
                continue;
            }
            let why = incoming.why_not_held(id);
            let withheld = self.announce.withheld && why.class == Class::Missing;
            let class = if withheld { Class::Withheld } else { why.class };
            tally.add(class);
            if class == why.class && class != Class::Missing {
                // What waited for its parents waits no longer, and has the same class in later rounds.
                incoming.remember(*id, why.clone());
            }
            let reason = why.reason.filter(|_| unheld.len() < REASONS_MAX);
            unheld.push(Unheld { index, class, reason });
        }
        Ok((tally, unheld))
    }

    fn common(&self) -> impl Iterator<Item = Number> {
        self.tips.iter().chain(&self.probe).flatten().copied()
    }
}

/// How far this side has come with sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// It is not known yet what the peer lacks.
    Undecided,
    /// It is being sent.
    Running,
    /// All has been sent.
    Done,
}

/// What to do next about sending.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The peer has to say more first, or all is decided.
    Wait,
    /// The peer lacks nothing.
    Nothing,
    /// The peer is to say which of these it holds.
    Ask(Vec<Number>),
    /// This is to be sent.
    Send(Plan),
}

/// One round.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) ours: Held,
    /// Whether this side may send its entries to the peer.
    pub(crate) may_send: bool,
    /// Whether this side holds entries and does not say which.
    pub(crate) silent: bool,
    announced: Vec<Number>,
    pub(crate) theirs: Option<Theirs>,
    compared: bool,
    /// Whether the peer holds all of our tips.
    caught_up: bool,
    common: Vec<Number>,
    asked: Option<Vec<Number>>,
    steps: u8,
    exact: bool,
    pub(crate) sending: Sending,
    pub(crate) peer_sent: bool,
    pub(crate) wants: u8,
    /// How many wants of the peer were answered.
    pub(crate) wants_there: u8,
    pub(crate) wanting: bool,
    pub(crate) settled_here: bool,
    pub(crate) settled_there: Option<Vec<Unheld>>,
    pub(crate) round_trips: u32,
}

impl Round {
    pub(crate) fn new(number: u64, ours: Held, may_send: bool, may_read: bool) -> Self {
        Self {
            number,
            silent: !may_read && !ours.tips.is_empty(),
            ours,
            may_send,
            announced: Vec::new(),
            theirs: None,
            compared: false,
            caught_up: false,
            common: Vec::new(),
            asked: None,
            steps: 0,
            exact: false,
            sending: Sending::Undecided,
            peer_sent: false,
            wants: 0,
            wants_there: 0,
            wanting: false,
            settled_here: false,
            settled_there: None,
            round_trips: 1,
        }
    }

    /// Returns whether the peer may make this announcement now: its first of the round, or the one
    /// that tells what it did not tell in its first.
    pub(crate) fn awaits(&self, announce: &Announce) -> bool {
        self.number == announce.round
            && match &self.theirs {
                None => true,
                Some(theirs) => theirs.announce.silent && !announce.silent && !self.peer_sent,
            }
    }

    /// Returns the announcement of this side. It carries a probe when the peer has announced tips
    /// that are not held here, so that both may have moved.
    pub(crate) fn announce(
        &mut self,
        name: Name,
        complete: bool,
        forget: bool,
        graph: Option<&Graph<'_>>,
    ) -> Result<Announce, StoreError> {
        if self.silent {
            return Ok(Announce {
                name,
                round: self.number,
                complete: false,
                withheld: true,
                silent: true,
                objects: false,
                forget,
                entries: 0,
                tips: Ids::default(),
                total: 0,
                digest: None,
                probe: Ids::default(),
            });
        }
        let both_moved = self.theirs.as_ref().is_some_and(|theirs| !theirs.all_known());
        let mut ids = Vec::new();
        if let Some(graph) = graph.filter(|_| both_moved && !self.ours.tips.is_empty()) {
            let ours = graph.still_stored(self.ours.tips.iter().copied())?;
            self.announced = probe::below(graph, &ours)?;
            ids = graph.ids(&self.announced)?;
        }
        Ok(Announce {
            name,
            round: self.number,
            complete,
            withheld: !self.may_send,
            silent: false,
            objects: false,
            forget,
            entries: self.ours.entries,
            tips: Ids(self.ours.page.clone()),
            total: self.ours.tips.len() as u64,
            digest: self.ours.digest.map(|digest| ByteBuf::from(digest.to_vec())),
            probe: Ids(ids),
        })
    }

    /// Takes the peer's answer to the announcement.
    pub(crate) fn compare(&mut self, tips: &Bits, probe: &Bits) -> Result<(), PeerFault> {
        if self.compared {
            return Err(PeerFault::Unexpected { what: "a second comparison" });
        }
        self.compared = true;
        let held = |i: &usize| tips.get(*i);
        let page = self.ours.page_numbers();
        self.caught_up = page.len() == self.ours.tips.len() && (0..page.len()).all(|i| tips.get(i));
        self.common.extend((0..page.len()).filter(held).filter_map(|i| page.get(i)));
        let announced = self.announced.iter().enumerate();
        let of_probe = announced.filter(|(i, _)| probe.get(*i)).map(|(_, number)| *number);
        self.common.extend(of_probe);
        Ok(())
    }

    /// Takes the peer's answer to a probe.
    pub(crate) fn probed(&mut self, held: &Bits) -> Result<(), PeerFault> {
        let Some(asked) = self.asked.take() else {
            return Err(PeerFault::Unexpected { what: "an answer to no probe" });
        };
        let before = self.common.len();
        let answers = asked.into_iter().enumerate().filter(|(i, _)| held.get(*i));
        self.common.extend(answers.map(|(_, number)| number));
        // The lowest of them stand for the rest: where none is held, asking on gains nothing.
        self.exact |= self.common.len() == before && self.steps > 1;
        Ok(())
    }

    /// Decides what to send; `known` is what the peer is known to hold besides.
    pub(crate) fn decide(
        &mut self,
        graph: Option<&Graph<'_>>,
        known: &mut dyn Iterator<Item = Number>,
    ) -> Result<Decision, StoreError> {
        let Some(theirs) = &self.theirs else {
            return Ok(Decision::Wait);
        };
        if self.sending != Sending::Undecided || self.asked.is_some() {
            return Ok(Decision::Wait);
        }
        let Some((graph, newest)) = graph.filter(|_| self.may_send).zip(self.ours.newest) else {
            return Ok(Decision::Nothing);
        };
        if self.caught_up || self.equal(theirs) {
            return Ok(Decision::Nothing);
        }
        let common = theirs.common().chain(known).chain(self.common.iter().copied());
        let common = graph.still_stored(common)?;
        if !theirs.all_known() {
            if !self.compared {
                return Ok(Decision::Wait);
            }
            if common.is_empty() && self.steps == 0 {
                let ours = graph.still_stored(self.ours.tips.iter().copied())?;
                let asked = probe::below(graph, &ours)?;
                return Ok(self.ask(asked));
            }
        } else if common.is_empty() {
            let count = self.ours.entries;
            return Ok(Decision::Send(Plan::All { next: Number(0), end: newest, count }));
        }
        let ours = graph.still_stored(self.ours.tips.iter().copied())?;
        let difference = graph.difference(&ours, &common)?;
        if difference.is_empty() {
            return Ok(Decision::Nothing);
        }
        let exact = theirs.all_known() || self.exact || self.steps >= PROBE_STEPS_MAX;
        if exact || difference.len() <= DIRECT_MAX {
            return Ok(Decision::Send(Plan::Numbers(difference.into())));
        }
        self.exact = difference.len() <= PROBE_MAX;
        let asked = probe::spread(&difference);
        Ok(self.ask(asked))
    }

    fn ask(&mut self, numbers: Vec<Number>) -> Decision {
        self.steps += 1;
        self.round_trips += 1;
        self.asked = Some(numbers.clone());
        Decision::Ask(numbers)
    }

    fn equal(&self, theirs: &Theirs) -> bool {
        let announce = &theirs.announce;
        if announce.total != self.ours.tips.len() as u64 {
            return false;
        }
        match (&announce.digest, &self.ours.digest) {
            (Some(theirs), Some(ours)) => theirs.as_slice() == ours,
            (None, None) => {
                let mut sorted = (announce.tips.0.clone(), self.ours.page.clone());
                sorted.0.sort_unstable();
                sorted.1.sort_unstable();
                sorted.0 == sorted.1
            }
            _ => false,
        }
    }

    /// Returns whether both sides have classed all tips and sent all they had.
    pub(crate) fn is_over(&self) -> bool {
        self.settled_here && self.settled_there.is_some() && self.sending == Sending::Done
    }
}

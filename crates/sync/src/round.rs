//! One round: both sides say what they hold, find what the other lacks, send it, and class the tips.
//!
//! Who announces first leads: it names the base of the filters, and asks for symbols. Where both announce
//! at once, the side that dialled leads.
//!
//! Invariant: whatever is taken as common is held by both as far as the peer says the truth; a round that
//! found too little ends all the same, and the next one of the series looks by other means.

mod deciding;
mod symbols;

use std::collections::BTreeSet;

use weald_dag::{EntryId, Graph, Number, StoreError};

use crate::close::PeerFault;
use crate::cost::{Method, Waits};
use crate::frontier::Frontier;
use crate::held::Held;
use crate::ids::Ids;
use crate::limits::{COMMON_MAX, NEAR_MAX};
use crate::message::{Announce, Answers, Unheld};
use crate::naming::Name;
use crate::near;
use crate::outgoing::Plan;
use crate::pages::Pages;
use crate::recalled::{Recalled, are_apart};
use crate::rungs::Rungs;
use crate::short::ShortIds;
use crate::sift::Sieve;
use crate::theirs::Theirs;
use symbols::Symbolic;

/// How many entries below its newest tip a first announcement names.
const NEAR_FIRST: usize = 1;

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
    /// This is to be sent.
    Send(Plan),
}

/// What a round has at hand beside its graph.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) name: Name,
    pub(crate) shorts: &'a ShortIds,
    /// What the peer is known to hold besides.
    pub(crate) known: &'a Frontier,
}

/// One round.
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) ours: Held,
    /// Whether this side may send its entries to the peer.
    pub(crate) may_send: bool,
    /// Whether this side holds entries and does not say which.
    pub(crate) silent: bool,
    /// By which attempt of either side the difference is looked for.
    level: u8,
    /// Whether this side leads; it is known once the peer has announced.
    leads: bool,
    /// What is remembered as common with the peer.
    recalled: Vec<EntryId>,
    /// The entries near our tips, as announced.
    near: Vec<Number>,
    /// How many of them, the first, are those that are remembered.
    named: u64,
    /// Whether nothing is held by both but what is remembered as common, and before it.
    apart: bool,
    pub(crate) theirs: Option<Theirs>,
    /// Whether the peer has said which of our announced entries it holds.
    compared: bool,
    /// Whether the peer holds all of our tips.
    pub(crate) caught_up: bool,
    /// What we announced or the peer has named and both hold.
    common: Vec<Number>,
    /// Our announced tips that the peer does not hold.
    lacking: BTreeSet<Number>,
    /// Whether the peer lacks more than a few for all that was compared.
    many: bool,
    /// Whether the peer must hear more of what is held here.
    they_need: bool,
    their_rungs: Rungs,
    /// Whether the peer knows that we must hear more of what it holds.
    told_need: bool,
    /// Whether this side, leading, has said how to go on.
    led: bool,
    /// Whether the peer's filter has come.
    sifted: bool,
    sieve: Option<Sieve>,
    symbolic: Symbolic,
    pages: Option<Pages>,
    /// Whether filters and symbols are given up.
    by_pages: bool,
    method: Method,
    pub(crate) waits: Waits,
    pub(crate) sending: Sending,
    pub(crate) peer_sent: bool,
    pub(crate) wants: u8,
    /// How many wants of the peer were answered.
    pub(crate) wants_there: u8,
    pub(crate) wanting: bool,
    pub(crate) settled_here: bool,
    pub(crate) settled_there: Option<Vec<Unheld>>,
}

impl Round {
    pub(crate) fn new(number: u64, level: u8, ours: Held, may_send: bool, may_read: bool) -> Self {
        #[cfg(feature = "testing")]
        let level = crate::testing::attempt(level);
        Self {
            number,
            silent: !may_read && !ours.tips.is_empty(),
            ours,
            may_send,
            level,
            leads: false,
            recalled: Vec::new(),
            near: Vec::new(),
            named: 0,
            apart: false,
            theirs: None,
            compared: false,
            caught_up: false,
            common: Vec::new(),
            lacking: BTreeSet::new(),
            many: false,
            they_need: false,
            their_rungs: Rungs::default(),
            told_need: false,
            led: false,
            sifted: false,
            sieve: None,
            symbolic: Symbolic::default(),
            pages: None,
            by_pages: false,
            method: Method::Equal,
            waits: Waits::default(),
            sending: Sending::Undecided,
            peer_sent: false,
            wants: 0,
            wants_there: 0,
            wanting: false,
            settled_here: false,
            settled_there: None,
        }
    }

    /// Begins from what is remembered as common with the peer, unless a tip is still without a class.
    pub(crate) fn recall(&mut self, recalled: Vec<EntryId>) {
        if self.level == 0 {
            self.recalled = recalled;
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

    /// Takes the peer's announcement; `dialled` says whether this side of the link dialled.
    pub(crate) fn hear(&mut self, theirs: Theirs, announced_here: bool, dialled: bool) {
        self.waits.hear();
        self.caught_up |= theirs.announce.holds_all && self.ours.paged.is_none() && !self.silent;
        if self.theirs.is_none() {
            self.leads = announced_here && (theirs.announce.replies || dialled);
            self.level = self.level.max(theirs.announce.level);
            self.apart = self.level == 0 && theirs.are_apart();
        }
        self.theirs = Some(theirs);
    }

    /// Returns whether the peer, whose announcement has come, is to be told what of it is held.
    pub(crate) fn answers(
        &mut self,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
    ) -> Result<Option<Answers>, StoreError> {
        let Some(theirs) = &self.theirs else {
            return Ok(None);
        };
        let settles = theirs.announce.holds_all && self.caught_up;
        if settles || theirs.announce.silent || theirs.all_held(graph)? {
            return Ok(None);
        }
        let (tips, near) = theirs.answers();
        let mut answers = Answers { tips, near, ..Answers::default() };
        if !self.leads
            && !self.silent
            && !self.apart
            && let Some(graph) = graph
            && self.few(graph, scope)?.is_none()
        {
            answers.needs = self.may_send;
            answers.rungs = self.rungs(graph)?;
            self.told_need = answers.needs;
        }
        // What is apart is on its way without being asked for.
        if !self.apart {
            self.waits.ask();
        }
        Ok(Some(answers))
    }

    /// Returns the announcement of this side; a reply where the peer's has come already.
    pub(crate) fn announce(
        &mut self,
        complete: bool,
        forget: bool,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
    ) -> Result<Announce, StoreError> {
        let replies = self.theirs.is_some();
        let mut announce = Announce {
            name: scope.name,
            round: self.number,
            level: self.level,
            complete: complete && !self.silent,
            withheld: !self.may_send || self.silent,
            silent: self.silent,
            objects: false,
            forget,
            entries: 0,
            tips: Ids::default(),
            paged: None,
            near: Ids::default(),
            common: 0,
            replies,
            holds_all: match &self.theirs {
                Some(theirs) => theirs.all_held(graph)?,
                None => false,
            },
            answers: None,
        };
        self.waits.ask();
        if !self.silent {
            announce.entries = self.ours.entries;
            announce.tips = self.ours.announced();
            announce.paged.clone_from(&self.ours.paged);
            if let Some(graph) = graph {
                self.near = self.near(graph, scope.known)?;
                announce.near = Ids(graph.ids(&self.near)?);
                announce.common = self.named;
            }
        }
        Ok(announce)
    }

    /// Picks the entries near our tips that are announced: where the peer has said what it holds, those
    /// that may tell what is common.
    fn near(&mut self, graph: &Graph<'_>, known: &Frontier) -> Result<Vec<Number>, StoreError> {
        if self.theirs.is_none() {
            let ours = graph.still_stored(self.ours.tips.iter().copied())?;
            if let Some(recalled) = Recalled::read(graph, &ours, &self.recalled)? {
                self.named = recalled.common.len() as u64;
                return Ok([recalled.common, recalled.above].concat());
            }
        }
        let (mut tips, mut limit) = (self.ours.page_numbers().to_vec(), NEAR_FIRST);
        if let Some(theirs) = &self.theirs {
            if theirs.all_held(Some(graph))? {
                return Ok(Vec::new());
            }
            let shared: BTreeSet<Number> = theirs.common().collect();
            tips.retain(|tip| !shared.contains(tip));
            limit = NEAR_MAX;
        }
        let tips = graph.still_stored(tips)?;
        let mut near = near::below(graph, &tips, limit)?;
        let common = graph.still_stored(known.newest_held(COMMON_MAX))?;
        let page = self.ours.page_numbers().iter();
        let mut reached: BTreeSet<Number> = page.chain(&near).copied().collect();
        for number in near.iter().chain(&common) {
            reached.extend(graph.local(*number)?.parents);
        }
        near.extend(common.into_iter().filter(|number| !reached.contains(number)));
        Ok(near)
    }

    /// Takes the peer's answer to the announcement.
    pub(crate) fn compare(&mut self, answers: Answers) -> Result<(), PeerFault> {
        if self.compared {
            return Err(PeerFault::Unexpected { what: "a second comparison" });
        }
        self.waits.hear();
        self.compared = true;
        let page = self.ours.page_numbers();
        for (i, number) in page.iter().enumerate() {
            if answers.tips.get(i) {
                self.common.push(*number);
            } else {
                self.lacking.insert(*number);
            }
        }
        self.caught_up = self.ours.paged.is_none() && self.lacking.is_empty();
        let held = (0..self.near.len()).map(|i| answers.near.get(i));
        self.apart |= self.level == 0 && are_apart(self.named, held);
        let near = self.near.iter().enumerate().filter(|(i, _)| answers.near.get(*i));
        self.common.extend(near.map(|(_, number)| *number));
        self.they_need = answers.needs;
        self.their_rungs = answers.rungs;
        Ok(())
    }

    /// Takes note that the peer asks about a page.
    pub(crate) fn answer_page(&mut self) {
        self.waits.hear();
        self.waits.ask();
        self.method = Method::Pages;
    }

    /// Returns what the peer has announced and is held here, and what was announced to it and it holds.
    pub(crate) fn told_common(&self) -> impl Iterator<Item = Number> {
        let heard = self.theirs.iter().flat_map(Theirs::common);
        heard.chain(self.common.iter().copied())
    }

    /// Returns whether the peer knows by itself that nothing will be sent to it.
    pub(crate) fn peer_is_content(&self) -> bool {
        let all_said = self.ours.paged.is_none() && !self.silent;
        let equal = self.theirs.as_ref().is_some_and(|theirs| self.ours.equals(&theirs.announce));
        self.settled_there.is_some() || (all_said && equal)
    }

    /// Returns by which method the difference was found.
    pub(crate) fn method(&self) -> Method {
        let Some(theirs) = &self.theirs else {
            return self.method;
        };
        let least = if self.ours.equals(&theirs.announce) {
            Method::Equal
        } else if theirs.all_known() || (self.caught_up && self.lacking.is_empty()) {
            Method::FastForward
        } else {
            Method::Common
        };
        self.method.max(least)
    }

    /// Returns whether both sides have classed all tips and sent all they had.
    pub(crate) fn is_over(&self) -> bool {
        self.settled_here && self.settled_there.is_some() && self.sending == Sending::Done
    }
}

//! The text that the rows of a store say, in memory: loaded, then kept up with what arrives.
//!
//! Invariant: what it shows is a function of the rows of state, whatever it was loaded from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use loro::cursor::Side;
use weald_crdt::{View, ViewError};

use super::document::{Document, Refused};
use super::draft::Session;
use super::guard::Broken;
use super::left_out::AllLeftOut;
use super::rows::{self, Fingerprint, Head, Key, Snapshot, Stored};
use super::update::{Id, Update};

/// How a replica stands to rows that it was to keep up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It shows what they say.
    Current,
    /// It holds updates that they do not have yet.
    Ahead,
    /// It cannot be used any more.
    Useless,
}

/// The text of one store, in memory.
pub(super) struct Replica {
    pub(super) document: Document,
    /// How many updates had come.
    arrived: u64,
    holds: Fingerprint,
    /// Updates made here that have not been seen to arrive.
    ahead: BTreeSet<Key>,
    /// The updates that were not taken; `None` when the next one that comes may change which are.
    left_out: Option<AllLeftOut>,
    /// Whether what was committed here lets others in that were left out.
    is_useless: bool,
    /// What hidden updates wrote, as counters of their peers.
    hidden: Vec<(u64, Range<u32>)>,
    /// The places of what they wrote, ascending.
    veil: Vec<Range<usize>>,
    /// Who wrote to it last here.
    pub(super) session: Option<Session>,
}

impl Replica {
    fn new(document: Document, arrived: u64, holds: Fingerprint) -> Self {
        let (hidden, veil) = (Vec::new(), Vec::new());
        Self {
            document,
            arrived,
            holds,
            ahead: BTreeSet::new(),
            is_useless: false,
            left_out: Some(AllLeftOut::default()),
            hidden,
            veil,
            session: None,
        }
    }

    /// Loads the text from rows: from the snapshot if there is one that they bear out.
    pub(super) fn load(view: &dyn View) -> Result<Self, ReplicaError> {
        let snapshot = Snapshot::read(view)?;
        let quick = snapshot.and_then(|Snapshot { arrived, holds, left_out, bytes }| {
            let replica = Self::new(Document::of_snapshot(&bytes).ok()?, arrived, holds);
            Some(Self { left_out: Some(left_out), ..replica })
        });
        let mut quick = match quick {
            Some(quick) => quick,
            None => Self::new(Document::new()?, 0, Fingerprint::default()),
        };
        match quick.advance(view)? {
            Standing::Current => Ok(quick),
            Standing::Ahead | Standing::Useless => Self::of_state(view),
        }
    }

    /// Makes the text from the rows of state alone: of updates with the same counters the one of the
    /// smallest entry id counts; all are taken by time as soon as what they depend on is there.
    pub(super) fn of_state(view: &dyn View) -> Result<Self, ReplicaError> {
        let all = rows::read_all(view)?;
        let mut holds = Fingerprint::default();
        all.iter().for_each(|stored| holds.add(&stored.key, stored.is_visible));
        let (mut valid, shared) = without_collisions(all);
        valid.sort_by(|a, b| {
            (a.time, rows::entry_of(&a.key)).cmp(&(b.time, rows::entry_of(&b.key)))
        });
        let mut wrong = BTreeSet::new();
        let (document, taken) = loop {
            match take_all(&valid, &wrong)? {
                Ok(taken) => break taken,
                Err(key) => wrong.insert(key),
            };
        };
        let mut replica = Self::new(document, Head::read(view)?.arrived, holds);
        let (shown, out): (Vec<_>, Vec<_>) =
            valid.iter().partition(|stored| taken.contains(&stored.key));
        shown.into_iter().for_each(|stored| replica.note_hidden(stored));
        let mut left_out = AllLeftOut::default();
        out.into_iter().chain(&shared).for_each(|stored| left_out.add(&stored.update));
        // Which one breaks a document may depend on what comes.
        replica.left_out = wrong.is_empty().then_some(left_out);
        replica.draw_veil()?;
        Ok(replica)
    }

    /// Takes what has arrived since.
    pub(super) fn advance(&mut self, view: &dyn View) -> Result<Standing, ViewError> {
        if self.is_useless {
            return Ok(Standing::Useless);
        }
        let head = Head::read(view)?;
        if head.arrived < self.arrived {
            return Ok(Standing::Ahead);
        }
        let Some(keys) = rows::arrivals(view, self.arrived, head.arrived)? else {
            return Ok(Standing::Useless);
        };
        let mut new = Vec::new();
        for key in keys {
            if !self.ahead.remove(&key) {
                let Some(stored) = rows::read(view, &key)? else { return Ok(Standing::Useless) };
                self.holds.add(&key, stored.is_visible);
                self.note_hidden(&stored);
                new.push(stored);
            }
        }
        if new.iter().any(|one| self.is_unsettled_by(&one.update))
            || self.document.import(new.iter().map(|one| &one.update)).is_err()
        {
            return Ok(Standing::Useless);
        }
        self.arrived = head.arrived;
        if !self.ahead.is_empty() {
            return Ok(Standing::Ahead);
        }
        let current = self.holds == Fingerprint::read(view)? && self.draw_veil().is_ok();
        Ok(if current { Standing::Current } else { Standing::Useless })
    }

    /// Notes that what was edited here was committed, as this entry.
    pub(super) fn committed(&mut self, update: &Update, entry: &[u8; 32]) {
        let key = rows::key_of(update.peer, update.start, entry);
        self.holds.add(&key, true);
        self.ahead.insert(key);
        self.is_useless |= self.is_unsettled_by(update);
    }

    fn is_unsettled_by(&self, update: &Update) -> bool {
        self.left_out.as_ref().is_none_or(|left_out| left_out.is_unsettled_by(update))
    }

    /// Returns a snapshot; `None` if it is not worth one.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let plain = self.hidden.is_empty() && self.ahead.is_empty();
        let left_out = self.left_out.clone().filter(|_| plain)?;
        let bytes = self.document.snapshot().ok()?;
        Some(Snapshot { arrived: self.arrived, holds: self.holds, left_out, bytes })
    }

    fn note_hidden(&mut self, stored: &Stored) {
        if !stored.is_visible {
            self.hidden.push((stored.update.peer, stored.update.start..stored.update.end()));
        }
    }

    /// Finds the places of what hidden updates wrote.
    pub(super) fn draw_veil(&mut self) -> Result<(), Broken> {
        self.veil.clear();
        if self.hidden.is_empty() {
            return Ok(());
        }
        for at in 0..self.document.len()? {
            let is_hidden =
                self.document.id_at(at, Side::Middle)?.is_some_and(|id| self.hides(&id));
            match self.veil.last_mut() {
                Some(last) if is_hidden && last.end == at => last.end = at + 1,
                _ if is_hidden => self.veil.push(at..at + 1),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns whether a hidden update wrote a character.
    pub(super) fn hides(&self, id: &Id) -> bool {
        self.hidden.iter().any(|(peer, range)| *peer == id.peer && range.contains(&id.counter))
    }

    /// Returns whether anything is taken out of what is shown.
    pub(super) fn is_veiled(&self) -> bool {
        !self.veil.is_empty()
    }

    /// Returns the hidden places, ascending.
    pub(super) fn veil(&self) -> &[Range<usize>] {
        &self.veil
    }
}

/// Why a text could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplicaError {
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Takes of updates that share counters the one of the smallest entry id, and gives the others
/// beside.
fn without_collisions(mut all: Vec<Stored>) -> (Vec<Stored>, Vec<Stored>) {
    all.sort_by(|a, b| rows::entry_of(&a.key).cmp(rows::entry_of(&b.key)));
    let mut taken: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    all.into_iter().partition(|Stored { update, .. }| {
        let (peer, start, end) = (update.peer, update.start, update.end());
        let before = taken.range((peer, 0)..(peer, end)).next_back();
        let free = before.is_none_or(|(_, taken)| *taken <= start);
        if free {
            taken.insert((peer, start), end);
        }
        free
    })
}

/// Takes updates in order, each when what it depends on is there; those that never are stay out.
/// Gives the key of one that the document breaks on.
#[allow(clippy::type_complexity)]
fn take_all(
    updates: &[Stored],
    wrong: &BTreeSet<Key>,
) -> Result<Result<(Document, BTreeSet<Key>), Key>, Broken> {
    let mut document = Document::new()?;
    let mut taken = BTreeSet::new();
    let mut left: Vec<&Stored> =
        updates.iter().filter(|stored| !wrong.contains(&stored.key)).collect();
    loop {
        let before = left.len();
        let mut waiting = Vec::new();
        for stored in left {
            match document.import([&stored.update]) {
                Ok(()) => {
                    taken.insert(stored.key);
                }
                Err(Refused::Waits) => waiting.push(stored),
                Err(Refused::Collides | Refused::Wrong) => {}
                Err(Refused::Broken) => return Ok(Err(stored.key)),
            }
        }
        if waiting.is_empty() || waiting.len() == before {
            return Ok(Ok((document, taken)));
        }
        left = waiting;
    }
}

//! The settings entries that were let in, and what each asks for and does.
//!
//! Invariant: an entry comes after those in its past; nothing here depends on which of them count.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{EntryId, PublicKey, Time};

use crate::epoch::{EpochId, Epochs};
use crate::holding::Strength;
use crate::level::Level;
use crate::need::{Claim, Need};
use crate::operation::{Operation, Subject};
use crate::settings_index::SettingsIndex;

/// A settings entry that was let in.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: EntryId,
    pub(crate) author: PublicKey,
    pub(crate) generation: u64,
    pub(crate) time: Time,
    pub(crate) writes_data: bool,
    pub(crate) operations: Vec<Operation>,
    /// What it asks for; `None` where no holding allows it.
    pub(crate) need: Option<Need>,
}

impl Kept {
    fn of(claim: &Claim<'_>) -> Self {
        Self {
            id: claim.id,
            author: claim.author,
            generation: claim.generation,
            time: claim.time,
            writes_data: claim.writes_data,
            operations: claim.operations.unwrap_or_default().to_vec(),
            need: Need::of(claim).ok(),
        }
    }

    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.id,
            author: self.author,
            generation: self.generation,
            time: self.time,
            writes_data: self.writes_data,
            operations: Some(&self.operations),
        }
    }

    pub(crate) fn is_own_limit(&self) -> bool {
        self.need.as_ref().is_some_and(Need::is_own_limit)
    }

    pub(crate) fn limits(&self) -> impl Iterator<Item = (Subject, Option<Level>)> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Limit { subject, to } => Some((*subject, *to)),
            _ => None,
        })
    }

    /// Returns what it gives to a subject and to anyone, if it counts.
    pub(crate) fn given_to(&self, to: Subject) -> impl Iterator<Item = Strength> {
        self.operations.iter().filter_map(move |operation| match operation {
            Operation::Grant { subject, level, .. } => {
                let is_meant = *subject == to || *subject == Subject::Anyone;
                is_meant.then_some(Strength::Level(*level))
            }
            Operation::Invite { key, gives, uses, .. } => {
                let (gives, uses) = (*gives, *uses);
                (Subject::Key(*key) == to).then_some(Strength::Invite { gives, uses })
            }
            Operation::Limit { .. } | Operation::Set { .. } => None,
        })
    }

    fn gives_to(&self) -> impl Iterator<Item = Subject> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Grant { subject, .. } => Some(*subject),
            Operation::Invite { key, .. } => Some(Subject::Key(*key)),
            Operation::Limit { .. } | Operation::Set { .. } => None,
        })
    }
}

/// All settings entries of a database that were let in, with the epochs that they make.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    pub(crate) epochs: Epochs,
    kept: Vec<Arc<Kept>>,
    by_author: BTreeMap<PublicKey, Arc<Vec<SettingsIndex>>>,
    own_limits: Vec<SettingsIndex>,
    /// The entries that would give something to a subject.
    giving: BTreeMap<Subject, Arc<Vec<SettingsIndex>>>,
}

impl Entries {
    pub(crate) fn new() -> Self {
        Self {
            epochs: Epochs::new(),
            kept: Vec::new(),
            by_author: BTreeMap::new(),
            own_limits: Vec::new(),
            giving: BTreeMap::new(),
        }
    }

    /// Adds a settings entry whose past has this epoch.
    pub(crate) fn add(&mut self, epoch: EpochId, claim: &Claim<'_>) -> SettingsIndex {
        let index = self.epochs.add(epoch);
        let kept = Kept::of(claim);
        Arc::make_mut(self.by_author.entry(kept.author).or_default()).push(index);
        if kept.is_own_limit() {
            self.own_limits.push(index);
        }
        for subject in kept.gives_to() {
            let giving = Arc::make_mut(self.giving.entry(subject).or_default());
            if giving.last() != Some(&index) {
                giving.push(index);
            }
        }
        self.kept.push(Arc::new(kept));
        index
    }

    pub(crate) fn get(&self, index: SettingsIndex) -> Option<&Kept> {
        self.kept.get(usize::try_from(index.0).ok()?).map(Arc::as_ref)
    }

    pub(crate) fn count(&self) -> u64 {
        self.epochs.settings_count()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = SettingsIndex> + use<> {
        (0..self.count()).map(SettingsIndex)
    }

    /// Returns the entries that could count under what a subject holds, ascending: of anyone, those
    /// that limit their own author, for Read and Write allow nothing else in the settings.
    pub(crate) fn users_of(&self, subject: Subject) -> &[SettingsIndex] {
        match subject {
            Subject::Key(key) => self.by_author.get(&key).map_or(&[], |users| users),
            Subject::Anyone => &self.own_limits,
        }
    }

    /// Returns the entries that would give something to a subject, whether they count or not.
    pub(crate) fn giving_to(&self, subject: Subject) -> &[SettingsIndex] {
        self.giving.get(&subject).map_or(&[], |giving| giving)
    }

    /// Returns whether the first settings entry is in the past of the second.
    pub(crate) fn precedes(&self, earlier: SettingsIndex, later: SettingsIndex) -> bool {
        self.epochs.precedes(earlier, later)
    }
}

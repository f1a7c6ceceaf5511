//! All settings entries of a database that were let in, and what counts among them.
//!
//! Invariant: the tables hold the same settings entries; `everything` is what [`crate::resolve`]
//! makes of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{EntryId, PublicKey, Time};

use crate::cache::Cache;
use crate::epoch::{EpochId, Epochs};
use crate::need::{Claim, Need, given};
use crate::operation::{Operation, Subject};
use crate::rank::Rank;
use crate::resolved::{Asks, Effects, Resolved, User};
use crate::settings_index::SettingsIndex;

/// Decides of two writes to one setting: the greater one stands.
pub(crate) type Stamp = (Time, EntryId, usize);

/// A settings entry that was let in.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: EntryId,
    pub(crate) author: PublicKey,
    pub(crate) generation: u64,
    pub(crate) time: Time,
    pub(crate) writes_data: bool,
    pub(crate) operations: Vec<Operation>,
}

impl Kept {
    pub(crate) fn of(claim: &Claim<'_>) -> Self {
        Self {
            id: claim.id,
            author: claim.author,
            generation: claim.generation,
            time: claim.time,
            writes_data: claim.writes_data,
            operations: claim.operations.unwrap_or_default().to_vec(),
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
        self.limits().any(|(subject, _)| subject == Subject::Key(self.author))
    }

    pub(crate) fn limits(&self) -> impl Iterator<Item = (Subject, Option<crate::level::Level>)> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Limit { subject, to } => Some((*subject, *to)),
            _ => None,
        })
    }

    pub(crate) fn user<'a>(
        &self,
        need: &Need,
        knows: &'a Asks<'a>,
        is_before: &'a Asks<'a>,
    ) -> User<'a> {
        let limits_itself = need.is_own_limit();
        User {
            author: Subject::Key(self.author),
            millis: self.time.millis(),
            knows,
            is_before,
            limits_itself,
        }
    }

    /// Returns what it does when it counts under a rank.
    pub(crate) fn effects(&self, index: SettingsIndex, rank: Rank) -> Effects {
        let holdings = given(&self.claim(), index, rank).into_iter().map(Arc::new).collect();
        let limits = self.limits().collect();
        Effects { index, author: self.author, rank, holdings, limits }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) epochs: Epochs,
    pub(crate) entries: Vec<Arc<Kept>>,
    pub(crate) by_author: BTreeMap<PublicKey, Vec<SettingsIndex>>,
    /// The entries that limit their own author.
    pub(crate) own_limits: Vec<SettingsIndex>,
    pub(crate) everything: Resolved,
    pub(crate) settings: BTreeMap<String, (Stamp, Arc<str>)>,
    pub(crate) cache: Cache,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self {
            epochs: Epochs::new(),
            entries: Vec::new(),
            by_author: BTreeMap::new(),
            own_limits: Vec::new(),
            everything: Resolved::default(),
            settings: BTreeMap::new(),
            cache: Cache::default(),
        }
    }

    pub(crate) fn kept(&self, index: SettingsIndex) -> Option<&Kept> {
        self.entries.get(usize::try_from(index.0).ok()?).map(Arc::as_ref)
    }

    /// Adds a settings entry, without asking what counts now.
    pub(crate) fn keep(&mut self, epoch: EpochId, claim: &Claim<'_>) -> SettingsIndex {
        let index = self.epochs.add(epoch);
        let kept = Kept::of(claim);
        self.by_author.entry(kept.author).or_default().push(index);
        if kept.is_own_limit() {
            self.own_limits.push(index);
        }
        self.entries.push(Arc::new(kept));
        index
    }

    /// Takes up what a visible entry sets.
    pub(crate) fn set_by(&mut self, index: SettingsIndex) {
        let Some(kept) = self.entries.get(usize::try_from(index.0).unwrap_or(usize::MAX)) else {
            return;
        };
        for (place, operation) in kept.operations.iter().enumerate() {
            let Operation::Set { key, value } = operation else { continue };
            let stamp = (kept.time, kept.id, place);
            if self.settings.get(key).is_none_or(|(before, _)| *before < stamp) {
                self.settings.insert(key.clone(), (stamp, Arc::from(value.as_str())));
            }
        }
    }
}

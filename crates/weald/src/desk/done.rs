//! What a group of jobs leaves to be said.
//!
//! Invariant: nothing of it is said before the outcome of the group is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weald_auth::Authority;
use weald_dag::{DatabaseId, EntryId, PublicKey, Refusal, StoreError};
use weald_engine::Folded;

use super::indexing::IndexWork;
use super::job::Outcome;
use super::sealing;
use crate::clock::wall_millis;
use crate::explain::RefusedEntry;
use crate::watch::{EntryTold, Told};

/// What is to be said once the outcome of a group is known.
#[derive(Default)]
pub(crate) struct Done {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) told: Vec<Told>,
    pub(super) authorities: Vec<(u32, DatabaseId, Arc<Authority>)>,
    /// Databases that were opened or completed, whose settings may want something done.
    pub(super) tended: Vec<(u32, Arc<Authority>)>,
    /// Databases whose settings changed, by their local number.
    pub(super) settings: BTreeMap<u32, DatabaseId>,
    pub(super) index_work: Vec<IndexWork>,
    pub(super) refused: Vec<(DatabaseId, RefusedEntry)>,
    /// Databases whose log of keys changed.
    pub(super) keys: BTreeSet<u32>,
    /// Databases whose settings changed, and whether here: then new keys are made, too.
    pub(super) share: BTreeMap<u32, bool>,
}

impl Done {
    pub(super) fn refuse(
        &mut self,
        database: DatabaseId,
        entry: EntryId,
        author: PublicKey,
        from: PublicKey,
        reason: Refusal,
    ) {
        let at_millis = wall_millis();
        let refused = RefusedEntry { entry, author, from, reason, at_millis, times: 1 };
        self.refused.push((database, refused));
    }

    pub(super) fn fold(&mut self, number: u32, origin: Option<PublicKey>, folded: Folded) {
        if sealing::changes_keys(&folded) {
            self.keys.insert(number);
        }
        if folded.settings && origin.is_none() {
            self.share.insert(number, true);
        }
        if folded.settings {
            self.settings.insert(number, folded.database);
        }
        self.told.push(entry_told(origin, folded));
    }

    /// Turns every success into a failure and forgets what was to be told.
    pub(super) fn fail(&mut self, error: &StoreError) {
        self.told.clear();
        self.refused.clear();
        self.authorities.clear();
        self.tended.clear();
        self.keys.clear();
        self.share.clear();
        self.index_work.iter_mut().for_each(|work| work.outcome = Err(error.clone()));
        for outcome in std::mem::take(&mut self.outcomes) {
            outcome.send_failed(error);
        }
    }
}

pub(super) fn entry_told(origin: Option<PublicKey>, folded: Folded) -> Told {
    let (versions, shift_versions) = (Vec::new(), Vec::new());
    Told::Entry(Box::new(EntryTold { origin, folded, versions, shift_versions }))
}

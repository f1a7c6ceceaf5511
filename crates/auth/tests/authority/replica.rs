//! A replica that gets entries one by one, and may forget all but what it kept.

use std::collections::BTreeMap;

use weald_auth::{AuthRefusal, Authority, EpochId, Origin, Rank, RestoredEntry, SettingsIndex};

use crate::graph::{Graph, Proposed};

#[derive(Clone, Default)]
pub(crate) struct Replica {
    pub(crate) authority: Authority,
    pub(crate) origins: BTreeMap<usize, Origin>,
    kept_entries: Vec<(EpochId, RestoredEntry)>,
    kept_epochs: Vec<Vec<SettingsIndex>>,
}

impl Replica {
    /// Judges an entry whose parents were accepted, and takes it in if it counts.
    pub(crate) fn receive(&mut self, graph: &Graph, place: usize) -> Result<Rank, AuthRefusal> {
        let entry = &graph.entries[place];
        let parents: Vec<Origin> =
            entry.parents.iter().map(|parent| self.origins[parent]).collect();
        let epoch = self.authority.epoch_of(&parents);
        for id in self.kept_epochs.len() as u64..self.authority.epoch_count() {
            self.kept_epochs.push(self.authority.epoch_tips(EpochId(id)).to_vec());
        }
        let rank = self.authority.judge(epoch, &entry.claim())?;
        let settings = entry.operations.is_some().then(|| {
            self.kept_entries.push((epoch, kept(entry)));
            self.authority.insert(epoch, &entry.claim()).index
        });
        self.origins.insert(place, Origin { epoch, settings });
        Ok(rank)
    }

    pub(crate) fn restart(&mut self) {
        let (entries, epochs) = (self.kept_entries.clone(), self.kept_epochs.clone());
        let restored = Authority::restore(entries, epochs).unwrap();
        assert_eq!(restored.epoch_count(), self.authority.epoch_count());
        assert_eq!(restored.settings_count(), self.authority.settings_count());
        self.authority = restored;
    }

    pub(crate) fn kept(&self) -> (Vec<(EpochId, RestoredEntry)>, Vec<Vec<SettingsIndex>>) {
        (self.kept_entries.clone(), self.kept_epochs.clone())
    }
}

fn kept(entry: &Proposed) -> RestoredEntry {
    let Proposed { id, author, generation, time, writes_data, .. } = *entry;
    let operations = entry.operations.clone().unwrap();
    RestoredEntry { id, author, generation, time, writes_data, operations }
}

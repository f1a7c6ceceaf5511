//! A replica that gets entries one by one, and may forget all but what it kept.

use std::cell::RefCell;
use std::collections::BTreeMap;

use weald_auth::{
    AuthRefusal, Authority, EpochId, Inserted, Origin, Rank, RestoredEntry, SettingsIndex,
};

use crate::graph::{Graph, Proposed};

/// What authority says of an entry that was let in: the rank of data, of settings only whether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Hidden,
    Data(Rank),
    Settings,
}

#[derive(Clone, Default)]
pub(crate) struct Replica {
    pub(crate) authority: Authority,
    pub(crate) origins: BTreeMap<usize, Origin>,
    pub(crate) last: Option<Inserted>,
    kept_entries: Vec<(EpochId, RestoredEntry)>,
    kept_epochs: Vec<Vec<SettingsIndex>>,
}

impl Replica {
    /// Judges an entry whose parents were accepted, and takes it in if it counts.
    pub(crate) fn receive(&mut self, graph: &Graph, place: usize) -> Result<Rank, AuthRefusal> {
        let entry = &graph.entries[place];
        let parents: Vec<Origin> =
            entry.parents.iter().map(|parent| self.origins[parent]).collect();
        let before = self.authority.before(&parents);
        let rank = self.authority.judge_before(&before, &entry.claim())?;
        let epoch = self.authority.intern(before);
        for id in self.kept_epochs.len() as u64..self.authority.epoch_count() {
            self.kept_epochs.push(self.authority.epoch_tips(EpochId(id)).to_vec());
        }
        self.last = entry.operations.is_some().then(|| {
            self.kept_entries.push((epoch, kept(entry)));
            self.authority.insert(epoch, &entry.claim())
        });
        let settings = self.last.as_ref().map(|inserted| inserted.index);
        self.origins.insert(place, Origin { epoch, settings });
        Ok(rank)
    }

    /// Returns how an entry that was let in stands now, and checks that the reasons say the same.
    pub(crate) fn standing(&self, graph: &Graph, pasts: &[u64], place: usize) -> Standing {
        let origin = self.origins[&place];
        if let Some(index) = origin.settings {
            let visible = self.authority.is_visible(index);
            assert_eq!(self.authority.why_hidden(index).is_none(), visible, "entry {place}");
            return if visible { Standing::Settings } else { Standing::Hidden };
        }
        let asked = RefCell::new(Vec::new());
        let is_before = |index| {
            asked.borrow_mut().push(index);
            let limit = self.place_of(index);
            pasts[limit] >> place & 1 == 1
        };
        let claim = graph.entries[place].claim();
        let stands = self.authority.stands(origin.epoch, &claim, &is_before);
        let beside = self.authority.limits_beside(origin.epoch, &claim.author);
        assert!(asked.borrow().iter().all(|index| beside.contains(index)), "entry {place}");
        stands.map_or(Standing::Hidden, Standing::Data)
    }

    pub(crate) fn place_of(&self, index: SettingsIndex) -> usize {
        let mut all = self.origins.iter();
        *all.find(|(_, origin)| origin.settings == Some(index)).unwrap().0
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

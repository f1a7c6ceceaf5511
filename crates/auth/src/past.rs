//! A set of settings entries that holds the past of each of its members.
//!
//! Invariant: numbers are a topological order, so such a set is nearly always "all before n"; full
//! words at the front are counted, not kept, and a set costs what it lacks, not what it holds.

use crate::settings_index::SettingsIndex;

const WORD_BITS: u64 = u64::BITS as u64;

/// A causally closed set of settings entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// How many words at the front are full.
    full: usize,
    /// The words after them.
    words: Vec<u64>,
}

impl Past {
    pub(crate) fn contains(&self, index: SettingsIndex) -> bool {
        let (word, bit) = split(index);
        match word.checked_sub(self.full) {
            None => true,
            Some(word) => self.words.get(word).is_some_and(|word| word & bit != 0),
        }
    }

    /// Returns whether it holds every index below `count`.
    pub(crate) fn covers(&self, count: u64) -> bool {
        let (last, bit) = split(SettingsIndex(count));
        let whole = self.words.iter().take(last.saturating_sub(self.full));
        last <= self.full + self.words.len()
            && whole.copied().all(|word| word == u64::MAX)
            && last.checked_sub(self.full).is_none_or(|place| {
                let word = self.words.get(place).copied().unwrap_or_default();
                word & (bit - 1) == bit - 1
            })
    }

    pub(crate) fn insert(&mut self, index: SettingsIndex) {
        let (word, bit) = split(index);
        let Some(place) = word.checked_sub(self.full) else {
            return;
        };
        if self.words.len() <= place {
            self.words.resize(place + 1, 0);
        }
        if let Some(word) = self.words.get_mut(place) {
            *word |= bit;
        }
        self.count_full();
    }

    pub(crate) fn union(&mut self, other: &Self) {
        if other.full > self.full {
            let covered = (other.full - self.full).min(self.words.len());
            self.words.drain(..covered);
            self.full = other.full;
        }
        let skipped = self.full - other.full;
        let theirs = other.words.get(skipped..).unwrap_or_default();
        if self.words.len() < theirs.len() {
            self.words.resize(theirs.len(), 0);
        }
        self.words.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours |= theirs);
        self.count_full();
    }

    fn count_full(&mut self) {
        let full = self.words.iter().take_while(|word| **word == u64::MAX).count();
        self.words.drain(..full);
        self.full += full;
    }
}

fn split(index: SettingsIndex) -> (usize, u64) {
    let word = usize::try_from(index.0 / WORD_BITS).unwrap_or(usize::MAX);
    (word, 1 << (index.0 % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: impl IntoIterator<Item = u64>) -> Past {
        let mut past = Past::default();
        members.into_iter().for_each(|index| past.insert(SettingsIndex(index)));
        past
    }

    #[test]
    fn a_full_front_takes_no_room() {
        let past = of(0..6400);
        assert_eq!((past.full, past.words.len()), (100, 0));
        assert!(past.contains(SettingsIndex(6399)) && !past.contains(SettingsIndex(6400)));
    }

    #[test]
    fn a_set_covers_what_comes_before_its_first_gap() {
        for length in [0, 1, 63, 64, 65, 127, 128, 130, 200] {
            let whole = of(0..length);
            let gap = of((0..length).chain(length + 1..length + 70));
            for count in 0..300 {
                assert_eq!(whole.covers(count), count <= length, "{length} {count}");
                assert_eq!(gap.covers(count), count <= length, "{length} {count}");
            }
        }
    }

    #[test]
    fn a_union_holds_the_members_of_both() {
        let sets = [of(0..200), of((0..64).chain(130..131)), of([3, 500]), of([])];
        for a in &sets {
            for b in &sets {
                let mut both = a.clone();
                both.union(b);
                for index in (0..600).map(SettingsIndex) {
                    let expected = a.contains(index) || b.contains(index);
                    assert_eq!(both.contains(index), expected, "{index:?}");
                }
            }
        }
    }
}

//! A set of settings entries that holds the past of each of its members.
//!
//! Invariant: numbers are a topological order, so such a set is nearly always "all before n"; full
//! blocks at the front are counted, not kept, and blocks that two sets have in common are shared, so
//! a set costs what sets it apart, not what it holds.

use std::sync::Arc;

use crate::settings_index::SettingsIndex;

const WORD_BITS: u64 = u64::BITS as u64;
const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: u64 = WORD_BITS * BLOCK_WORDS as u64;

type Block = [u64; BLOCK_WORDS];
const EMPTY: Block = [0; BLOCK_WORDS];
const FULL: Block = [u64::MAX; BLOCK_WORDS];

/// A causally closed set of settings entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// How many blocks at the front are full.
    full: usize,
    /// The blocks after them.
    blocks: Vec<Arc<Block>>,
}

impl Past {
    pub(crate) fn contains(&self, index: SettingsIndex) -> bool {
        let (block, word, bit) = split(index);
        match block.checked_sub(self.full) {
            None => true,
            Some(block) => self.blocks.get(block).is_some_and(|block| has(block, word, bit)),
        }
    }

    /// Returns how many indices at the front it holds at least: every one below.
    pub(crate) const fn front(&self) -> u64 {
        self.full as u64 * BLOCK_BITS
    }

    /// Returns whether it holds every index below `count`.
    pub(crate) fn covers(&self, count: u64) -> bool {
        let Some(open) = count.checked_sub(self.front()) else { return true };
        let words = self.blocks.iter().flat_map(|block| block.iter().copied());
        let words = words.chain(std::iter::repeat(0));
        let whole = usize::try_from(open / WORD_BITS).unwrap_or(usize::MAX);
        let rest = (1 << (open % WORD_BITS)) - 1;
        let mut words = words.peekable();
        (0..whole).all(|_| words.next() == Some(u64::MAX))
            && words.peek().is_some_and(|word| word & rest == rest)
    }

    /// Returns the indices below `count` that it holds and `other` does not, ascending.
    pub(crate) fn without(&self, other: &Self, count: u64) -> Vec<SettingsIndex> {
        let open = (other.front()..count).map(SettingsIndex);
        open.filter(|index| self.contains(*index) && !other.contains(*index)).collect()
    }

    /// Returns whether it holds all that `other` holds.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let mut both = self.clone();
        both.union(other);
        both == *self
    }

    pub(crate) fn insert(&mut self, index: SettingsIndex) {
        let (block, word, bit) = split(index);
        let Some(place) = block.checked_sub(self.full) else {
            return;
        };
        if self.blocks.len() <= place {
            self.blocks.resize(place + 1, Arc::new(EMPTY));
        }
        if let Some(block) = self.blocks.get_mut(place)
            && let Some(word) = Arc::make_mut(block).get_mut(word)
        {
            *word |= bit;
        }
        self.count_full();
    }

    pub(crate) fn union(&mut self, other: &Self) {
        if other.full > self.full {
            let covered = (other.full - self.full).min(self.blocks.len());
            self.blocks.drain(..covered);
            self.full = other.full;
        }
        let theirs = other.blocks.get(self.full - other.full..).unwrap_or_default();
        for (ours, theirs) in self.blocks.iter_mut().zip(theirs) {
            if !Arc::ptr_eq(ours, theirs) {
                let mut both = **ours;
                both.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a |= b);
                match both {
                    both if both == **ours => {}
                    both if both == **theirs => *ours = Arc::clone(theirs),
                    both => *ours = Arc::new(both),
                }
            }
        }
        let more = theirs.get(self.blocks.len()..).unwrap_or_default();
        self.blocks.extend(more.iter().map(Arc::clone));
        self.count_full();
    }

    fn count_full(&mut self) {
        let full = self.blocks.iter().take_while(|block| ***block == FULL).count();
        self.blocks.drain(..full);
        self.full += full;
    }
}

fn has(block: &Block, word: usize, bit: u64) -> bool {
    block.get(word).is_some_and(|word| word & bit != 0)
}

fn split(index: SettingsIndex) -> (usize, usize, u64) {
    let block = usize::try_from(index.0 / BLOCK_BITS).unwrap_or(usize::MAX);
    let word = usize::try_from(index.0 % BLOCK_BITS / WORD_BITS).unwrap_or(usize::MAX);
    (block, word, 1 << (index.0 % WORD_BITS))
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
        let past = of(0..5120);
        assert_eq!((past.full, past.blocks.len()), (10, 0));
        assert!(past.contains(SettingsIndex(5119)) && !past.contains(SettingsIndex(5120)));
    }

    #[test]
    fn what_two_sets_have_in_common_is_shared() {
        let first = of((0..4000).filter(|index| index % 3 > 0));
        let mut second = first.clone();
        second.insert(SettingsIndex(3999));
        let shared = first.blocks.iter().zip(&second.blocks);
        assert_eq!(shared.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
    }

    #[test]
    fn a_set_covers_what_comes_before_its_first_gap() {
        for length in [0, 1, 63, 64, 65, 511, 512, 513, 1100] {
            let whole = of(0..length);
            let gap = of((0..length).chain(length + 1..length + 70));
            for count in 0..1300 {
                assert_eq!(whole.covers(count), count <= length, "{length} {count}");
                assert_eq!(gap.covers(count), count <= length, "{length} {count}");
            }
        }
    }

    #[test]
    fn a_union_holds_the_members_of_both_and_a_difference_those_of_one() {
        let sets = [of(0..1200), of((0..512).chain(530..531)), of([3, 1500]), of([3]), of([])];
        for a in &sets {
            for b in &sets {
                let mut both = a.clone();
                both.union(b);
                let mut included = true;
                for index in (0..1600).map(SettingsIndex) {
                    let expected = a.contains(index) || b.contains(index);
                    assert_eq!(both.contains(index), expected, "{index:?}");
                    included &= a.contains(index) || !b.contains(index);
                    let differs = a.contains(index) && !b.contains(index);
                    assert_eq!(a.without(b, 1600).contains(&index), differs, "{index:?}");
                }
                assert_eq!(a.includes(b), included);
            }
        }
    }
}

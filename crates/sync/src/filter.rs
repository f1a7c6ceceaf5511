//! A Bloom filter over short ids: what one side holds, in ten bits an entry.
//!
//! Invariant: what was put in is always found; of what was not, about 0.8 % is found too, other entries in
//! each round, as short ids are keyed by it.

use thiserror::Error;

/// Greatest number of entries that a filter is made for.
pub(crate) const FILTER_ENTRIES_MAX: usize = 1 << 16;
/// How many bits a filter has for each entry.
pub(crate) const FILTER_ENTRY_BITS: usize = 10;
/// How many bits an entry sets, or meets set already.
const PROBES: u64 = 7;
/// The least length of a filter over anything, in bytes.
const BYTES_MIN: usize = 8;
/// Greatest length of an encoded filter, in bytes.
pub(crate) const FILTER_BYTES_MAX: usize = COUNT_LEN + FILTER_ENTRIES_MAX * FILTER_ENTRY_BITS / 8;
const COUNT_LEN: usize = 4;
/// What the short ids of two probes of one entry are apart; odd, so that all are different.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Why bytes are no filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FilterError {
    /// It says that it is over more entries than a filter may be.
    #[error("a filter over {found} entries, the limit is {FILTER_ENTRIES_MAX}")]
    TooMany {
        /// How many it says.
        found: usize,
    },
    /// Its length is not that of a filter over so many entries.
    #[error("a filter over {entries} entries has {found} bytes, not {expected}")]
    Length {
        /// How many entries it says.
        entries: usize,
        /// How many bytes it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// There are fewer bytes than its count takes.
    #[error("a filter ends before its count")]
    Truncated,
}

/// A Bloom filter over short ids.
///
/// One that a peer has filled with ones holds everything, so the peer is sent nothing but tips in this
/// round: it harms itself alone, and the next round asks by other means. [`Filter::fill`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    entries: usize,
    bits: Vec<u8>,
}

impl Filter {
    /// Makes an empty one for so many entries.
    ///
    /// # Errors
    /// [`FilterError::TooMany`] over [`FILTER_ENTRIES_MAX`]; nothing is allocated then.
    pub(crate) fn new(entries: usize) -> Result<Self, FilterError> {
        Ok(Self { entries, bits: vec![0; length_for(entries)?] })
    }

    /// Puts a short id in.
    pub(crate) fn insert(&mut self, short: u64) {
        for (place, bit) in probes(short, self.bits.len()) {
            if let Some(byte) = self.bits.get_mut(place) {
                *byte |= bit;
            }
        }
    }

    /// Returns whether a short id may have been put in; `false` is sure.
    pub(crate) fn may_hold(&self, short: u64) -> bool {
        let is_set = |(place, bit): (usize, u8)| self.bits.get(place).is_some_and(|b| b & bit != 0);
        !self.bits.is_empty() && probes(short, self.bits.len()).all(is_set)
    }

    /// Returns for how many entries it was made, as its maker says.
    #[cfg(test)]
    pub(crate) const fn entries(&self) -> usize {
        self.entries
    }

    /// Returns how many of a thousand bits are set: about 500 in one that holds as many entries as it was
    /// made for, more by some tens in a very small one.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> u32 {
        let set: u64 = self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
        let all = (self.bits.len() as u64 * 8).max(1);
        u32::try_from(set * 1_000 / all).unwrap_or(u32::MAX)
    }

    /// Returns how many bytes one over so many entries takes on its way.
    #[cfg(test)]
    pub(crate) const fn encoded_len(entries: usize) -> usize {
        COUNT_LEN + bytes_for(entries)
    }

    /// Encodes it: how many entries, then the bits.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // A filter over more than FILTER_ENTRIES_MAX cannot be made.
        let count = u32::try_from(self.entries).unwrap_or(u32::MAX);
        [count.to_be_bytes().as_slice(), &self.bits].concat()
    }

    /// Decodes one.
    ///
    /// # Errors
    /// [`FilterError`], before anything is allocated; every filter has one form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, FilterError> {
        let (count, bits) = bytes.split_first_chunk().ok_or(FilterError::Truncated)?;
        let entries = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(usize::MAX);
        let expected = length_for(entries)?;
        if bits.len() != expected {
            return Err(FilterError::Length { entries, found: bits.len(), expected });
        }
        Ok(Self { entries, bits: bits.to_vec() })
    }
}

fn length_for(entries: usize) -> Result<usize, FilterError> {
    if entries > FILTER_ENTRIES_MAX {
        return Err(FilterError::TooMany { found: entries });
    }
    Ok(bytes_for(entries))
}

const fn bytes_for(entries: usize) -> usize {
    let bytes = (entries * FILTER_ENTRY_BITS).div_ceil(8);
    if entries > 0 && bytes < BYTES_MIN { BYTES_MIN } else { bytes }
}

/// Returns the bits of a short id in a filter of so many bytes.
fn probes(short: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = (bytes as u64 * 8).max(1);
    (1..=PROBES).map(move |probe| {
        let bit = mixed(short.wrapping_add(probe.wrapping_mul(STRIDE))) % bits;
        (usize::try_from(bit / 8).unwrap_or(usize::MAX), 1 << (bit % 8))
    })
}

/// Spreads a number over all bits: the finalizer of SplitMix64.
pub(crate) const fn mixed(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(shorts: &[u64]) -> Filter {
        let mut filter = Filter::new(shorts.len()).unwrap();
        shorts.iter().for_each(|short| filter.insert(*short));
        filter
    }

    /// Short ids as the keyed hash gives them.
    fn drawn(seed: u64, count: usize) -> Vec<u64> {
        (0..count as u64).map(|n| mixed(mixed(seed).wrapping_add(n))).collect()
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_and_bytes_have_one_form(
            shorts in prop::collection::vec(any::<u64>(), 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let filter = filled(&shorts);
            prop_assert!(shorts.iter().all(|short| filter.may_hold(*short)));
            let bytes = filter.to_bytes();
            prop_assert_eq!(bytes.len(), Filter::encoded_len(shorts.len()));
            let again = Filter::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&again, &filter);
            let short = &bytes[..cut.index(bytes.len())];
            prop_assert!(Filter::from_bytes(short).is_err());
            prop_assert!(Filter::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        }

        #[test]
        fn any_bytes_are_a_filter_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(filter) = Filter::from_bytes(&bytes) {
                prop_assert_eq!(filter.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn few_are_found_that_were_not_put_in() {
        for (count, filters) in [(1, 400), (4, 200), (20, 100), (1_000, 4), (FILTER_ENTRIES_MAX, 1)]
        {
            let (mut found, mut asked) = (0, 0);
            for seed in 0..filters {
                let filter = filled(&drawn(seed, count));
                let others = drawn(seed + 1_000, 20_000 / usize::try_from(filters).unwrap());
                found += others.iter().filter(|other| filter.may_hold(**other)).count();
                asked += others.len();
                assert!(count < 1_000 || (450..550).contains(&filter.fill()), "{}", filter.fill());
            }
            assert!(found * 1_000 < asked * 15, "{found} of {asked} for {count}");
        }
    }

    #[test]
    fn a_filter_of_ones_is_told_and_an_empty_one_holds_nothing() {
        let ones = [100_u32.to_be_bytes().as_slice(), &[u8::MAX; 125]].concat();
        assert_eq!(Filter::from_bytes(&ones).unwrap().fill(), 1_000);

        let empty = Filter::new(0).unwrap();
        assert!(!empty.may_hold(0) && empty.fill() == 0);
        assert_eq!(empty.entries(), 0);
    }

    #[test]
    fn a_filter_over_too_many_entries_is_refused_before_it_is_read() {
        let found = FILTER_ENTRIES_MAX + 1;
        assert_eq!(Filter::new(found), Err(FilterError::TooMany { found }));
        let count = u32::try_from(found).unwrap().to_be_bytes();
        assert_eq!(Filter::from_bytes(&count), Err(FilterError::TooMany { found }));
        assert_eq!(Filter::encoded_len(FILTER_ENTRIES_MAX), FILTER_BYTES_MAX);
    }
}

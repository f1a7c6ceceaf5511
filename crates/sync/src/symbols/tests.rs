//! Laws of symbols: what two sets do not share is found from few of them, and forged ones harm nobody.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_bytes::ByteArray;

use super::{
    Coder, Decoded, Decoder, SYMBOL_BYTES_MAX, SYMBOL_BYTES_MIN, SYMBOLS_MAX, Symbol, SymbolError,
    decode, encode,
};
use crate::filter::mixed;
use crate::naming::Name;
use crate::short::{Checks, ShortIds};

fn checks() -> Checks {
    ShortIds::new(&[1; 32], &Name(ByteArray::new([2; 16])), 3).checks().clone()
}

fn coded(set: &BTreeSet<u64>, from: usize, to: usize) -> Vec<Symbol> {
    let mut coder = Coder::new(&checks(), from..to).unwrap();
    set.iter().for_each(|short| coder.add(*short));
    coder.finish()
}

fn drawn(seed: u64, from: usize, to: usize) -> BTreeSet<u64> {
    (from..to).map(|n| mixed(mixed(seed).wrapping_add(n as u64))).collect()
}

/// Decodes with windows that double, and returns how many symbols that took.
fn reconciled(theirs: &BTreeSet<u64>, ours: &BTreeSet<u64>) -> Option<(Decoded, usize)> {
    let (mut decoder, mut from, mut to) = (Decoder::new(&checks()), 0, 16);
    while to <= SYMBOLS_MAX {
        let sent = decode(&encode(&coded(theirs, from, to))).unwrap();
        if let Some(decoded) = decoder.take(&sent, &coded(ours, from, to)).unwrap() {
            return Some((decoded, decoder.len()));
        }
        (from, to) = (to, to + to / 4);
    }
    None
}

fn sorted(mut shorts: Vec<u64>) -> Vec<u64> {
    shorts.sort_unstable();
    shorts
}

fn assert_exact(decoded: Decoded, theirs: &BTreeSet<u64>, ours: &BTreeSet<u64>) {
    assert_eq!(sorted(decoded.theirs), theirs.difference(ours).copied().collect::<Vec<_>>());
    assert_eq!(sorted(decoded.ours), ours.difference(theirs).copied().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_two_sets_do_not_share_is_found_exactly(
        seed in any::<u64>(),
        shared in 0_usize..3_000,
        theirs in 0_usize..300,
        ours in 0_usize..300,
    ) {
        let both = drawn(seed, 0, shared);
        let add = |from, to| both.union(&drawn(seed, from, to)).copied().collect::<BTreeSet<_>>();
        let (theirs, ours) =
            (add(shared, shared + theirs), add(shared + theirs, shared + theirs + ours));
        let (decoded, _) = reconciled(&theirs, &ours).unwrap();
        assert_exact(decoded, &theirs, &ours);
    }

    #[test]
    fn windows_that_follow_each_other_are_one(
        seed in any::<u64>(),
        count in 0_usize..200,
        cut in 0_usize..100,
    ) {
        let set = drawn(seed, 0, count);
        let parts = [coded(&set, 0, cut), coded(&set, cut, 100)].concat();
        prop_assert_eq!(parts, coded(&set, 0, 100));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn forged_symbols_end_in_an_error_or_ask_for_more(
        honest in 0_usize..40,
        forged in prop::collection::vec(
            (0_usize..64, any::<u64>(), any::<u64>(), -2_i64..3, any::<bool>()), 0..40),
        steps in 1_usize..9,
    ) {
        let (ours, checks) = (coded(&drawn(1, 0, honest), 0, 64), checks());
        let mut theirs = coded(&drawn(1, honest / 2, honest * 2), 0, 64);
        for (place, sum, check, count, is_alone) in forged {
            let check = if is_alone { checks.of(sum) } else { check };
            theirs[place] = Symbol { sum, check, count };
        }
        let mut decoder = Decoder::new(&checks);
        for (theirs, ours) in theirs.chunks(steps).zip(ours.chunks(steps)) {
            match decoder.take(theirs, ours) {
                Ok(_) => {}
                Err(error) => {
                    prop_assert_eq!(error, SymbolError::Forged);
                    return Ok(());
                }
            }
        }
    }

    #[test]
    fn symbols_have_one_form(
        symbols in prop::collection::vec((any::<u64>(), any::<u64>(), any::<i64>()), 0..20),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let symbols: Vec<Symbol> =
            symbols.into_iter().map(|(sum, check, count)| Symbol { sum, check, count }).collect();
        let encoded = encode(&symbols);
        prop_assert!(encoded.len() <= symbols.len() * SYMBOL_BYTES_MAX);
        prop_assert!(encoded.len() >= symbols.len() * SYMBOL_BYTES_MIN);
        prop_assert_eq!(decode(&encoded), Ok(symbols));
        if let Ok(symbols) = decode(&bytes) {
            prop_assert_eq!(encode(&symbols), bytes);
        }
    }
}

#[test]
fn few_symbols_tell_the_difference_of_large_sets() {
    let mut over = Vec::new();
    for (seed, difference) in (0..).zip([0, 1, 2, 7, 40, 150, 600, 1_500, 3_000]) {
        let both = drawn(seed, 0, 17_000);
        let (theirs, ours) = (
            both.union(&drawn(seed, 17_000, 17_000 + difference / 3)).copied().collect(),
            both.union(&drawn(seed, 18_000, 18_000 + difference - difference / 3))
                .copied()
                .collect(),
        );
        let (decoded, symbols) = reconciled(&theirs, &ours).unwrap();
        assert_exact(decoded, &theirs, &ours);
        if symbols > 2 * (difference + 32) {
            over.push((difference, symbols));
        }
    }
    assert!(over.len() <= 1, "{over:?}");
}

#[test]
fn equal_sets_need_one_symbol_and_no_symbols_tell_nothing() {
    let set = drawn(4, 0, 50);
    let mut decoder = Decoder::new(&checks());
    assert_eq!(decoder.take(&[], &[]), Ok(None));
    let first = coded(&set, 0, 1);
    assert_eq!(decoder.take(&first, &first), Ok(Some(Decoded::default())));
}

#[test]
fn an_element_in_every_symbol_is_told_as_forged() {
    let checks = checks();
    let alone = Symbol { sum: 9, check: checks.of(9), count: 1 };
    let mut decoder = Decoder::new(&checks);
    let taken = decoder.take(&[alone; 64], &[Symbol::default(); 64]);
    assert_eq!(taken, Err(SymbolError::Forged));
}

#[test]
fn too_many_symbols_are_refused_before_they_are_made() {
    let found = SYMBOLS_MAX + 1;
    assert_eq!(Coder::new(&checks(), 0..found).err(), Some(SymbolError::TooMany { found }));
    let mut decoder = Decoder::new(&checks());
    let many = vec![Symbol::default(); found];
    assert_eq!(decoder.take(&many, &many), Err(SymbolError::TooMany { found }));
    let uneven = decoder.take(&[], &[Symbol::default()]);
    assert_eq!(uneven, Err(SymbolError::Unequal { theirs: 0, ours: 1 }));
    assert_eq!(decode(&encode(&many)), Err(SymbolError::TooMany { found }));
}

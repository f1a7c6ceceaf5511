//! Finds the difference of two sets from the symbols of both.
//!
//! Invariant: an element is found once; all work is bounded by the number of symbols, whatever they say.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::mapping::Mapping;
use super::{SYMBOLS_MAX, Symbol, SymbolError};
use crate::short::Checks;

/// What one set holds and the other does not, as short ids in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// What the peer alone holds.
    pub(crate) theirs: Vec<u64>,
    /// What this side alone holds.
    pub(crate) ours: Vec<u64>,
}

/// An element that was found.
#[derive(Debug)]
struct Found {
    short: u64,
    check: u64,
    /// 1 if the peer holds it, −1 if this side does.
    side: i64,
    /// Where it is, beyond the symbols that are there.
    mapping: Mapping,
}

/// Takes the symbols of both sides, place after place, until they tell the difference.
#[derive(Debug)]
pub(crate) struct Decoder {
    checks: Checks,
    /// Of each place, the peer's symbol less ours, less what was found.
    symbols: Vec<Symbol>,
    /// How many of them are not empty.
    open: usize,
    found: Vec<Found>,
    known: BTreeSet<u64>,
    /// The next place of each element found, and which it is.
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Decoder {
    /// Starts without symbols. The checks must be those of the coders.
    pub(crate) fn new(checks: &Checks) -> Self {
        Self {
            checks: checks.clone(),
            symbols: Vec::new(),
            open: 0,
            found: Vec::new(),
            known: BTreeSet::new(),
            next: BinaryHeap::new(),
        }
    }

    /// Returns how many symbols there are so far.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Takes the symbols of both sides for the places after those that are there. Returns the
    /// difference of the sets once all symbols are explained by it; `None` when more are needed.
    ///
    /// Together all calls take time in proportion to the symbols and what was found, times a few tens.
    ///
    /// # Errors
    /// [`SymbolError`], [`SymbolError::Forged`] among them: the peer's symbols are then no good, and
    /// the decoder is none either.
    pub(crate) fn take(
        &mut self,
        theirs: &[Symbol],
        ours: &[Symbol],
    ) -> Result<Option<Decoded>, SymbolError> {
        if theirs.len() != ours.len() {
            return Err(SymbolError::Unequal { theirs: theirs.len(), ours: ours.len() });
        }
        let (before, found) = (self.symbols.len(), self.symbols.len().saturating_add(ours.len()));
        if found > SYMBOLS_MAX {
            return Err(SymbolError::TooMany { found });
        }
        for (symbol, ours) in theirs.iter().zip(ours) {
            let mut symbol = *symbol;
            symbol.add(ours.sum, ours.check, ours.count.wrapping_neg());
            self.open += usize::from(!symbol.is_empty());
            self.symbols.push(symbol);
        }
        let mut touched: Vec<usize> = (before..found).collect();
        self.take_out_known(&mut touched);
        self.peel(touched)?;
        Ok((self.open == 0 && !self.symbols.is_empty()).then(|| self.decoded()))
    }

    /// Takes what was found before out of the symbols that are new.
    fn take_out_known(&mut self, touched: &mut Vec<usize>) {
        while let Some(Reverse((place, which))) = self.next.peek().copied() {
            if place >= self.symbols.len() as u64 {
                return;
            }
            self.next.pop();
            self.take_out(which, touched);
        }
    }

    /// Takes the elements that are alone in a symbol out of all others, until none is.
    fn peel(&mut self, mut touched: Vec<usize>) -> Result<(), SymbolError> {
        while let Some(place) = touched.pop() {
            let Some(Symbol { sum, check, count }) = self.symbols.get(place).copied() else {
                continue;
            };
            let is_alone = (count == 1 || count == -1) && check == self.checks.of(sum);
            if !is_alone {
                continue;
            }
            // Sums of sets give no element twice, and never more elements than there are sums.
            if self.found.len() >= self.symbols.len() || !self.known.insert(sum) {
                return Err(SymbolError::Forged);
            }
            let mapping = Mapping::of(sum);
            self.found.push(Found { short: sum, check, side: count, mapping });
            self.take_out(self.found.len() - 1, &mut touched);
        }
        Ok(())
    }

    /// Takes an element out of all symbols from its place on, and notes which these are.
    fn take_out(&mut self, which: usize, touched: &mut Vec<usize>) {
        let Some(found) = self.found.get_mut(which) else { return };
        loop {
            let place = found.mapping.place();
            let at = usize::try_from(place).unwrap_or(usize::MAX);
            let Some(symbol) = self.symbols.get_mut(at) else {
                self.next.push(Reverse((place, which)));
                return;
            };
            let was_empty = symbol.is_empty();
            symbol.add(found.short, found.check, found.side.wrapping_neg());
            self.open += usize::from(was_empty);
            self.open -= usize::from(symbol.is_empty());
            touched.push(at);
            found.mapping.go_on();
        }
    }

    fn decoded(&self) -> Decoded {
        let of = |side| {
            let found = self.found.iter().filter(move |found| found.side == side);
            found.map(|found| found.short).collect()
        };
        Decoded { theirs: of(1), ours: of(-1) }
    }
}

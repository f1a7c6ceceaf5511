//! Makes the symbols of a set, a window of them at a time.
//!
//! Invariant: memory is that of the window, whatever the size of the set; the symbols of two windows
//! that follow each other are those of one window over both.

use std::ops::Range;

use super::mapping::Mapping;
use super::{SYMBOLS_MAX, Symbol, SymbolError};
use crate::short::Checks;

/// Sums up a window of the symbols of a set that passes by.
#[derive(Debug)]
pub(crate) struct Coder {
    checks: Checks,
    window: Range<u64>,
    symbols: Vec<Symbol>,
}

impl Coder {
    /// Starts a window of places; all elements of the set are to be added to each window.
    ///
    /// # Errors
    /// [`SymbolError::TooMany`] if it ends beyond [`SYMBOLS_MAX`]; nothing is allocated then.
    pub(crate) fn new(checks: &Checks, window: Range<usize>) -> Result<Self, SymbolError> {
        if window.end > SYMBOLS_MAX {
            return Err(SymbolError::TooMany { found: window.end });
        }
        let symbols = vec![Symbol::default(); window.len()];
        let window = window.start as u64..window.end as u64;
        Ok(Self { checks: checks.clone(), window, symbols })
    }

    /// Adds an element; each must be added once. It costs some twenty steps at most.
    pub(crate) fn add(&mut self, short: u64) {
        let (check, mut mapping) = (self.checks.of(short), Mapping::of(short));
        while mapping.place() < self.window.end {
            let place = mapping.place().checked_sub(self.window.start);
            let place = place.and_then(|place| usize::try_from(place).ok());
            if let Some(symbol) = place.and_then(|place| self.symbols.get_mut(place)) {
                symbol.add(short, check, 1);
            }
            mapping.go_on();
        }
    }

    /// Returns the symbols of the window.
    pub(crate) fn finish(self) -> Vec<Symbol> {
        self.symbols
    }
}

//! Making rows of a document what they were: each for itself, whatever is above and below.

use std::collections::BTreeMap;

use super::draft::DocDraft;
use super::layout::{DocLayout, place};
use super::plan::Plan;
use super::position::{Place, Position};
use super::tree::Kind;
use crate::draft::DraftError;
use crate::fold::{self, Layout};
use crate::path::{Path, strip_counter};
use crate::view::{RowError, View, ViewMut};

/// What a row of a document says, to be compared and brought back; equal if readers see the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafState {
    /// The encoded value that reading gives.
    value: Option<Vec<u8>>,
    /// Where it stands, if it is an element of a list.
    place: Option<Place>,
    /// What it counts, if it is a counter.
    sum: Option<i128>,
}

impl LeafState {
    /// Returns what the row of [`crate::Area::State`] at a key says; nothing without a row.
    ///
    /// # Errors
    /// [`RowError`] if the row is damaged.
    pub fn of(key: &[u8], row: Option<&[u8]>) -> Result<Self, RowError> {
        let Some(row) = row else { return Ok(Self::default()) };
        let slots = DocLayout.unpack(key, row).ok_or_else(|| RowError { key: key.to_vec() })?;
        if strip_counter(key).is_some() {
            return Ok(Self { sum: Some(slots.main.total().sum), ..Self::default() });
        }
        let value = slots.main.winner().map(|(_, value)| value.to_vec());
        Ok(Self { value, place: place(&slots), sum: None })
    }

    /// Returns what a counter with this sum says.
    pub fn counting(sum: i128) -> Self {
        Self { sum: Some(sum), ..Self::default() }
    }

    /// Returns what it counts, if it is a counter.
    pub const fn sum(&self) -> Option<i128> {
        self.sum
    }

    /// Returns whether both say the same, wherever in a list they stand: an element that is brought
    /// back stands beside its old place.
    pub fn is_same_elsewhere(&self, other: &Self) -> bool {
        self.value == other.value && self.sum == other.sum
    }

    /// Returns whether it says nothing but that a map or list is there, or not even that.
    pub fn is_marker(&self) -> bool {
        let holds = |value: &Vec<u8>| Kind::of_leaf(value) == Kind::Scalar;
        self.sum.is_none() && self.place.is_none() && !self.value.as_ref().is_some_and(holds)
    }
}

/// What a row is to say again, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafChange {
    /// What it says.
    pub from: LeafState,
    /// What it is to say.
    pub to: LeafState,
}

impl DocDraft {
    /// Makes rows, by their keys, say again what they said: unlike [`DocDraft::set`] it replaces
    /// nothing below and sees to nothing above. An element goes back to where it stood; a counter is
    /// added to until it counts what it did.
    ///
    /// # Errors
    /// [`DraftError`] if a row cannot be read, or for a section over its limits.
    pub fn restore(
        &mut self,
        view: &mut dyn ViewMut,
        rows: &BTreeMap<Vec<u8>, LeafChange>,
    ) -> Result<(), DraftError> {
        let mut plan = Plan::default();
        for (key, change) in rows.iter().filter(|(_, change)| change.from != change.to) {
            plan.restore(&*view, key, change)?;
        }
        self.stage(view, &plan).map(drop)
    }
}

impl Plan<'_> {
    fn restore(
        &mut self,
        view: &dyn View,
        key: &[u8],
        LeafChange { from, to }: &LeafChange,
    ) -> Result<(), DraftError> {
        if let Some(counter) = strip_counter(key) {
            let path = Path::decode(counter)?;
            let Some(sum) = to.sum else { return self.clear(view, key) };
            if from.sum.is_none() {
                // It is there again, also if it counts nothing.
                self.add(view, path.clone(), 0)?;
            }
            return self.count(view, &path, sum.saturating_sub(from.sum.unwrap_or_default()));
        }
        let path = Path::decode(key)?;
        match &to.value {
            value if *value == from.value => {}
            Some(value) => self.leaf(view, &path, value)?,
            None => self.clear(view, key)?,
        }
        let Some(stood) = &to.place else { return Ok(()) };
        let stands = place(&fold::load(&DocLayout, view, key)?.slots);
        match Position::beside(stood).filter(|_| stands.as_ref() != Some(stood)) {
            Some(position) => self.shift(view, path, &position),
            None => Ok(()),
        }
    }

    /// Plans to add any amount to a counter.
    fn count(&mut self, view: &dyn View, path: &Path, amount: i128) -> Result<(), DraftError> {
        let mut left = amount;
        while left != 0 {
            let part = left.clamp(i64::MIN.into(), i64::MAX.into());
            self.add(view, path.clone(), i64::try_from(part).unwrap_or_default())?;
            left -= part;
        }
        Ok(())
    }
}

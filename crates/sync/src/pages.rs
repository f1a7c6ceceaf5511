//! Asking for what the other side holds by ids, page after page: dear, and exact whatever came before.
//!
//! Invariant: every entry is asked about or reached by one that the other side holds; all that it does not
//! hold is found.

use std::collections::{BTreeMap, BTreeSet};

use weald_dag::{Graph, Number, StoreError};

use crate::ids::Bits;

/// A walk down from the tips that stops where the other side goes on.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Of each entry that is still to be looked at: whether the other side holds it.
    open: BTreeMap<Number, bool>,
    /// How many of them it is not known to hold.
    alone: usize,
    /// The page that has no answer yet, descending.
    asked: Vec<Number>,
    lacking: Vec<Number>,
}

impl Pages {
    pub(crate) fn new(ours: &[Number], common: &[Number]) -> Self {
        let mut open: BTreeMap<Number, bool> = ours.iter().map(|number| (*number, false)).collect();
        open.extend(common.iter().map(|number| (*number, true)));
        let alone = open.values().filter(|held| !**held).count();
        Self { open, alone, asked: Vec::new(), lacking: Vec::new() }
    }

    /// Returns the next page of at most `limit` entries; an empty one where all is known.
    pub(crate) fn next(
        &mut self,
        graph: &Graph<'_>,
        limit: usize,
    ) -> Result<&[Number], StoreError> {
        self.asked.clear();
        while self.alone > 0
            && self.asked.len() < limit
            && let Some((number, held)) = self.open.pop_last()
        {
            self.alone -= usize::from(!held);
            // What was hidden may have been dropped since the page before.
            if graph.standing_if_stored(number)?.is_none() {
                continue;
            }
            if !held {
                self.asked.push(number);
            }
            self.go_down(graph, number, held)?;
        }
        Ok(&self.asked)
    }

    /// Returns whether a page waits for its answer.
    pub(crate) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Takes the answer to a page.
    pub(crate) fn take(&mut self, graph: &Graph<'_>, held: &Bits) -> Result<(), StoreError> {
        let mut covered = BTreeSet::new();
        for (i, number) in std::mem::take(&mut self.asked).into_iter().enumerate() {
            if !held.get(i) && !covered.contains(&number) {
                self.lacking.push(number);
                continue;
            }
            if graph.standing_if_stored(number)?.is_some() {
                covered.extend(graph.local(number)?.parents);
                self.go_down(graph, number, true)?;
            }
        }
        Ok(())
    }

    fn go_down(&mut self, graph: &Graph<'_>, number: Number, held: bool) -> Result<(), StoreError> {
        for parent in graph.local(number)?.parents {
            match self.open.insert(parent, held) {
                None if !held => self.alone += 1,
                Some(false) if held => self.alone -= 1,
                Some(true) => drop(self.open.insert(parent, true)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives away what the other side lacks, ascending.
    pub(crate) fn finish(self) -> Vec<Number> {
        let mut lacking = self.lacking;
        lacking.sort_unstable();
        lacking
    }
}

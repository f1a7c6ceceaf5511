//! The integrity check: every hash, signature, parent and number, and the state made again.
//!
//! Invariant: it changes nothing of what it checks; what it builds goes to a scratch store.

use std::ops::ControlFlow;
use std::sync::Arc;

use weald_dag::{
    Durability, EntryId, Graph, Number, Overlay, Snapshot, Store, StoreError, Stored, Verdict,
    Verified, verify as verify_parcels,
};

use crate::catalog::{self, Held};
use crate::digest::state_digest;
use crate::engine::Engine;
use crate::fold::StoreTypes;

/// How many entries are checked and built again at a time.
const CHUNK: usize = 4_096;
/// How many problems are listed; all are counted.
pub const PROBLEMS_LISTED_MAX: usize = 100;

/// What a check of one database found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many entries were checked.
    pub entries: u64,
    /// How many things are wrong.
    pub problems: u64,
    /// The first of them, in words.
    pub listed: Vec<String>,
}

impl Findings {
    /// Returns whether all is as it should be.
    pub const fn is_sound(&self) -> bool {
        self.problems == 0
    }

    fn add(&mut self, problem: String) {
        self.problems += 1;
        if self.listed.len() < PROBLEMS_LISTED_MAX {
            self.listed.push(problem);
        }
    }
}

/// Checks a database against itself: everything is read, verified and folded again in `scratch`.
///
/// `seed` must be random; it serves the verification of signatures in batches.
///
/// # Errors
/// Any [`StoreError`] that keeps the check from going on. Damage that it can tell is a finding.
pub fn verify(
    rows: &dyn Snapshot,
    held: Held,
    types: &StoreTypes,
    scratch: &Arc<dyn Store>,
    seed: [u8; 32],
) -> Result<Findings, StoreError> {
    let mut check = Check {
        graph: Graph::new(rows, held.number),
        held,
        engine: Engine::new(types.clone()),
        scratch,
        seed,
        findings: Findings::default(),
    };
    let mut next = Number(0);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = check.graph.each_from(next, &mut |stored| {
            chunk.push(stored);
            if chunk.len() < CHUNK { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let full = chunk.len() == CHUNK;
        next = Number(next.0 + chunk.len() as u64);
        check.chunk(chunk)?;
        if let Err(error) = read {
            check.findings.add(error.to_string());
            return Ok(check.findings);
        }
        if !full {
            break;
        }
    }
    check.ends(rows)?;
    Ok(check.findings)
}

struct Check<'a> {
    graph: Graph<'a>,
    held: Held,
    engine: Engine,
    scratch: &'a Arc<dyn Store>,
    seed: [u8; 32],
    findings: Findings,
}

impl Check<'_> {
    fn chunk(&mut self, chunk: Vec<Stored>) -> Result<(), StoreError> {
        let mut numbers = Vec::with_capacity(chunk.len());
        let mut parcels = Vec::with_capacity(chunk.len());
        for stored in chunk {
            self.places(&stored)?;
            numbers.push((stored.number, stored.local.generation));
            parcels.push(stored.parcel);
        }
        let mut verified: Vec<Verified> = Vec::with_capacity(parcels.len());
        for verdict in verify_parcels(parcels, self.seed) {
            match verdict {
                Ok(parcel) => verified.push(parcel),
                Err(fault) => self.findings.add(fault.to_string()),
            }
        }
        self.rebuild(verified, &numbers)
    }

    /// Checks number, index and parents of one entry.
    fn places(&mut self, stored: &Stored) -> Result<(), StoreError> {
        let expected = Number(self.findings.entries);
        self.findings.entries += 1;
        let (number, id) = (stored.number, stored.parcel.entry.id());
        if number != expected {
            self.findings
                .add(format!("entry number {} stands where {} should", number.0, expected.0));
        }
        if self.graph.number(&id)? != Some(number) {
            self.findings.add(format!("entry {id:?} is not found under its id"));
        }
        let mut parents: Vec<EntryId> = self.graph.ids(&stored.local.parents)?;
        parents.sort_unstable();
        if parents != stored.parcel.entry.parents() {
            self.findings.add(format!("entry {id:?} has other parents than its row says"));
        }
        Ok(())
    }

    fn rebuild(
        &mut self,
        parcels: Vec<Verified>,
        expected: &[(Number, u64)],
    ) -> Result<(), StoreError> {
        let mut overlay = Overlay::new(self.scratch.snapshot()?);
        let ingested = self.engine.ingest(&mut overlay, self.held.id, parcels, u64::MAX >> 16)?;
        self.engine.finish(&mut overlay);
        for (id, verdict) in &ingested.verdicts {
            match verdict {
                Verdict::Stored(number) if expected.iter().any(|(at, _)| at == number) => {}
                other => {
                    self.findings.add(format!("entry {id:?} would not be stored again: {other:?}"))
                }
            }
        }
        self.scratch.apply(overlay.into_batch(), Durability::Eventual)
    }

    /// Compares tips and state of what was built again with what is there.
    fn ends(&mut self, rows: &dyn Snapshot) -> Result<(), StoreError> {
        let scratch = self.scratch.snapshot()?;
        let Some(built) = catalog::held(&*scratch, &self.held.id)? else {
            self.findings.add("the root entry is missing".into());
            return Ok(());
        };
        let built_head = Graph::new(&*scratch, built.number).head()?;
        if built_head != self.graph.head()? {
            self.findings.add("the tips are not those that the entries give".into());
        }
        if state_digest(rows, self.held.number)? != state_digest(&*scratch, built.number)? {
            self.findings.add("the state is not what the entries fold to; rebuild it".into());
        }
        Ok(())
    }
}

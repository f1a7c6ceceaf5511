//! The integrity check: every hash, signature, parent and number, and the state made again.
//!
//! Invariant: it changes nothing of what it checks; what it builds goes to a scratch store.

mod beside;
mod standing;

use std::ops::ControlFlow;
use std::sync::Arc;

use weald_auth::EpochId;
use weald_dag::{
    Durability, EntryId, Graph, Local, Number, Overlay, Snapshot, Store, StoreError, Stored,
    Verdict, Verified, verify as verify_parcels,
};

use crate::authors::Authors;
use crate::catalog::{self, Held};
use crate::digest::state_digest;
use crate::engine::Engine;
use crate::fold::StoreTypes;
use crate::hidden::{HiddenMax, Unneeded};
use crate::settings::{self, Settings};
use beside::Beside;
use standing::Standings;

/// How many entries are checked and built again at a time, at most.
const CHUNK: usize = 4_096;
/// How many bytes of entries are checked and built again at a time, about.
const CHUNK_BYTES: usize = 16 << 20;
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

    /// Makes damage a finding; any other error keeps the check from going on.
    fn note<T>(&mut self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(found) => Ok(Some(found)),
            Err(error @ StoreError::Corrupt { .. }) => {
                self.add(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
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
    let mut findings = Findings::default();
    let settings = findings.note(settings::load(rows, held.number))?;
    let covered = findings.note(Authors::covered(rows, held.number))?.unwrap_or(0);
    let unneeded = findings.note(Unneeded::load(rows, held.number))?.unwrap_or_default();
    // Rows of sealed stores are nothing that replicas agree on, so they are not made again.
    let mut engine = Engine::new(types.without_secrets());
    // What became hidden stays, and so comes here, too.
    engine.keep_hidden(HiddenMax { entries: u64::MAX, bytes: u64::MAX });
    let mut check = Check {
        graph: Graph::new(rows, held.number),
        held,
        engine,
        scratch,
        seed,
        settings,
        dropped: unneeded.dropped,
        gaps: 0,
        expected: Number(0),
        beside: Beside::new(covered, unneeded.dropped),
        findings,
    };
    let mut next = Number(0);
    loop {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        let read = check.graph.each_from(next, &mut |stored| {
            bytes += stored.parcel.bytes();
            next = Number(stored.number.0.saturating_add(1));
            chunk.push(stored);
            let full = chunk.len() >= CHUNK || bytes >= CHUNK_BYTES;
            if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let done = chunk.len() < CHUNK && bytes < CHUNK_BYTES;
        check.chunk(chunk)?;
        if check.findings.note(read)?.is_none() {
            // What comes after cannot be read in order.
            return Ok(check.findings);
        }
        if done {
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
    /// The authority that is there, unless its rows are damaged.
    settings: Option<Settings>,
    /// How many entries were dropped, and how many numbers are left out.
    dropped: u64,
    gaps: u64,
    /// The next number, if none is left out.
    expected: Number,
    beside: Beside,
    findings: Findings,
}

impl Check<'_> {
    fn chunk(&mut self, chunk: Vec<Stored>) -> Result<(), StoreError> {
        let mut places = Vec::with_capacity(chunk.len());
        let mut parcels = Vec::with_capacity(chunk.len());
        for stored in chunk {
            self.places(&stored)?;
            self.beside.note(&stored);
            let Stored { number, local, parcel } = stored;
            places.push((number, local));
            parcels.push(parcel);
        }
        let mut verified: Vec<Verified> = Vec::with_capacity(parcels.len());
        let mut expected = Vec::with_capacity(parcels.len());
        for (verdict, place) in verify_parcels(parcels, self.seed).into_iter().zip(places) {
            match verdict {
                Ok(parcel) => {
                    verified.push(parcel);
                    expected.push(place);
                }
                Err(fault) => self.findings.add(fault.to_string()),
            }
        }
        self.rebuild(verified, expected)
    }

    /// Checks number, index and parents of one entry.
    fn places(&mut self, stored: &Stored) -> Result<(), StoreError> {
        self.findings.entries += 1;
        let (number, id) = (stored.number, stored.parcel.entry.id());
        self.gaps = self.gaps.saturating_add(number.0.saturating_sub(self.expected.0));
        self.expected = Number(number.0.saturating_add(1));
        let indexed = self.graph.number(&id);
        if self.findings.note(indexed)?.is_some_and(|indexed| indexed != Some(number)) {
            self.findings.add(format!("entry {id:?} is not found under its id"));
        }
        let parents = self.graph.ids(&stored.local.parents);
        if let Some(mut parents) = self.findings.note(parents)? {
            parents.sort_unstable();
            if parents != stored.parcel.entry.parents() {
                self.findings.add(format!("entry {id:?} has other parents than its row says"));
            }
        }
        Ok(())
    }

    fn rebuild(
        &mut self,
        parcels: Vec<Verified>,
        expected: Vec<(Number, Local)>,
    ) -> Result<(), StoreError> {
        let mut overlay = Overlay::new(self.scratch.snapshot()?);
        let mut verdicts = Vec::with_capacity(parcels.len());
        let mut left = parcels.into_iter().zip(&expected).peekable();
        while let Some((first, (from, _))) = left.next() {
            // What was dropped has left out its number.
            let (mut run, mut next) = (vec![first], from.0.saturating_add(1));
            while let Some((parcel, _)) = left.next_if(|(_, (number, _))| number.0 == next) {
                run.push(parcel);
                next = next.saturating_add(1);
            }
            if let Some(built) = catalog::held(&overlay, &self.held.id)? {
                self.engine.skip_to(&overlay, built.number, *from)?;
            }
            let ingested = self.engine.ingest(&mut overlay, self.held.id, run, u64::MAX >> 16)?;
            verdicts.extend(ingested.verdicts);
        }
        let built = catalog::held(&overlay, &self.held.id)?;
        for ((id, verdict), (number, local)) in verdicts.iter().zip(&expected) {
            match (verdict, &built) {
                (Verdict::Stored(at), Some(built)) if at == number => {
                    let again = Graph::new(&overlay, built.number).local(*number)?;
                    self.compare(&overlay, *id, local, &again, built.number)?;
                }
                (other, _) => {
                    self.findings.add(format!("entry {id:?} would not be stored again: {other:?}"));
                }
            }
        }
        self.engine.finish(&mut overlay);
        self.scratch.apply(overlay.into_batch(), Durability::Eventual)
    }

    /// Compares what is known of an entry with what is worked out again, but for the head.
    fn compare(
        &mut self,
        overlay: &Overlay,
        id: EntryId,
        local: &Local,
        again: &Local,
        built: u32,
    ) -> Result<(), StoreError> {
        // How it stands follows from everything, and is compared at the end.
        let front = |local: &Local| (local.generation, local.parents.clone());
        if front(local) != front(again) {
            self.findings.add(format!("entry {id:?} has another place than its ancestors give it"));
        }
        let Some(settings) = &self.settings else { return Ok(()) };
        // Epochs are numbered as they came up; what they stand for counts.
        let Some(authority) = self.engine.authority(overlay, built)? else { return Ok(()) };
        let known = local.epoch < settings.authority.epoch_count();
        let there = settings.authority.epoch_tips(EpochId(local.epoch));
        if !known || there != authority.epoch_tips(EpochId(again.epoch)) {
            self.findings
                .add(format!("entry {id:?} has other settings before it than its row says"));
        }
        Ok(())
    }

    /// Makes the state that was built again once more, by how the entries stand in the end.
    fn fold_again(&mut self) -> Result<(), StoreError> {
        let mut overlay = Overlay::new(self.scratch.snapshot()?);
        if let Some(built) = catalog::held(&overlay, &self.held.id)? {
            self.engine.rebuild(&mut overlay, built.number)?;
        }
        self.scratch.apply(overlay.into_batch(), Durability::Eventual)
    }

    /// Compares what rests beside the entries, and the state, with what was built again.
    fn ends(&mut self, rows: &dyn Snapshot) -> Result<(), StoreError> {
        if self.gaps != self.dropped {
            let Self { gaps, dropped, .. } = self;
            let problem = format!("{gaps} entries are missing, of which {dropped} were dropped");
            self.findings.add(problem);
        }
        let mut hides_any = false;
        if let Some(settings) = &self.settings {
            let standings = Standings::of(rows, self.held.number, settings);
            let compared = standings.and_then(|standings| {
                hides_any = standings.hides_any();
                standings.compare(rows, self.held.number)
            });
            for problem in self.findings.note(compared)?.unwrap_or_default() {
                self.findings.add(problem);
            }
        }
        if hides_any {
            self.fold_again()?;
        }
        let scratch = self.scratch.snapshot()?;
        let Some(built) = catalog::held(&*scratch, &self.held.id)? else {
            self.findings.add("the root entry is missing".into());
            return Ok(());
        };
        let built_head = Graph::new(&*scratch, built.number).head()?;
        let head = self.graph.head();
        let mut head = self.findings.note(head)?;
        if self.dropped > 0
            && let (Some(Some((_, head))), Some((_, built))) = (&mut head, &built_head)
        {
            // What was dropped may have been the latest.
            head.clock = if head.clock > built.clock { built.clock } else { head.clock };
        }
        if head.is_some_and(|head| head != built_head) {
            self.findings.add("the tips are not those that the entries give".into());
        }
        for problem in self.beside.compare(rows, self.held.number, &*scratch, built.number)? {
            self.findings.add(problem);
        }
        if state_digest(rows, self.held.number)? != state_digest(&*scratch, built.number)? {
            self.findings.add("the state is not what the entries fold to; rebuild it".into());
        }
        Ok(())
    }
}

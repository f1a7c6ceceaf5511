//! A real history as entries of many authors with its real merges, imported and then synced.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use weald::{Database, Instance};
use weald_crdt::{LogDraft, MemoryView, Value};
use weald_dag::{EntryId, Fields, Parcel, SecretKey, Section, Time, Verdict, Verified};

use crate::halves::halves;
use crate::history::{History, Line};
use crate::joining::{digest, serve};
use crate::report::Report;
use crate::sample;

/// How many entries are handed over at a time.
const BATCH: usize = 4_096;
/// How many lines a generated history has.
const GENERATED: u64 = 10_000;
const STORE: &str = "commits";

/// What is kept of a line.
#[derive(Serialize)]
struct Commit<'a> {
    subject: &'a str,
    author: u64,
}

/// Imports a history, syncs it to another process and compares the two.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn replay(
    report: &Report,
    dag: Option<&Path>,
    difference: Option<&[usize]>,
    n: Option<u64>,
    halved: bool,
) -> Result<()> {
    let mut history = match dag {
        Some(path) => History::read(path)?,
        None => History::generated(usize::try_from(n.unwrap_or(GENERATED))?),
    };
    if let Some(n) = n {
        history.lines.truncate(usize::try_from(n)?);
    }
    if halved {
        return halves(report, &history);
    }
    let folder = tempfile::tempdir()?;
    let (instance, database) = sample::database(&folder.path().join("weald"))?;
    let lines = history.lines.len() as u64;
    let started = Instant::now();
    let ids = import(&instance, &database, &history)?;
    report.figure("weald-import", lines, started.elapsed().as_secs_f64(), "seconds");
    if let Some([a, b]) = difference {
        let id = |line: &usize| {
            ids.get(*line).copied().with_context(|| format!("there is no line {line}"))
        };
        let count = database.difference(&[id(a)?], &[id(b)?])?;
        report.figure("weald", lines, count as f64, "difference");
        instance.close();
        return Ok(());
    }
    // The root of the database is an entry too, but not a line.
    report.figure("weald", lines, (database.entry_count()? - 1) as f64, "entries");
    report.figure("weald", lines, database.tips()?.len() as f64, "tips");
    report.figure("weald", lines, history.merges() as f64, "merges");
    let joined = serve(&instance, &database, &folder.path().join("joiner"))?;
    report.figure("weald-joiner", lines, (joined.entries - 1) as f64, "entries");
    report.figure("weald-joiner", lines, joined.tips as f64, "tips");
    report.figure("weald-joiner", lines, joined.seconds, "seconds");
    report.figure("weald-joiner", lines, joined.entries as f64 / joined.seconds, "entries/s");
    let ours = digest(&database)?;
    let equal = joined.digest == ours;
    report.figure("weald", lines, f64::from(u8::from(equal)), "equal");
    report.digest("weald", lines, &ours);
    report.digest("weald-joiner", lines, &joined.digest);
    instance.close();
    Ok(())
}

/// Signs each line as an entry of its author and hands them over, parents first.
fn import(instance: &Instance, database: &Database, history: &History) -> Result<Vec<EntryId>> {
    let mut made = Made::new(database)?;
    let mut batch = Vec::with_capacity(BATCH);
    for (number, line) in history.lines.iter().enumerate() {
        batch.push(made.entry(line).with_context(|| format!("line {number}"))?);
        if batch.len() == BATCH || number + 1 == history.lines.len() {
            for (id, verdict) in
                instance.ingest(instance.device_key(), database.id(), std::mem::take(&mut batch))?
            {
                if !matches!(verdict, Verdict::Stored(_)) {
                    bail!("entry {id} was not stored: {verdict:?}");
                }
            }
        }
    }
    Ok(made.entries.into_iter().map(|(id, _)| id).collect())
}

/// The entries made so far.
pub(crate) struct Made {
    root: (EntryId, Time),
    entries: Vec<(EntryId, Time)>,
    authors: BTreeMap<u64, (SecretKey, u64)>,
}

impl Made {
    /// Starts with the root of a database.
    pub(crate) fn new(database: &Database) -> Result<Self> {
        let root = database.id().root();
        let time = database.time_of(&root)?.context("the root is missing")?;
        Ok(Self { root: (root, time), entries: Vec::new(), authors: BTreeMap::new() })
    }

    /// Signs the next line.
    pub(crate) fn entry(&mut self, line: &Line) -> Result<Parcel> {
        let Line(parents, author, seconds, subject) = line;
        let mut before: Vec<(EntryId, Time)> =
            parents.iter().filter_map(|parent| self.entries.get(*parent)).copied().collect();
        if before.is_empty() {
            before.push(self.root);
        }
        before.sort_unstable();
        before.dedup();
        let latest = before.iter().map(|(_, time)| *time).max().unwrap_or(Time::ZERO);
        // People's clocks are not monotonic; an entry's time is.
        let wall = u64::try_from(*seconds).unwrap_or(0) * 1_000;
        let after = latest.next().context("the end of time")?;
        let time = Time::from_millis(wall).max(after);
        let (key, seq) = self.authors.entry(*author).or_insert_with(|| (key_of(*author), 0));
        let mut draft = LogDraft::new();
        let value = Value::from_serde(&Commit { subject, author: *author })?;
        draft.append(&mut MemoryView::new(), &value)?;
        let payload = draft.encode();
        let fields = Fields {
            parents: before.into_iter().map(|(id, _)| id).collect(),
            time,
            author: key.public(),
            seq: *seq,
            sections: vec![Section::of(STORE, &payload)],
            nonce: None,
        };
        *seq += 1;
        let parcel = Verified::sign(fields, vec![payload], key)?.into_parcel();
        self.entries.push((parcel.entry.id(), time));
        Ok(parcel)
    }
}

/// A key for an author that a file knows by number only.
fn key_of(author: u64) -> SecretKey {
    SecretKey::from_seed(&blake3::derive_key("weald bench replay author v1", &author.to_be_bytes()))
}

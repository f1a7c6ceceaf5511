//! Texts: replaying editing traces, on one instance or on as many as there were people, and beside
//! raw Loro.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use loro::{ExportMode, LoroDoc};
use weald::{Database, DatabaseId, Instance};

use crate::meeting::Meeting;
use crate::raw::Raw;
use crate::report::Report;
use crate::sample;
use crate::trace::{Patch, Trace};

/// How many edits make one entry.
const BATCH: usize = 100;
/// The name of the store.
pub(crate) const STORE: &str = "text";
/// How many edits a generated trace has.
const GENERATED: usize = 100_000;
/// Where the trace of the `text` case is looked for.
const PAPER: &str = "../shared/data/automerge-paper.json.gz";

/// Replays a trace of either form; a generated one without a file.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn trace(report: &Report, file: Option<&Path>) -> Result<()> {
    let trace = match file {
        Some(file) => Trace::read(file)?,
        None => Trace::linear(GENERATED),
    };
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let (equal, id, path) = match trace.num_agents {
        None => linear(&trace, folder.path())?,
        Some(_) => {
            let meeting = Meeting::replay(&trace, folder.path())?;
            let equal = meeting.texts()?.iter().all(|text| *text == trace.end_content);
            let equal = equal && meeting.agree()?;
            let (id, path) = meeting.close();
            (equal, id, path)
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let n = trace.edits();
    report.figure("weald", n, f64::from(u8::from(equal)), "equal");
    report.figure("weald", n, seconds * 1e3, "ms");
    report.figure("weald", n, size_of(&path) as f64, "bytes");
    let (open, text) = open(&path, &id)?;
    report.figure("weald-open", n, open * 1e3, "ms");
    if text != trace.end_content {
        report.note("the text differs after opening again");
    }
    Ok(())
}

fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}

/// Replays a linear trace, and says whether the text is what it should be.
fn linear(trace: &Trace, folder: &Path) -> Result<(bool, DatabaseId, PathBuf)> {
    let path = folder.join("weald");
    let (instance, database) = sample::database(&path)?;
    type_all(&database, trace)?;
    let equal = database.text(STORE)?.read()? == trace.end_content;
    let id = database.id();
    drop(database);
    instance.close();
    Ok((equal, id, path))
}

fn type_all(database: &Database, trace: &Trace) -> Result<()> {
    if !trace.start_content.is_empty() {
        database.write(|tx| Ok(tx.text(STORE)?.insert(0, &trace.start_content)?))?;
    }
    for batch in patches(trace).chunks(BATCH) {
        database.write(|tx| {
            let mut text = tx.text(STORE)?;
            for Patch(at, deleted, inserted) in batch {
                text.splice(*at..at + deleted, inserted)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn patches(trace: &Trace) -> Vec<&Patch> {
    trace.steps.iter().flat_map(|step| &step.patches).collect()
}

/// Opens an instance and reads its text; returns the seconds that took.
fn open(path: &Path, id: &DatabaseId) -> Result<(f64, String)> {
    let started = Instant::now();
    let instance = Instance::open(path)?;
    let user = instance.login_user("bench", None)?;
    let text = user.open_database(id)?.text(STORE)?.read()?;
    let seconds = started.elapsed().as_secs_f64();
    instance.close();
    Ok((seconds, text))
}

/// Types a paper key by key, a hundred edits an entry, beside raw Loro that exports as often: in
/// memory, and with each export put durably in redb.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn text(report: &Report) -> Result<()> {
    let trace = match Path::new(PAPER) {
        paper if paper.exists() => Trace::read(paper)?,
        _ => Trace::linear(GENERATED),
    };
    let n = trace.edits();
    let folder = tempfile::tempdir()?;
    let (memory, _) = raw_loro(&trace, None)?;
    let mut raw = Raw::create(folder.path())?;
    let (durable, snapshot) = raw_loro(&trace, Some(&mut raw))?;
    let started = Instant::now();
    let (equal, id, path) = linear(&trace, folder.path())?;
    let ours = started.elapsed().as_secs_f64();
    report.figure("weald", n, ours * 1e3, "ms");
    report.figure("loro-redb", n, durable * 1e3, "ms");
    report.figure("loro", n, memory * 1e3, "ms");
    report.note(&format!(
        "weald / loro with a durable put of each batch {:.2}, / loro in memory {:.2}",
        ours / durable,
        ours / memory
    ));
    let mut opens = (0..5).map(|_| open(&path, &id)).collect::<Result<Vec<_>>>()?;
    opens.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median, text) = opens.get(2).context("it was opened five times")?;
    report.figure("weald-open", n, median * 1e3, "ms");
    let started = Instant::now();
    black_box(LoroDoc::from_snapshot(&snapshot)?.get_text(STORE).to_string().len());
    report.figure("loro-open", n, started.elapsed().as_secs_f64() * 1e3, "ms");
    report.figure("weald", n, size_of(&path) as f64, "bytes");
    let equal = equal && *text == trace.end_content;
    report.figure("weald", n, f64::from(u8::from(equal)), "equal");
    Ok(())
}

/// Types a trace into raw Loro; returns the seconds and a snapshot.
fn raw_loro(trace: &Trace, mut to: Option<&mut Raw>) -> Result<(f64, Vec<u8>)> {
    let started = Instant::now();
    let doc = LoroDoc::new();
    let text = doc.get_text(STORE);
    text.insert(0, &trace.start_content)?;
    for batch in patches(trace).chunks(BATCH) {
        let before = doc.oplog_vv();
        for Patch(at, deleted, inserted) in batch {
            text.delete(*at, *deleted)?;
            text.insert(*at, inserted)?;
        }
        doc.commit();
        let update = doc.export(ExportMode::updates(&before))?;
        match &mut to {
            Some(raw) => raw.commit_bytes(&update)?,
            None => drop(black_box(update)),
        }
    }
    black_box(text.to_string().len());
    Ok((started.elapsed().as_secs_f64(), doc.export(ExportMode::Snapshot)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_trace_ends_with_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let trace = Trace::linear(600);
        let (equal, id, path) = linear(&trace, folder.path()).unwrap();
        assert!(equal);
        assert_eq!(open(&path, &id).unwrap().1, trace.end_content);
    }

    #[test]
    fn a_concurrent_trace_ends_with_its_text() {
        let folder = tempfile::tempdir().unwrap();
        // Both type at once three times, then one of them sees everything and mends it.
        let trace = serde_json::json!({
            "endContent": "Hello, b world!", "numAgents": 2, "txns": [
                {"parents": [], "agent": 0, "patches": [[0, 0, "Hello"]]},
                {"parents": [0], "agent": 1, "patches": [[5, 0, " world"], [0, 1, "J"]]},
                {"parents": [0], "agent": 0, "patches": [[5, 0, ","]]},
                {"parents": [2], "agent": 0, "patches": [[6, 0, " a"]]},
                {"parents": [1, 3], "agent": 1, "patches": [[0, 1, "H"]]},
                {"parents": [4], "agent": 0, "patches": [[5, 14, ", b world!"]]},
            ],
        });
        let mut trace: Trace = serde_json::from_value(trace).unwrap();
        // Which of two at one place comes first is not said, so the last step replaces all of it.
        trace.steps.pop();
        let length = "Hello, a world".chars().count();
        trace.steps.push(crate::trace::Step {
            parents: vec![4],
            agent: 0,
            patches: vec![Patch(5, length - 5, ", b world!".to_owned())],
        });
        let meeting = Meeting::replay(&trace, folder.path()).unwrap();
        assert!(meeting.agree().unwrap());
        for text in meeting.texts().unwrap() {
            assert_eq!(text, trace.end_content);
        }
    }
}

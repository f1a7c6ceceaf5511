//! What folding one entry costs as its store grows: one operation an entry, committed without
//! waiting for the disk, so that the disk hides nothing.

use std::time::Instant;

use anyhow::{Context, Result};
use weald::{Database, Durability, Instance, Key};

use crate::raw::scattered;
use crate::report::{Report, percentile};
use crate::sample::{self, FILL, Message};

/// How many commits of each kind are timed.
const TIMED: u64 = 2_000;

/// One kind of operation: how its store is filled, and how the `i`-th operation is written.
struct Kind {
    name: &'static str,
    fill: fn(&Database, u64) -> Result<Vec<Key>>,
    one: fn(&Database, &[Key], u64) -> Result<()>,
}

const KINDS: [Kind; 4] = [
    Kind { name: "log-push", fill: fill_log, one: push },
    Kind { name: "table-insert", fill: sample::fill_table, one: insert },
    Kind { name: "table-edit", fill: sample::fill_table, one: edit },
    Kind { name: "doc-set", fill: fill_doc, one: set },
];

/// Times single operations on stores of `n` rows, each kind on an instance of its own.
pub(crate) fn fold(report: &Report, n: u64) -> Result<()> {
    for kind in KINDS {
        let folder = tempfile::tempdir()?;
        let builder = Instance::builder(folder.path()).durability(Durability::Eventual);
        let instance = builder.open()?;
        let database = sample::room(&instance)?;
        let keys = (kind.fill)(&database, n)?;
        let mut times = Vec::new();
        for i in 0..TIMED {
            let started = Instant::now();
            (kind.one)(&database, &keys, i)?;
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        report.figure(kind.name, n, percentile(&times, 0.5), "µs");
        instance.close();
    }
    Ok(())
}

fn fill_log(database: &Database, n: u64) -> Result<Vec<Key>> {
    sample::fill_log(database, n).map(|()| Vec::new())
}

fn push(database: &Database, _: &[Key], i: u64) -> Result<()> {
    database.write(|tx| Ok(tx.log("chat")?.push(&Message::new(i))?))?;
    Ok(())
}

fn insert(database: &Database, _: &[Key], i: u64) -> Result<()> {
    sample::commit_one(database, i)
}

fn edit(database: &Database, keys: &[Key], i: u64) -> Result<()> {
    let place = usize::try_from(scattered(i, keys.len() as u64))?;
    let key = keys.get(place).context("a key is missing")?;
    let text = Message::new(i).text;
    database.write(|tx| Ok(tx.table::<Message>("messages")?.edit(key, "text", &text)?))?;
    Ok(())
}

fn leaf(i: u64) -> [String; 2] {
    [format!("section {}", i / 100), format!("leaf {}", i % 100)]
}

fn fill_doc(database: &Database, n: u64) -> Result<Vec<Key>> {
    for start in (0..n).step_by(usize::try_from(FILL)?) {
        database.write(|tx| {
            let mut doc = tx.doc("doc")?;
            let mut leaves = start..n.min(start + FILL);
            Ok(leaves.try_for_each(|i| doc.set(leaf(i), &Message::new(i).text))?)
        })?;
    }
    let count = (0..i64::try_from(n)?).map(Key::Integer);
    Ok(count.collect())
}

fn set(database: &Database, keys: &[Key], i: u64) -> Result<()> {
    let path = leaf(scattered(i, keys.len() as u64));
    database.write(|tx| Ok(tx.doc("doc")?.set(path, &Message::new(i).text)?))?;
    Ok(())
}

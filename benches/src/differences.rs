//! What it costs two instances that hold nearly the same to hold the same: round trips, bytes, time.
//!
//! Invariant: bytes are counted on the link, both ways; of them the entries as they travel are taken off, which
//! are made so that compression saves nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use weald::{Database, EntryId, Filter, Instance, Parcel, Time, Verdict};
use weald_crdt::{LogDraft, MemoryView, Value};
use weald_dag::{Fields, SecretKey, Section, Verified};

use crate::pairs::{Cost, Pair, Side};
use crate::raw::scattered as spread;
use crate::report::Report;
use crate::sample::Message;

/// How many entries are made on each side by `diverged`.
const MOVED: u64 = 1_000;
/// How many leaves each side alone has in `scattered`.
const LEAVES: u64 = 500;
/// How many bytes of noise an entry of these cases carries.
const NOISE: usize = 700;
/// How long a frame takes each way in `delay`.
const DELAY: Duration = Duration::from_millis(50);
const WAIT: Duration = Duration::from_secs(60);

/// One new entry: pushed on a link that is open, and brought by a round on a fresh link.
pub(crate) fn incremental(report: &Report, n: u64) -> Result<()> {
    incremental_over(report, n, Duration::ZERO)
}

/// 1,000 new entries on each side of a shared history.
pub(crate) fn diverged(report: &Report, n: u64) -> Result<()> {
    diverged_over(report, n, Duration::ZERO)
}

/// Leaves of old history that one side lacks, here and there.
pub(crate) fn scattered(report: &Report, n: u64) -> Result<()> {
    scattered_over(report, n, Duration::ZERO)
}

/// The three cases over a link on which a frame takes 50 ms each way.
pub(crate) fn delay(report: &Report, n: u64) -> Result<()> {
    report.figure("link", n, DELAY.as_secs_f64() * 2e3, "ms a round trip");
    incremental_over(&report.of("delay-incremental"), n, DELAY)?;
    diverged_over(&report.of("delay-diverged"), n, DELAY)?;
    scattered_over(&report.of("delay-scattered"), n, DELAY)
}

fn incremental_over(report: &Report, n: u64, delay: Duration) -> Result<()> {
    let pair = Pair::of_size(n, delay)?;
    let first = commit_noise(&pair.here, n)?;
    let connected = pair.connect()?;
    report.figure("weald-handshake", n, connected.ms, "ms");
    report.figure("weald-handshake", n, as_f64(connected.traffic.bytes), "bytes");
    tell(report, "weald-round", n, &pair.sync()?, first);
    pair.check_equal()?;
    let mut watch = pair.there.database.watch(Filter::all());
    // The first push after a round is not like those that follow.
    for (place, peer) in (n + 1..).zip(["weald-first-push", "weald-push"]) {
        let mut bytes = 0;
        let mut cost = pair.cost(|| {
            bytes = commit_noise(&pair.here, place)?;
            watch.recv_timeout(WAIT).context("the entry does not come").map(drop)
        })?;
        cost.round_trips = 1;
        tell(report, peer, n, &cost, bytes);
    }
    pair.check_equal()?;
    pair.close();
    Ok(())
}

fn diverged_over(report: &Report, n: u64, delay: Duration) -> Result<()> {
    let pair = Pair::of_size(n, delay)?;
    let mut bytes = 0;
    for side in [&pair.here, &pair.there] {
        for i in 0..MOVED {
            bytes += commit_noise(side, i)?;
        }
    }
    pair.connect()?;
    tell(report, "weald", n, &pair.sync()?, bytes);
    pair.check_equal()?;
    pair.close();
    Ok(())
}

fn scattered_over(report: &Report, n: u64, delay: Duration) -> Result<()> {
    let pair = Pair::of_size(n, delay)?;
    let mut bytes = 0;
    for (seed, side) in [(1, &pair.here), (2, &pair.there)] {
        bytes += add_leaves(side, n, seed)?;
    }
    pair.connect()?;
    tell(report, "weald", n, &pair.sync()?, bytes);
    pair.check_equal()?;
    pair.close();
    // The same where the leaves are merged, so that no tip tells of them.
    let pair = Pair::of_size(n, delay)?;
    let mut bytes = 0;
    for (seed, side) in [(3, &pair.here), (4, &pair.there)] {
        bytes += add_leaves(side, n, seed)?;
        while side.database.tips()?.len() > 1 {
            bytes += commit_noise(side, n)?;
        }
    }
    pair.connect()?;
    tell(report, "weald-merged", n, &pair.sync()?, bytes);
    pair.check_equal()?;
    pair.close();
    Ok(())
}

/// Prints what a sync has cost beside `entries` bytes of entries.
fn tell(report: &Report, peer: &str, n: u64, cost: &Cost, entries: u64) {
    let overhead = as_f64(cost.traffic.bytes) - as_f64(entries);
    report.figure(peer, n, f64::from(cost.round_trips), "round trips");
    report.figure(peer, n, overhead, "overhead bytes");
    report.figure(peer, n, cost.ms, "ms");
    let Cost { traffic, method, rounds, .. } = cost;
    let frames = traffic.frames;
    report.note(&format!(
        "n={n}: {method}, {rounds} rounds, {frames} frames, {entries} bytes of entries"
    ));
}

#[allow(clippy::cast_precision_loss)]
const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

/// Commits a message that does not compress; returns its bytes as they travel.
fn commit_noise(side: &Side, i: u64) -> Result<u64> {
    let message = noise(&[side.instance.device_key().as_bytes().as_slice(), &i.to_be_bytes()]);
    side.database.write(|tx| Ok(tx.table("messages")?.insert(&message)?))?;
    travelling(&side.database, 1)
}

/// Makes a message that no other seed makes.
fn noise(seed: &[&[u8]]) -> Message {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0; NOISE];
    let mut hasher = blake3::Hasher::new();
    for part in seed {
        hasher.update(part);
    }
    hasher.finalize_xof().fill(&mut bytes);
    let letters = bytes.iter().map(|byte| LETTERS.get(usize::from(byte % 64)));
    Message { text: letters.flatten().map(|letter| char::from(*letter)).collect() }
}

/// Returns the bytes of the last `count` entries as they travel: body, signature, payloads and their lengths.
fn travelling(database: &Database, count: usize) -> Result<u64> {
    let from = database.entry_count()?.saturating_sub(count as u64);
    Ok(bytes_of(&database.parcels(from, count)?))
}

/// As [`travelling`], of these.
pub(crate) fn bytes_of(parcels: &[Parcel]) -> u64 {
    let travelling = |parcel: &Parcel| {
        let mut bytes = Vec::new();
        parcel.encode(&mut bytes);
        let length = bytes.len() as u64;
        // In a batch its length stands before it, seven bits in a byte.
        length + u64::from((u64::BITS - length.leading_zeros()).div_ceil(7))
    };
    parcels.iter().map(travelling).sum()
}

/// Adds entries that descend from old ones here and there, and from which nothing descends.
fn add_leaves(side: &Side, n: u64, seed: u8) -> Result<u64> {
    let key = SecretKey::from_seed(&[seed; 32]);
    let mut leaves = Vec::new();
    for i in 0..LEAVES {
        // The newest one is no old history.
        let number = spread(i * 4 + u64::from(seed), n);
        let parent = side.database.parcels(number, 1)?.pop().context("an entry is missing")?;
        let (id, time) = (parent.entry.id(), parent.entry.time());
        leaves.push(leaf((id, time), &key, i)?);
    }
    let bytes = bytes_of(&leaves);
    ingest(&side.instance, &side.database, leaves)?;
    Ok(bytes)
}

fn leaf((parent, time): (EntryId, Time), key: &SecretKey, seq: u64) -> Result<Parcel> {
    let text = noise(&[parent.as_bytes(), key.public().as_bytes(), &seq.to_be_bytes()]);
    let mut draft = LogDraft::new();
    draft.append(&mut MemoryView::new(), &Value::from_serde(&text)?)?;
    let payload = draft.encode();
    let fields = Fields {
        parents: vec![parent],
        time: time.next().context("the end of time")?,
        author: key.public(),
        seq,
        sections: vec![Section::of("notes", &payload)],
        nonce: None,
    };
    Ok(Verified::sign(fields, vec![payload], key)?.into_parcel())
}

/// Hands entries over as if a peer had brought them.
pub(crate) fn ingest(instance: &Instance, database: &Database, parcels: Vec<Parcel>) -> Result<()> {
    for (id, verdict) in instance.ingest(instance.device_key(), database.id(), parcels)? {
        if !matches!(verdict, Verdict::Stored(_)) {
            anyhow::bail!("entry {id} was not stored: {verdict:?}");
        }
    }
    Ok(())
}

//! Prints what authority costs: a judgement in nanoseconds, histories in milliseconds.
//!
//! usage: `cargo run --release -p weald-auth --example cost`
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::time::Instant;

use weald_auth::{Authority, Claim, EpochId, Level, Operation, Origin, RestoredEntry, Subject};
use weald_dag::{EntryId, PublicKey, SecretKey, Time};

/// How many settings entries a history has.
const HISTORY: u64 = 10_000;
/// How often a judgement is repeated in a run, and how many runs there are.
const JUDGEMENTS: u32 = 500;
const RUNS: u32 = 20;

fn key(seed: u64) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    SecretKey::from_seed(&bytes).public()
}

fn grant(to: PublicKey, level: Level) -> Operation {
    Operation::Grant { subject: Subject::Key(to), level, name: None, expires: None }
}

fn limit(to: PublicKey) -> Operation {
    Operation::Limit { subject: Subject::Key(to), to: None }
}

/// A history as a replica takes it up.
#[derive(Default)]
struct History {
    authority: Authority,
    entries: Vec<(EpochId, RestoredEntry)>,
}

impl History {
    fn add(&mut self, parents: &[Origin], author: PublicKey, operation: Operation) -> Origin {
        let generation = self.entries.len() as u64;
        let mut id = [1; 32];
        id[..8].copy_from_slice(&generation.to_be_bytes());
        let entry = RestoredEntry {
            id: EntryId::from_bytes(id),
            author,
            generation,
            time: Time::from_millis(generation),
            writes_data: false,
            operations: vec![operation],
        };
        let claim = Claim {
            id: entry.id,
            author,
            generation,
            time: entry.time,
            writes_data: false,
            operations: Some(&entry.operations),
        };
        let before = self.authority.before(parents);
        self.authority.judge_before(&before, &claim).unwrap();
        let epoch = self.authority.intern(before);
        let settings = Some(self.authority.insert(epoch, &claim).index);
        self.entries.push((epoch, entry));
        Origin { epoch, settings }
    }

    fn restore(&self) -> Authority {
        let epochs = (0..self.authority.epoch_count()).map(EpochId);
        let epochs = epochs.map(|epoch| self.authority.epoch_tips(epoch).to_vec()).collect();
        Authority::restore(self.entries.clone(), epochs).unwrap()
    }
}

/// Grows a history of which `step` makes each entry from its number and the ones before it.
fn history(
    name: &str,
    mut step: impl FnMut(u64, &[Origin]) -> (Vec<Origin>, PublicKey, Operation),
) -> (History, Origin) {
    let started = Instant::now();
    let mut history = History::default();
    let mut origins = vec![history.add(&[], key(0), grant(key(0), Level::Admin(0)))];
    for number in 1..HISTORY {
        let (parents, author, operation) = step(number, &origins);
        origins.push(history.add(&parents, author, operation));
    }
    let grown = started.elapsed();
    let started = Instant::now();
    drop(history.restore());
    let (grown, restored) = (grown.as_millis(), started.elapsed().as_millis());
    println!("{name}: {HISTORY} entries in {grown} ms, restored in {restored} ms");
    let last = origins[origins.len() - 1];
    (history, last)
}

/// Prints what it costs to change what somebody else still holds a clone of.
fn changes_after_a_clone(history: &mut History, author: PublicKey, last: Origin) {
    let mut last = last;
    let changes = (0..RUNS).map(|_| {
        let held = history.authority.clone();
        let set = Operation::Set { key: "k".into(), value: "v".into() };
        let started = Instant::now();
        last = history.add(&[last], author, set);
        drop(held);
        started.elapsed()
    });
    let each = changes.min().unwrap();
    println!("a change after a clone: {} us", each.as_micros());
}

fn judgements(name: &str, history: &mut History, author: PublicKey, last: Origin) {
    let before = history.authority.before(&[last]);
    let epoch = history.authority.intern(before.clone());
    let (id, time) = (EntryId::from_bytes([9; 32]), Time::from_millis(HISTORY));
    let claim =
        Claim { id, author, generation: HISTORY, time, writes_data: true, operations: None };
    // The fastest run of several is the one that nothing else held up.
    let runs = (0..RUNS).map(|_| {
        let started = Instant::now();
        for _ in 0..JUDGEMENTS {
            let before = std::hint::black_box(epoch).into();
            std::hint::black_box(history.authority.judge_before(&before, &claim)).unwrap();
            let stands = history.authority.stands(epoch, &claim, &|_| false);
            std::hint::black_box(stands).unwrap();
        }
        started.elapsed() / JUDGEMENTS
    });
    let each = runs.min().unwrap();
    println!("{name}: judged at the door and among everything in {} ns", each.as_nanos());
}

fn last(origins: &[Origin]) -> Vec<Origin> {
    vec![origins[origins.len() - 1]]
}

fn main() {
    let keys: Vec<PublicKey> = (0..HISTORY).map(key).collect();
    few(&keys);
    lines(&keys);
    branches(&keys);
    conflicts(&keys);
}

/// What most databases look like.
fn few(keys: &[PublicKey]) {
    let mut few = History::default();
    let root = few.add(&[], keys[0], grant(keys[0], Level::Admin(0)));
    judgements("the creator alone", &mut few, keys[0], root);
    let writer = few.add(&[root], keys[0], grant(keys[1], Level::Write(1)));
    judgements("a writer", &mut few, keys[1], writer);
    let other = few.add(&[writer], keys[0], grant(keys[2], Level::Write(1)));
    let revoked = few.add(&[other], keys[0], limit(keys[2]));
    judgements("a writer when another one was revoked", &mut few, keys[1], revoked);
}

/// Long histories in a line.
fn lines(keys: &[PublicKey]) {
    let (mut many, newest) = history("grants to many keys", |number, origins| {
        (last(origins), keys[0], grant(keys[number as usize], Level::Write(10)))
    });
    judgements("a writer among ten thousand", &mut many, keys[5], newest);
    changes_after_a_clone(&mut many, keys[0], newest);
    history("grants and revocations of eight keys", |number, origins| {
        let to = keys[1 + (number / 2 % 8) as usize];
        let takes = number % 2 == 0;
        (last(origins), keys[0], if takes { limit(to) } else { grant(to, Level::Write(10)) })
    });
    let (mut one, newest) = history("grants and revocations of one key", |number, origins| {
        let takes = number % 2 == 0;
        let operation = if takes { limit(keys[1]) } else { grant(keys[1], Level::Write(10)) };
        (last(origins), keys[0], operation)
    });
    judgements("a key that was revoked five thousand times", &mut one, keys[1], newest);
    history("an administrator who grants itself", |_, origins| {
        (last(origins), keys[0], grant(keys[0], Level::Admin(0)))
    });
    let set = || Operation::Set { key: "k".into(), value: "v".into() };
    history("an administrator who comes and goes", |number, origins| match number % 3 {
        1 => (last(origins), keys[0], grant(keys[1], Level::Admin(1))),
        2 => (last(origins), keys[1], set()),
        _ => (last(origins), keys[0], limit(keys[1])),
    });
}

/// Administrators on branches of their own that never meet, an entry in turn.
fn branches(keys: &[PublicKey]) {
    for count in [2_usize, 50] {
        let mut tips = vec![count; count];
        history(&format!("{count} branches in turn"), |number, origins| {
            let place = number as usize;
            if place <= count {
                return (last(origins), keys[0], grant(keys[place], Level::Admin(1)));
            }
            let tip = std::mem::replace(&mut tips[place % count], place);
            let author = keys[1 + place % count];
            (vec![origins[tip]], author, grant(keys[place], Level::Write(10)))
        });
    }
}

/// As two branches in turn, but both have a revocation beside what it hides in their past.
fn conflicts(keys: &[PublicKey]) {
    let mut tips = [0; 2];
    history("2 branches after a conflict", |number, origins| {
        let place = number as usize;
        match place {
            1 | 2 => return (last(origins), keys[0], grant(keys[place], Level::Admin(1))),
            3 => return (last(origins), keys[1], grant(keys[3], Level::Admin(1))),
            4 => return (vec![origins[2]], keys[0], limit(keys[1])),
            5 => {
                tips = [5; 2];
                return (vec![origins[3], origins[4]], keys[0], grant(keys[4], Level::Write(1)));
            }
            _ => {}
        }
        let tip = std::mem::replace(&mut tips[place % 2], place);
        let author = keys[2 * (place % 2)];
        (vec![origins[tip]], author, grant(keys[place], Level::Write(10)))
    });
}

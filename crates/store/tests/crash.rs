//! A process is killed while it writes: what it acknowledged is there, and nothing is torn.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use weald_dag::{KeyRange, Order, Overlay, Snapshot, Space, Store, StoreError};
use weald_store::{Options, RedbStore, Work, WorkPanic, Writer, WriterOptions};

/// Names the directory for the process that is to be killed.
const DIRECTORY: &str = "WEALD_STORE_CRASH_DIRECTORY";
const KILLS: u32 = 50;
const THREADS: u64 = 4;
/// Stands for a thread in the line that is written before the store is opened.
const OPENING: u64 = 99;
const ROWS: Space = Space::new("rows", 1);
const NEXT: Space = Space::new("next", 1);

/// Appends to the row of a thread what it sent, in two spaces at once.
struct Appending;

impl Work for Appending {
    type Job = (u64, std::sync::mpsc::Sender<u64>);
    type Done = Vec<(std::sync::mpsc::Sender<u64>, u64)>;

    fn process(&mut self, jobs: Vec<Self::Job>, overlay: &mut Overlay) -> Self::Done {
        jobs.into_iter()
            .map(|(thread, caller)| {
                let next = overlay.get(NEXT, &thread.to_be_bytes()).unwrap();
                let next = next.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
                overlay.put(NEXT, thread.to_be_bytes(), (next + 1).to_be_bytes());
                let key = [thread.to_be_bytes(), next.to_be_bytes()].concat();
                overlay.put(ROWS, key, vec![7; 200]);
                (caller, next)
            })
            .collect()
    }

    fn committed(&mut self, done: Self::Done) {
        done.into_iter().for_each(|(caller, number)| assert!(caller.send(number).is_ok()));
    }

    fn failed(&mut self, _: Self::Done, error: &StoreError) {
        unreachable!("{error}");
    }

    fn panicked(&mut self, _: &WorkPanic) {}
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let Ok(dir) = env::var(DIRECTORY) else { return };
    writeln!(std::io::stdout(), "acknowledged {OPENING} 0").unwrap();
    let store = RedbStore::open(dir, Options::default()).unwrap();
    let writer = Writer::spawn(Arc::new(store), Appending, WriterOptions::default()).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let writer = writer.clone();
            std::thread::spawn(move || {
                let (caller, answer) = std::sync::mpsc::channel();
                loop {
                    writer.submit((thread, caller.clone())).unwrap();
                    let number = answer.recv().unwrap();
                    // Fails when the parent is gone, and then there is nothing more to do.
                    writeln!(std::io::stdout(), "acknowledged {thread} {number}").unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lets a child write until it acknowledged so many, kills it and returns the last of each thread.
fn kill_after(dir: &std::path::Path, count: usize) -> BTreeMap<u64, u64> {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut last = BTreeMap::new();
    let mut read = |line: std::io::Result<String>| {
        // What the test harness prints may stand before it on the same line.
        let line = line.unwrap_or_default();
        let mut words = line.split_once("acknowledged ")?.1.split(' ');
        let numbers = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        last.insert(numbers.0, numbers.1);
        Some(())
    };
    let seen = lines.by_ref().filter_map(&mut read).take(count).count();
    assert_eq!(seen, count, "the child ended by itself");
    child.0.kill().unwrap();
    for line in lines {
        let _ = read(line);
    }
    last.remove(&OPENING);
    last
}

#[test]
fn killed_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 0x2545_f491_u32;
    for _ in 0..KILLS {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // Now and then while it opens what the one before left.
        let count = if state.is_multiple_of(5) { 1 } else { 2 + state % 150 };
        let last = kill_after(dir.path(), count as usize);
        let store = RedbStore::open(dir.path(), Options::default()).unwrap();
        let now = store.snapshot().unwrap();
        let next = |thread: u64| {
            let next = now.get(NEXT, &thread.to_be_bytes()).unwrap();
            next.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
        };
        let mut rows = 0;
        now.range(ROWS, KeyRange::all(), Order::Ascending, &mut |_, value| {
            assert_eq!(value, [7; 200]);
            rows += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(rows, (0..THREADS).map(next).sum::<u64>(), "a batch is torn");
        for (thread, number) in last {
            assert!(next(thread) > number, "{number} of thread {thread} is gone");
        }
    }
}

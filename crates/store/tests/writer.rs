//! The writer: order, groups, answers after the commit, panics, settling, closing.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weald_dag::{Batch, Durability, MemoryStore, Overlay, Snapshot, Space, Store, StoreError};
use weald_store::{
    MAX_GROUP_JOBS, MAX_GROUP_WEIGHT, Options, RedbStore, Settle, Work, WorkPanic, Writer,
    WriterClosed, WriterOptions,
};

const ROWS: Space = Space::new("rows", 1);
const DEADLINE: Duration = Duration::from_secs(60);

type Answer = Result<u64, String>;

enum Job {
    /// Appends a row with the next number.
    Append(Sender<Answer>),
    /// Fills a group as much as so many appends.
    Heavy(usize, Sender<Answer>),
    /// Stages nothing.
    Look(Sender<Answer>),
    /// Waits until told to go on.
    Wait(Receiver<()>),
    Panic,
    PanicWhenCommitted,
}

#[derive(Default)]
struct Appending {
    next: Option<u64>,
    groups: Arc<Mutex<Vec<usize>>>,
    panics: Arc<Mutex<Vec<WorkPanic>>>,
}

#[derive(Default)]
struct Answers {
    answers: VecDeque<(Sender<Answer>, Answer)>,
    panic: bool,
}

impl Appending {
    fn append(&mut self, overlay: &mut Overlay) -> Answer {
        let number = match self.next {
            Some(number) => number,
            None => {
                let last = overlay.get(ROWS, b"last").map_err(|error| error.to_string())?;
                last.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
            }
        };
        overlay.put(ROWS, number.to_be_bytes(), *b"row");
        overlay.put(ROWS, *b"last", (number + 1).to_be_bytes());
        self.next = Some(number + 1);
        Ok(number)
    }
}

impl Work for Appending {
    type Job = Job;
    type Done = Answers;

    fn process(&mut self, jobs: Vec<Job>, overlay: &mut Overlay) -> Answers {
        self.groups.lock().unwrap().push(jobs.len());
        let mut done = Answers::default();
        for job in jobs {
            match job {
                Job::Append(caller) | Job::Heavy(_, caller) => {
                    let answer = self.append(overlay);
                    done.answers.push_back((caller, answer));
                }
                Job::Look(caller) => done.answers.push_back((caller, Ok(0))),
                Job::Wait(gate) => gate.recv_timeout(DEADLINE).unwrap(),
                Job::Panic => panic!("told to"),
                Job::PanicWhenCommitted => done.panic = true,
            }
        }
        done
    }

    fn committed(&mut self, done: Answers) {
        assert!(!done.panic, "told to");
        for (caller, answer) in done.answers {
            drop(caller.send(answer));
        }
    }

    fn failed(&mut self, done: Answers, error: &StoreError) {
        self.next = None;
        for (caller, _) in done.answers {
            drop(caller.send(Err(error.to_string())));
        }
    }

    fn panicked(&mut self, panic: &WorkPanic) {
        self.next = None;
        self.panics.lock().unwrap().push(panic.clone());
    }

    fn weight(job: &Job) -> usize {
        if let Job::Heavy(weight, _) = job { *weight } else { 1 }
    }
}

/// A memory store that counts, and that fails when told to.
#[derive(Default)]
struct Counting {
    rows: MemoryStore,
    applied: AtomicUsize,
    settled: Mutex<Option<Sender<()>>>,
    failing: Mutex<Option<StoreError>>,
    unreadable: Mutex<Option<StoreError>>,
}

impl Store for Counting {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.unreadable.lock().unwrap().take().map_or_else(|| self.rows.snapshot(), Err)
    }

    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = self.failing.lock().unwrap().take() {
            return Err(error);
        }
        self.rows.apply(batch, durability)
    }
}

impl Settle for Counting {
    fn settle(&self) -> Result<(), StoreError> {
        if let Some(told) = &*self.settled.lock().unwrap() {
            let _ = told.send(());
        }
        Ok(())
    }
}

fn writer(store: &Arc<Counting>, work: Appending) -> Writer<Job> {
    Writer::spawn(Arc::<Counting>::clone(store), work, WriterOptions::default()).unwrap()
}

fn append(writer: &Writer<Job>) -> Receiver<Answer> {
    let (caller, answer) = channel();
    writer.submit(Job::Append(caller)).unwrap();
    answer
}

fn answered(answer: &Receiver<Answer>) -> Answer {
    answer.recv_timeout(DEADLINE).unwrap()
}

/// Holds the writer inside a group until the returned gate is opened.
fn hold(writer: &Writer<Job>) -> Sender<()> {
    let (open, gate) = channel();
    writer.submit(Job::Wait(gate)).unwrap();
    open
}

#[test]
fn jobs_that_wait_share_a_commit_in_their_order() {
    let store = Arc::new(Counting::default());
    let work = Appending::default();
    let groups = Arc::clone(&work.groups);
    let writer = writer(&store, work);
    let gate = hold(&writer);
    while groups.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let answers: Vec<_> = (0..MAX_GROUP_JOBS + 10).map(|_| append(&writer)).collect();
    gate.send(()).unwrap();
    for (number, answer) in (0..).zip(&answers) {
        assert_eq!(answered(answer), Ok(number));
    }
    assert_eq!(*groups.lock().unwrap(), [1, MAX_GROUP_JOBS, 10]);
    assert_eq!(store.applied.load(Ordering::SeqCst), 2);
}

#[test]
fn a_group_is_bounded_by_weight() {
    let store = Arc::new(Counting::default());
    let work = Appending::default();
    let groups = Arc::clone(&work.groups);
    let writer = writer(&store, work);
    let gate = hold(&writer);
    while groups.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let half = MAX_GROUP_WEIGHT / 2;
    let answers: Vec<_> = [half, half, 1, 2 * MAX_GROUP_WEIGHT, 1]
        .into_iter()
        .map(|weight| {
            let (caller, answer) = channel();
            writer.submit(Job::Heavy(weight, caller)).unwrap();
            answer
        })
        .collect();
    gate.send(()).unwrap();
    answers.iter().for_each(|answer| assert!(answered(answer).is_ok()));
    assert_eq!(*groups.lock().unwrap(), [1, 2, 1, 1, 1]);
}

#[test]
fn many_threads_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(RedbStore::open(dir.path(), Options::default()).unwrap());
    let reader: Arc<dyn Store> = Arc::<RedbStore>::clone(&store);
    let writer = Writer::spawn(store, Appending::default(), WriterOptions::default()).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (writer, reader) = (writer.clone(), Arc::clone(&reader));
            std::thread::spawn(move || {
                let mut numbers = Vec::new();
                for _ in 0..40 {
                    let number = answered(&append(&writer)).unwrap();
                    // Who was answered sees the row.
                    let now = reader.snapshot().unwrap();
                    assert!(now.get(ROWS, &number.to_be_bytes()).unwrap().is_some());
                    numbers.push(number);
                }
                assert!(numbers.is_sorted());
                numbers
            })
        })
        .collect();
    let mut all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..320).collect::<Vec<_>>());
    writer.close();
    drop((writer, reader));
    assert!(!RedbStore::open(dir.path(), Options::default()).unwrap().was_repaired());
}

#[test]
fn nothing_staged_is_not_written() {
    let store = Arc::new(Counting::default());
    let writer = writer(&store, Appending::default());
    let (caller, answer) = channel();
    writer.submit(Job::Look(caller)).unwrap();
    assert_eq!(answered(&answer), Ok(0));
    assert_eq!(store.applied.load(Ordering::SeqCst), 0);
}

#[test]
fn a_failed_write_is_told_and_the_next_one_starts_afresh() {
    let store = Arc::new(Counting::default());
    let writer = writer(&store, Appending::default());
    assert_eq!(answered(&append(&writer)), Ok(0));
    let error = StoreError::OutcomeUnknown { reason: "injected".to_owned() };
    *store.failing.lock().unwrap() = Some(error);
    assert!(answered(&append(&writer)).unwrap_err().contains("may or may not"));
    assert_eq!(answered(&append(&writer)), Ok(1));
    *store.unreadable.lock().unwrap() = Some(StoreError::Closed);
    let applied = store.applied.load(Ordering::SeqCst);
    assert_eq!(answered(&append(&writer)), Err(StoreError::Closed.to_string()));
    assert_eq!(store.applied.load(Ordering::SeqCst), applied, "written without having read");
    assert_eq!(answered(&append(&writer)), Ok(2));
}

#[test]
fn a_panic_is_told_and_the_writer_goes_on() {
    let store = Arc::new(Counting::default());
    let work = Appending::default();
    let panics = Arc::clone(&work.panics);
    let writer = writer(&store, work);
    assert_eq!(answered(&append(&writer)), Ok(0));
    let gate = hold(&writer);
    let lost = append(&writer);
    writer.submit(Job::Panic).unwrap();
    gate.send(()).unwrap();
    // Either its group was lost, and then nothing of it was written, or it was not in it.
    let next = match lost.recv_timeout(DEADLINE) {
        Ok(answer) => answer.unwrap() + 1,
        Err(_) => 1,
    };
    assert_eq!(answered(&append(&writer)), Ok(next));
    writer.submit(Job::PanicWhenCommitted).unwrap();
    while panics.lock().unwrap().len() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(answered(&append(&writer)), Ok(next + 1));
    writer.close();
    let panics = panics.lock().unwrap();
    assert_eq!(panics.len(), 2);
    assert!(panics.iter().all(|panic| panic.what == "told to"), "{panics:?}");
}

#[test]
fn the_store_settles_when_nothing_is_written() {
    let store = Arc::new(Counting::default());
    let (told, settled) = channel();
    *store.settled.lock().unwrap() = Some(told);
    let writer = writer(&store, Appending::default());
    answered(&append(&writer)).unwrap();
    settled.recv_timeout(DEADLINE).unwrap();
    // Reading does not make it due again.
    let (caller, answer) = channel();
    writer.submit(Job::Look(caller)).unwrap();
    answered(&answer).unwrap();
    writer.close();
    assert!(settled.try_recv().is_err());
}

#[test]
fn closing_finishes_what_is_queued() {
    let store = Arc::new(Counting::default());
    let (told, settled) = channel();
    *store.settled.lock().unwrap() = Some(told);
    let writer = writer(&store, Appending::default());
    let gate = hold(&writer);
    let answers: Vec<_> = (0..3_000).map(|_| append(&writer)).collect();
    gate.send(()).unwrap();
    let other = writer.clone();
    writer.close();
    assert!(answers.iter().all(|answer| answer.try_recv().unwrap().is_ok()));
    assert!(settled.try_recv().is_ok());
    assert_eq!(other.submit(Job::Panic), Err(WriterClosed));
    other.close();
    assert_eq!(Arc::strong_count(&store), 1, "the thread let go of the store");
}

#[test]
fn dropping_the_last_writer_closes_it() {
    let store = Arc::new(Counting::default());
    let writer = writer(&store, Appending::default());
    let clone = writer.clone();
    let answer = append(&writer);
    drop(writer);
    let later = append(&clone);
    drop(clone);
    assert_eq!((answer.try_recv().unwrap(), later.try_recv().unwrap()), (Ok(0), Ok(1)));
    assert_eq!(Arc::strong_count(&store), 1);
}

#[test]
fn the_writer_thread_may_drop_the_last_writer() {
    struct Holding(Vec<Writer<Sender<()>>>, Arc<Mutex<Vec<Writer<Sender<()>>>>>);
    impl Work for Holding {
        type Job = Sender<()>;
        type Done = Vec<Sender<()>>;
        fn process(&mut self, jobs: Vec<Sender<()>>, _: &mut Overlay) -> Vec<Sender<()>> {
            self.0.append(&mut self.1.lock().unwrap());
            jobs
        }
        fn committed(&mut self, done: Vec<Sender<()>>) {
            self.0.clear();
            done.iter().for_each(|caller| assert!(caller.send(()).is_ok()));
        }
        fn failed(&mut self, _: Vec<Sender<()>>, _: &StoreError) {}
        fn panicked(&mut self, _: &WorkPanic) {}
    }
    let handed = Arc::new(Mutex::new(Vec::new()));
    let work = Holding(Vec::new(), Arc::clone(&handed));
    let store: Arc<dyn Settle> = Arc::new(MemoryStore::new());
    let writer = Writer::spawn(store, work, WriterOptions::default()).unwrap();
    let (caller, done) = channel();
    let mut all = handed.lock().unwrap();
    writer.submit(caller).unwrap();
    all.push(writer);
    drop(all);
    done.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn work_may_submit_more() -> io::Result<()> {
    struct Chained(Arc<Mutex<Option<Writer<u32>>>>, Sender<u32>);
    impl Work for Chained {
        type Job = u32;
        type Done = Vec<u32>;
        fn process(&mut self, jobs: Vec<u32>, _: &mut Overlay) -> Vec<u32> {
            jobs
        }
        fn committed(&mut self, done: Vec<u32>) {
            for left in done {
                self.1.send(left).unwrap();
                if let Some(writer) = &*self.0.lock().unwrap()
                    && left > 0
                {
                    writer.submit(left - 1).unwrap();
                }
            }
        }
        fn failed(&mut self, _: Vec<u32>, _: &StoreError) {}
        fn panicked(&mut self, _: &WorkPanic) {}
    }
    let own = Arc::new(Mutex::new(None));
    let (told, heard) = channel();
    let store: Arc<dyn Settle> = Arc::new(MemoryStore::new());
    let work = Chained(Arc::clone(&own), told);
    let writer = Writer::spawn(store, work, WriterOptions::default())?;
    *own.lock().unwrap() = Some(writer.clone());
    writer.submit(3).unwrap();
    let counted: Vec<_> = (0..4).map(|_| heard.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(counted, [3, 2, 1, 0]);
    own.lock().unwrap().take();
    writer.close();
    Ok(())
}

/// A store that panics where others give errors.
#[derive(Default)]
struct Panicking(MemoryStore, AtomicUsize);

impl Store for Panicking {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        assert!(self.1.load(Ordering::SeqCst) != 1, "cannot read");
        self.0.snapshot()
    }

    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        assert!(self.1.load(Ordering::SeqCst) != 2, "cannot write");
        self.0.apply(batch, durability)
    }
}

impl Settle for Panicking {
    fn settle(&self) -> Result<(), StoreError> {
        panic!("cannot settle");
    }
}

#[test]
fn a_store_that_panics_does_not_end_the_writer() {
    let store = Arc::new(Panicking::default());
    let work = Appending::default();
    let shared: Arc<dyn Settle> = Arc::<Panicking>::clone(&store);
    let writer = Writer::spawn(shared, work, WriterOptions::default()).unwrap();
    store.1.store(1, Ordering::SeqCst);
    assert!(answered(&append(&writer)).unwrap_err().contains("cannot read"));
    store.1.store(2, Ordering::SeqCst);
    assert!(answered(&append(&writer)).unwrap_err().contains("cannot write"));
    store.1.store(0, Ordering::SeqCst);
    assert_eq!(answered(&append(&writer)), Ok(0));
    writer.close();
}

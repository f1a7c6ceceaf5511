//! The desk over a store that fails: callers learn the outcome, nothing is told, it goes on.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use weald_dag::{
    Batch, DatabaseId, Durability, KeyRange, MemoryStore, Number, Order, PublicKey, Snapshot,
    Space, Store, StoreError, Visit,
};
use weald_engine::CommitError;
use weald_store::Settle;

use crate::core::Core;
use crate::seal::{Sealer, new_secret};
use crate::{
    CommitFeed, Database, DatabaseSettings, Error, Filter, Instance, PasswordCost, UserError,
};

const WORKS: u8 = 0;
const FAILS_TO_WRITE: u8 = 1;
const LOSES_THE_ANSWER: u8 = 2;
const FAILS_TO_READ: u8 = 3;

#[derive(Default)]
struct Failing {
    store: MemoryStore,
    mode: Arc<AtomicU8>,
}

fn broken() -> StoreError {
    StoreError::Corrupt { what: "as the test wants it".into() }
}

impl Store for Failing {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let rows = self.store.snapshot()?;
        Ok(Arc::new(Rows { rows, mode: Arc::clone(&self.mode) }))
    }

    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        match self.mode.load(Ordering::SeqCst) {
            FAILS_TO_WRITE => Err(broken()),
            LOSES_THE_ANSWER => {
                self.store.apply(batch, durability)?;
                Err(StoreError::OutcomeUnknown { reason: "as the test wants it".into() })
            }
            _ => self.store.apply(batch, durability),
        }
    }
}

impl Settle for Failing {
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Rows {
    rows: Arc<dyn Snapshot>,
    mode: Arc<AtomicU8>,
}

impl Rows {
    /// Reads of entries fail, which only the engine needs for a commit to a log.
    fn check(&self, space: Space) -> Result<(), StoreError> {
        let fails = self.mode.load(Ordering::SeqCst) == FAILS_TO_READ;
        if fails && space.name() == "entries" { Err(broken()) } else { Ok(()) }
    }
}

impl Snapshot for Rows {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check(space)?;
        self.rows.get(space, key)
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.check(space)?;
        self.rows.range(space, range, order, visit)
    }
}

#[derive(Default)]
struct Count(Mutex<usize>);

impl CommitFeed for Count {
    fn committed(&self, _: DatabaseId, numbers: &[Number], _: Option<PublicKey>) {
        *self.0.lock().unwrap() += numbers.len();
    }
}

fn room() -> (Instance, Database, Arc<AtomicU8>) {
    let failing = Failing::default();
    let mode = Arc::clone(&failing.mode);
    let (device, sealer) = (new_secret().unwrap(), Sealer::random().unwrap());
    let core = Core::start(
        Arc::new(failing),
        device,
        sealer,
        Vec::new(),
        PasswordCost::new(8, 1).unwrap(),
    )
    .unwrap();
    let instance = Instance::new(Arc::new(core));
    let alice = instance.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Demo")).unwrap();
    (instance, room, mode)
}

fn push(room: &Database, text: &str) -> Result<(), Error> {
    room.write(|tx| Ok(tx.log("messages")?.push(&text.to_owned())?)).map(drop)
}

fn texts(room: &Database) -> Vec<String> {
    let items = room.log::<String>("messages").unwrap().tail(100).unwrap();
    items.into_iter().map(|item| item.value.unwrap()).collect()
}

#[test]
fn a_failed_write_changes_nothing_and_the_next_one_works() {
    let (instance, room, mode) = room();
    let count = Arc::new(Count::default());
    instance.add_feed(Arc::<Count>::clone(&count));
    let mut watch = room.watch(Filter::all());
    push(&room, "one").unwrap();
    for fails in [FAILS_TO_WRITE, FAILS_TO_WRITE, FAILS_TO_READ] {
        mode.store(fails, Ordering::SeqCst);
        let failed = push(&room, "never");
        assert!(
            matches!(failed, Err(Error::Commit(CommitError::Store(StoreError::Corrupt { .. })))),
            "{failed:?}"
        );
        let failed = room.settings().set("topic", "never");
        assert!(matches!(failed, Err(Error::Commit(CommitError::Store(_)))), "{failed:?}");
    }
    mode.store(WORKS, Ordering::SeqCst);
    push(&room, "two").unwrap();
    assert_eq!(texts(&room), ["one", "two"]);
    assert_eq!(room.settings().get("topic").unwrap(), None);
    assert!(instance.verify().unwrap().is_sound());
    instance.close();
    assert_eq!(*count.0.lock().unwrap(), 2);
    assert_eq!(std::iter::from_fn(|| watch.try_next()).count(), 2, "nobody was told of the others");
}

#[test]
fn an_unknown_outcome_is_said_to_be_unknown_and_the_rows_are_believed() {
    let (instance, room, mode) = room();
    push(&room, "one").unwrap();
    mode.store(LOSES_THE_ANSWER, Ordering::SeqCst);
    let failed = push(&room, "perhaps");
    assert!(
        matches!(failed, Err(Error::Commit(CommitError::Store(StoreError::OutcomeUnknown { .. })))),
        "{failed:?}"
    );
    assert!(room.settings().set("topic", "tea").is_err());
    mode.store(WORKS, Ordering::SeqCst);
    push(&room, "two").unwrap();
    assert_eq!(room.settings().get("topic").unwrap().as_deref(), Some("tea"));
    assert_eq!(texts(&room), ["one", "perhaps", "two"]);
    assert_eq!(room.tips().unwrap().len(), 1, "the next commit stands on what is there");
    assert!(instance.verify().unwrap().is_sound());
}

#[test]
fn a_change_of_password_that_fails_or_is_lost_track_of_loses_no_key() {
    let (instance, _room, mode) = room();
    let alice = instance.login_user("alice", None).unwrap();
    mode.store(FAILS_TO_WRITE, Ordering::SeqCst);
    assert!(alice.change_password(None, Some("new")).is_err());
    assert!(alice.add_private_key(None).is_err());
    mode.store(WORKS, Ordering::SeqCst);
    assert!(!alice.has_password().unwrap());
    assert_eq!(instance.login_user("alice", None).unwrap().keys().len(), 1);
    alice.add_private_key(None).unwrap();
    // It was stored, and nobody here knows it.
    mode.store(LOSES_THE_ANSWER, Ordering::SeqCst);
    assert!(alice.change_password(None, Some("new")).is_err());
    mode.store(WORKS, Ordering::SeqCst);
    let outdated = alice.add_private_key(None);
    assert!(matches!(outdated, Err(UserError::Outdated { .. })), "{outdated:?}");
    let again = instance.login_user("alice", Some("new")).unwrap();
    assert_eq!(again.keys().len(), 2);
    alice.add_private_key(None).unwrap();
    drop((alice, again));
    assert_eq!(instance.login_user("alice", Some("new")).unwrap().keys().len(), 3);
}

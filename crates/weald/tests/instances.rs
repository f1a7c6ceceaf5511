//! Instances and users: opening, closing, what persists, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::fs;
use std::ops::ControlFlow;

use common::{Message, message, push, texts};
use weald::{
    DatabaseError, DatabaseId, DatabaseSettings, DeviceError, Durability, Error, Instance, Level,
    OpenError, PasswordError, UserError,
};
use weald_dag::{Batch, KeyRange, Order, Space, Store};
use weald_store::{Options, RedbStore};

#[test]
fn p8_p9_users_databases_and_messages_persist() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::open(dir.path()).unwrap();
    let device = instance.device_key();
    let alice = instance.create_user("alice", None).unwrap();
    instance.create_user("bob", None).unwrap();
    let backup = alice.add_private_key(Some("backup")).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Demo")).unwrap();
    push(&room, "hello");
    let (id, digest) = (room.id(), room.state_digest().unwrap());
    let key = alice.default_key();
    drop((instance, alice, room));

    let instance = Instance::open(dir.path()).unwrap();
    assert_eq!(instance.device_key(), device);
    assert_eq!(instance.users().unwrap(), ["alice", "bob"]);
    assert_eq!(instance.databases().unwrap(), [id], "system databases are not shown");
    let alice = instance.login_user("alice", None).unwrap();
    assert_eq!(alice.default_key(), key);
    let keys = alice.keys();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().any(|own| own.key == backup && own.name.as_deref() == Some("backup")));
    let tracked = alice.databases().unwrap();
    assert_eq!(tracked.len(), 1);
    assert_eq!((tracked[0].id, tracked[0].name.as_deref()), (id, Some("Demo")));
    assert!(tracked[0].complete);
    assert_eq!(tracked[0].entries, 2);
    let room = alice.open_database(&id).unwrap();
    assert_eq!(room.name().as_deref(), Some("Demo"));
    assert_eq!(room.settings().my_permission().unwrap(), Some(Level::Admin(0)));
    assert_eq!(texts(&room), ["hello"]);
    assert_eq!(room.state_digest().unwrap(), digest);
    push(&room, "again");
    assert!(instance.login_user("bob", None).unwrap().databases().unwrap().is_empty());
    let mut unlocked = vec![key, backup];
    unlocked.sort_unstable();
    assert_eq!(instance.unlocked_keys(), unlocked, "bob's handle is gone, and his keys with it");
    assert!(instance.verify().unwrap().is_sound());
}

#[test]
fn wrong_users_are_typed_errors() {
    let instance = Instance::in_memory().unwrap();
    instance.create_user("alice", None).unwrap();
    let create = |name: &str, password: Option<&str>| {
        instance.create_user(name, password).map(drop).unwrap_err()
    };
    let login = |name: &str, password: Option<&str>| {
        instance.login_user(name, password).map(drop).unwrap_err()
    };
    assert!(matches!(create("alice", None), UserError::Exists { .. }));
    assert!(matches!(login("bob", None), UserError::Unknown { .. }));
    assert!(matches!(create("", None), UserError::Name));
    assert!(matches!(create("a\nb", None), UserError::Name));
    assert!(matches!(create(&"x".repeat(129), None), UserError::Name));
    assert!(matches!(create("carol", Some("")), UserError::Password(PasswordError::Length)));
    assert!(matches!(login("alice", Some("secret")), UserError::NoPassword { .. }));
    assert_eq!(instance.users().unwrap(), ["alice"]);
}

#[test]
fn one_of_two_that_create_the_same_user_wins() {
    let instance = Instance::in_memory().unwrap();
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| instance.create_user("alice", None).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|made| *made).count()
    });
    assert_eq!(made, 1);
    instance.login_user("alice", None).unwrap();
}

#[test]
fn a_database_that_is_not_here_is_tracked_and_says_so() {
    let instance = Instance::in_memory().unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let id = DatabaseId::from_bytes([7; 32]);
    alice.track(id).unwrap();
    alice.track(id).unwrap();
    let opened = alice.open_database(&id).map(drop);
    assert!(matches!(opened, Err(Error::Database(DatabaseError::NotHere { .. }))), "{opened:?}");
    let tracked = alice.databases().unwrap();
    assert_eq!((tracked.len(), tracked[0].id, tracked[0].complete), (1, id, false));
    assert!(alice.untrack(id).unwrap());
    assert!(!alice.untrack(id).unwrap());
    assert!(alice.databases().unwrap().is_empty());
}

#[test]
fn p38_a_database_can_be_made_and_opened_with_another_key() {
    let instance = Instance::in_memory().unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let backup = alice.add_private_key(Some("backup")).unwrap();
    let settings = DatabaseSettings::named("Second").created_by(backup);
    let room = alice.create_database(settings).unwrap();
    assert_eq!(room.key(), backup);
    // P34: the best key is found.
    assert_eq!(alice.open_database(&room.id()).unwrap().key(), backup);
    let with = alice.open_database_with(&room.id(), &alice.default_key()).unwrap();
    assert_eq!(with.settings().my_permission().unwrap(), None);
    let foreign = alice.open_database_with(&room.id(), &instance.device_key()).map(drop);
    assert!(matches!(foreign, Err(Error::Database(DatabaseError::NoKey { .. }))));
    let too_much = DatabaseSettings::named("x".repeat(2 << 20));
    let refused = alice.create_database(too_much).map(drop);
    assert!(matches!(refused, Err(Error::Database(DatabaseError::Settings(_)))), "{refused:?}");
}

#[test]
fn a_second_opener_is_told_and_the_directory_is_free_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::open(dir.path()).unwrap();
    let second = Instance::open(dir.path()).map(drop);
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    let held = instance.create_user("alice", None).unwrap();
    instance.close();
    let instance = Instance::open(dir.path()).unwrap();
    instance.login_user("alice", None).unwrap();
    drop(held);
    drop(instance);
    Instance::builder(dir.path())
        .durability(Durability::Eventual)
        .cache_bytes(4 << 20)
        .open()
        .unwrap()
        .create_user("bob", None)
        .unwrap();
    assert_eq!(Instance::open(dir.path()).unwrap().users().unwrap(), ["alice", "bob"]);
}

#[cfg(unix)]
#[test]
fn keys_rest_sealed_by_a_secret_that_only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = dir.path().join("device.secret");
    drop(Instance::open(dir.path()).unwrap());
    drop(Instance::open(other.path()).unwrap());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&secret), 0o600);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Instance::open(dir.path()).unwrap());
    assert_eq!(mode(&secret), 0o600, "it is closed to others again");
    let own = fs::read(&secret).unwrap();
    fs::write(&secret, fs::read(other.path().join("device.secret")).unwrap()).unwrap();
    let wrong = Instance::open(dir.path()).map(drop);
    assert!(matches!(wrong, Err(OpenError::Device(DeviceError::Wrong { .. }))), "{wrong:?}");
    fs::remove_file(&secret).unwrap();
    let missing = Instance::open(dir.path()).map(drop);
    assert!(matches!(missing, Err(OpenError::Device(DeviceError::Missing { .. }))), "{missing:?}");
    assert!(!secret.exists(), "no new secret is made while keys are there");
    for damaged in [b"short".as_slice(), b"", &[7; 33]] {
        fs::write(&secret, damaged).unwrap();
        let error = Instance::open(dir.path()).map(drop);
        assert!(matches!(error, Err(OpenError::Device(DeviceError::Damaged { .. }))), "{error:?}");
        assert_eq!(fs::read(&secret).unwrap(), damaged, "nothing is overwritten");
    }
    fs::write(&secret, own).unwrap();
    Instance::open(dir.path()).unwrap();
}

#[test]
fn debug_of_handles_shows_no_secret() {
    let instance = Instance::in_memory().unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Demo")).unwrap();
    let shown = format!("{instance:?} {alice:?} {:?} {room:?}", alice.keys());
    // A seed or a sealed key would show as a list of 32 or more bytes, or as a long word.
    assert!(shown.matches(", ").count() < 16, "{shown}");
    assert!(shown.split(|c: char| !c.is_alphanumeric()).all(|word| word.len() < 32), "{shown}");
}

#[test]
fn verify_finds_a_damaged_row_of_state_and_rebuild_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::open(dir.path()).unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Demo")).unwrap();
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("intact"))?)).unwrap();
    let id = room.id();
    assert!(instance.verify().unwrap().is_sound());
    drop((instance, alice, room));

    let store = RedbStore::open(dir.path(), Options::default()).unwrap();
    let mut damaged = None;
    for number in 1..8 {
        let space = Space::new("state", number);
        let snapshot = store.snapshot().unwrap();
        let mut visit = |key: &[u8], row: &[u8]| {
            if let Some(place) = row.windows(6).position(|part| part == b"intact") {
                let mut row = row.to_vec();
                row[place] ^= 1;
                damaged = Some((space, key.to_vec(), row));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        snapshot.range(space, KeyRange::all(), Order::Ascending, &mut visit).unwrap();
    }
    let (space, key, row) = damaged.unwrap();
    let mut batch = Batch::default();
    batch.put(space, key, row);
    store.apply(batch, Durability::Immediate).unwrap();
    drop(store);

    let instance = Instance::open(dir.path()).unwrap();
    let verification = instance.verify().unwrap();
    assert!(!verification.is_sound());
    for (database, findings) in verification.databases {
        assert_eq!(findings.is_sound(), database != id, "{findings:?}");
    }
    let room = instance.login_user("alice", None).unwrap().open_database(&id).unwrap();
    let row = room.table::<Message>("notes").unwrap().get("a").unwrap().unwrap();
    assert_ne!(row, message("intact"), "what reading gives is what verify warns of");

    instance.rebuild(id).unwrap();
    let row = room.table::<Message>("notes").unwrap().get("a").unwrap();
    assert_eq!(row, Some(message("intact")), "the entries still say it");
    assert!(instance.verify().unwrap().is_sound());
}

//! Encrypted stores: locked without their key, and in the clear nowhere on a disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;

use common::{message, room};
use serde::{Deserialize, Serialize};
use weald::{
    CommitError, Database, DatabaseError, DatabaseSettings, EntryId, Error, Instance, Keying,
    Level, ReadError, SealedError, Sealing, Subject, Time, User, Verdict,
};
use weald_auth::{Operation, encode_operations};
use weald_dag::{Fields, SecretKey, Section, Verified};

/// Words that are in no file of a device: a key of a row, a field's name and a value.
const ROW: &str = "combination-of-the-safe";
const FIELD: &str = "cleartextfield";
const VALUE: &str = "thirty-one left, seven right";
const PASSWORD: &str = "correct horse battery staple";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Secret {
    cleartextfield: String,
}

fn secret(text: &str) -> Secret {
    Secret { cleartextfield: text.to_owned() }
}

fn put(database: &Database, key: &str, text: &str) {
    database.write(|tx| Ok(tx.table("secrets")?.put(key, &secret(text))?)).unwrap();
}

fn get(database: &Database, key: &str) -> Option<Secret> {
    database.table::<Secret>("secrets").unwrap().get(key).unwrap()
}

fn is_locked(database: &Database) -> bool {
    matches!(database.table::<Secret>("secrets"), Err(ReadError::Locked { store }) if store == "secrets")
}

fn waits(database: &Database) -> bool {
    database.sealed_stores().unwrap().iter().any(|store| store.is_waiting)
}

/// Returns whether any file below a directory has these bytes in it.
fn has_bytes(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|found| {
        let path = found.unwrap().path();
        if path.is_dir() {
            return has_bytes(&path, bytes);
        }
        std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

fn assert_nothing_in_the_clear(directory: &Path) {
    assert!(has_bytes(directory, b"secrets"), "the name of the store is no secret");
    for word in [ROW, FIELD, VALUE, PASSWORD] {
        assert!(!has_bytes(directory, word.as_bytes()), "{word} is on the disk");
    }
}

fn bring(from: &Database, to: &Instance) {
    let parcels = from.parcels(0, 10_000).unwrap();
    let key = from.key();
    to.ingest(key, from.id(), parcels).unwrap();
    to.mark_complete(from.id()).unwrap();
}

fn open(instance: &Instance, name: &str, of: &Database) -> Database {
    let user = match instance.login_user(name, None) {
        Ok(user) => user,
        Err(_) => instance.create_user(name, None).unwrap(),
    };
    user.open_database(&of.id()).unwrap()
}

#[test]
fn a_store_that_is_sealed_by_a_password_is_read_while_it_is_unlocked_alone() {
    let directory = tempfile::tempdir().unwrap();
    let id = {
        let instance = Instance::open(directory.path()).unwrap();
        let alice = instance.create_user("alice", None).unwrap();
        let database = alice.create_database(DatabaseSettings::named("Safe")).unwrap();
        database.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
        put(&database, ROW, VALUE);
        put(&database, "other", "short");
        assert_eq!(get(&database, ROW), Some(secret(VALUE)));
        let table = database.table::<Secret>("secrets").unwrap();
        assert_eq!(table.count().unwrap(), 2);
        let keys: Vec<_> = table.rows().map(|row| row.unwrap().0).collect();
        assert_eq!(keys, [weald::Key::from(ROW), weald::Key::from("other")]);
        assert!(database.lock("secrets").unwrap());
        assert!(is_locked(&database));
        assert!(matches!(table.get(ROW), Err(ReadError::Store(weald::StoreError::Locked { .. }))));
        let written = database.write(|tx| Ok(tx.table("secrets")?.put("x", &secret("x"))?));
        assert!(written.is_err());
        database.id()
    };
    assert_nothing_in_the_clear(directory.path());
    let instance = Instance::open(directory.path()).unwrap();
    let database = instance.login_user("alice", None).unwrap().open_database(&id).unwrap();
    assert!(is_locked(&database));
    let wrong = database.unlock("secrets", "hunter2");
    assert!(matches!(
        wrong,
        Err(Error::Database(DatabaseError::Sealed(SealedError::WrongPassword { .. })))
    ));
    assert!(is_locked(&database));
    database.unlock("secrets", PASSWORD).unwrap();
    assert_eq!(get(&database, ROW), Some(secret(VALUE)));
    let listed = database.sealed_stores().unwrap();
    assert_eq!(listed[0].type_name.as_deref(), Some("table"));
    assert_eq!(listed[0].keying, Some(Keying::Password));
    assert!(listed[0].is_unlocked && !listed[0].is_waiting);
    assert!(instance.verify().unwrap().is_sound());
}

#[test]
fn what_comes_while_a_store_is_locked_is_folded_when_it_is_unlocked() {
    let (_one, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, ROW, "first");
    let directory = tempfile::tempdir().unwrap();
    let id = a.id();
    let b = {
        let two = Instance::open(directory.path()).unwrap();
        bring(&a, &two);
        let b = open(&two, "bob", &a);
        assert!(is_locked(&b) && waits(&b));
        b.unlock("secrets", PASSWORD).unwrap();
        assert_eq!(get(&b, ROW), Some(secret("first")));
        b.id()
    };
    assert_eq!(b, id);
    put(&a, ROW, VALUE);
    let two = Instance::open(directory.path()).unwrap();
    bring(&a, &two);
    let b = open(&two, "bob", &a);
    assert!(is_locked(&b) && waits(&b));
    assert_eq!(a.state_digest().unwrap(), b.state_digest().unwrap());
    let mut watch = b.watch(weald::Filter::all());
    b.unlock("secrets", PASSWORD).unwrap();
    let told = watch.recv_timeout(common::DEADLINE).unwrap();
    let changed = |event: &weald::Event| match event {
        weald::Event::Changed { store, author, .. } => store == "secrets" && *author == a.key(),
        _ => false,
    };
    assert!(changed(&told), "{told:?}");
    assert!(!waits(&b));
    assert_eq!(get(&b, ROW), Some(secret(VALUE)));
    put(&b, "from b", "back");
    bring(&b, &_one);
    assert_eq!(get(&a, "from b"), Some(secret("back")));
    assert_eq!(a.state_digest().unwrap(), b.state_digest().unwrap());
    assert_nothing_in_the_clear(directory.path());
}

#[test]
fn every_kind_of_store_can_be_sealed() {
    let (_instance, _alice, database) = room();
    for type_name in ["table", "log", "doc", "counter", "set", "text"] {
        let name = format!("sealed {type_name}");
        database.seal_store(&name, type_name, Sealing::Readers).unwrap();
    }
    database
        .write(|tx| {
            tx.table("sealed table")?.put("k", &secret("v"))?;
            tx.log("sealed log")?.push(&message("one"))?;
            tx.doc("sealed doc")?.set(["b"], &7)?;
            tx.counter("sealed counter")?.add("n", 5)?;
            tx.set::<String>("sealed set")?.add(&"member".to_owned())?;
            tx.text("sealed text")?.insert(0, "hello")?;
            Ok(())
        })
        .unwrap();
    let check = |database: &Database| {
        let row = database.table::<Secret>("sealed table").unwrap().get("k").unwrap();
        assert_eq!(row, Some(secret("v")));
        assert_eq!(
            database.log::<common::Message>("sealed log").unwrap().tail(9).unwrap().len(),
            1
        );
        assert_eq!(
            database.doc("sealed doc").unwrap().get(["b"]).unwrap(),
            Some(weald::Value::from(7))
        );
        assert_eq!(database.counter("sealed counter").unwrap().value("n").unwrap(), 5);
        assert_eq!(database.set::<String>("sealed set").unwrap().len().unwrap(), 1);
        assert_eq!(database.text("sealed text").unwrap().read().unwrap(), "hello");
    };
    check(&database);
    for store in database.sealed_stores().unwrap() {
        database.lock(&store.name).unwrap();
        assert!(database.text("sealed text").is_err() || store.name != "sealed text");
        database.unlock_with_key(&store.name).unwrap();
    }
    check(&database);
}

#[test]
fn a_name_that_is_in_use_or_sealed_is_not_sealed_again() {
    let (_instance, _alice, database) = room();
    common::push(&database, "in the clear");
    let sealed = |name: &str| database.seal_store(name, "log", Sealing::Readers);
    assert!(matches!(
        sealed("messages"),
        Err(Error::Database(DatabaseError::Sealed(SealedError::InUse { .. })))
    ));
    sealed("secrets").unwrap();
    assert!(matches!(
        sealed("secrets"),
        Err(Error::Database(DatabaseError::Sealed(SealedError::AlreadySealed { .. })))
    ));
    assert!(matches!(
        database.unlock("secrets", PASSWORD),
        Err(Error::Database(DatabaseError::Sealed(SealedError::OtherKeying { .. })))
    ));
    assert!(matches!(
        database.unlock("messages", PASSWORD),
        Err(Error::Database(DatabaseError::Sealed(SealedError::NotSealed { .. })))
    ));
    let table = database.table::<Secret>("secrets");
    assert!(matches!(table, Err(ReadError::Name(_))), "it is a log inside");
}

fn admin(database: &Database, user: &User, level: Level) {
    let subject = Subject::Key(user.default_key());
    database.settings().grant(subject, level, None).unwrap();
}

#[test]
fn a_store_that_is_sealed_for_readers_is_read_by_members_with_their_keys() {
    let (one, two, three) = (
        Instance::in_memory().unwrap(),
        Instance::in_memory().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let alice = one.create_user("alice", None).unwrap();
    let bob = two.create_user("bob", None).unwrap();
    let settings = DatabaseSettings::named("Team").grant_anyone(Level::Read);
    let a = alice.create_database(settings).unwrap();
    admin(&a, &bob, Level::Write(10));
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, VALUE);
    // One who may read the database, as anyone may, and is no member, relays what it cannot read.
    let relay = Instance::open(three.path()).unwrap();
    bring(&a, &relay);
    let c = open(&relay, "carol", &a);
    assert!(is_locked(&c));
    assert!(matches!(
        c.unlock_with_key("secrets"),
        Err(Error::Database(DatabaseError::Sealed(SealedError::NotAReader { .. })))
    ));
    bring(&c, &two);
    let b = bob.open_database(&a.id()).unwrap();
    assert_eq!(get(&b, ROW), Some(secret(VALUE)));
    put(&b, ROW, "changed by bob");
    bring(&b, &one);
    assert_eq!(get(&a, ROW), Some(secret("changed by bob")));
    drop((c, relay));
    assert_nothing_in_the_clear(three.path());
}

#[test]
fn a_member_who_comes_later_reads_what_was_there_before() {
    let (one, two) = (Instance::in_memory().unwrap(), Instance::in_memory().unwrap());
    let alice = one.create_user("alice", None).unwrap();
    let bob = two.create_user("bob", None).unwrap();
    let a = alice.create_database(DatabaseSettings::named("Team")).unwrap();
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, VALUE);
    bring(&a, &two);
    let b = bob.open_database(&a.id()).unwrap();
    assert!(is_locked(&b));
    admin(&a, &bob, Level::Write(10));
    // Written once the grant is: the next commit comes behind it.
    common::push(&a, "after the grant");
    bring(&a, &two);
    assert_eq!(get(&b, ROW), Some(secret(VALUE)));
}

#[test]
fn commits_to_a_locked_store_are_refused_and_say_so() {
    let (_instance, _alice, database) = room();
    database.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    let mut tx = database.begin().unwrap();
    tx.table("secrets").unwrap().put("x", &secret("x")).unwrap();
    database.lock("secrets").unwrap();
    assert!(matches!(tx.commit(), Err(CommitError::Locked { store }) if store == "secrets"));
    let mut tx = database.begin().unwrap();
    assert!(tx.table::<Secret>("secrets").is_err());
}

/// An administrator whose entries are made by hand.
fn by_hand() -> SecretKey {
    SecretKey::from_seed(&[8; 32])
}

/// Makes an entry on the tips of a database, and takes it there.
fn write_by_hand(
    instance: &Instance,
    database: &Database,
    author: &SecretKey,
    (store, payload): (&str, Vec<u8>),
) -> EntryId {
    let mut parents = database.tips().unwrap();
    parents.sort_unstable();
    let times = parents.iter().map(|tip| database.time_of(tip).unwrap().unwrap());
    let fields = Fields {
        time: Time::from_raw(times.max().unwrap().raw() + 1),
        parents,
        author: author.public(),
        seq: 0,
        sections: vec![Section::of(store, &payload)],
        nonce: None,
    };
    let parcel = Verified::sign(fields, vec![payload], author).unwrap().into_parcel();
    let id = parcel.entry.id();
    let verdicts = instance.ingest(common::peer(), database.id(), vec![parcel]).unwrap();
    assert!(matches!(verdicts[0].1, Verdict::Stored(_)), "{verdicts:?}");
    id
}

fn revoke(instance: &Instance, database: &Database, key: weald::PublicKey) {
    let limit = Operation::Limit { subject: Subject::Key(key), to: None };
    let payload = encode_operations(&[limit]).unwrap();
    write_by_hand(instance, database, &by_hand(), ("_settings", payload));
}

/// The payload of the newest section on a store.
fn newest_payload(database: &Database, store: &str) -> Vec<u8> {
    let parcels = database.parcels(0, usize::MAX).unwrap();
    let found = parcels.iter().rev().find_map(|parcel| {
        let sections = parcel.entry.sections().iter().zip(&parcel.payloads);
        sections
            .filter(|(section, _)| section.store == store)
            .find_map(|(_, payload)| payload.clone())
    });
    found.unwrap()
}

#[test]
fn a_sealed_section_that_was_changed_or_moved_has_no_effect() {
    let (one, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    a.seal_store("other", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, ROW, "old");
    put(&a, ROW, VALUE);
    let sealed = newest_payload(&a, "secrets");
    let mallory = SecretKey::from_seed(&[66; 32]);
    let before = a.table::<Secret>("secrets").unwrap().count().unwrap();
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (store, payload) in
        [("secrets", sealed.clone()), ("secrets", changed), ("other", sealed.clone())]
    {
        write_by_hand(&one, &a, &mallory, (store, payload));
    }
    // In another database, where the same store has the same password.
    let (two, _bob, b) = room();
    b.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    write_by_hand(&two, &b, &mallory, ("secrets", sealed));
    assert_eq!(a.table::<Secret>("secrets").unwrap().count().unwrap(), before);
    assert_eq!(a.table::<Secret>("other").unwrap().count().unwrap(), 0);
    assert_eq!(b.table::<Secret>("secrets").unwrap().count().unwrap(), 0);
    assert_eq!(get(&a, ROW), Some(secret(VALUE)));
}

#[test]
fn what_is_written_in_the_clear_by_others_does_not_show_in_a_sealed_store() {
    let (one, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, "ours", VALUE);
    let (_two, _bob, b) = room();
    put(&b, "theirs", "in the clear");
    let clear = newest_payload(&b, "secrets");
    write_by_hand(&one, &a, &SecretKey::from_seed(&[66; 32]), ("secrets", clear));
    assert_eq!(get(&a, "theirs"), None);
    assert_eq!(a.table::<Secret>("secrets").unwrap().count().unwrap(), 1);
    // Nor does it make what is written from now on clear.
    put(&a, "ours", "still sealed");
    assert!(newest_payload(&a, "secrets").starts_with(b"\x84\x66sealed"));
    // And nobody takes a store from its users by sealing one of its name.
    common::push(&a, "hello");
    let sealed = newest_payload(&a, "secrets");
    write_by_hand(&one, &a, &SecretKey::from_seed(&[66; 32]), ("messages", sealed));
    assert_eq!(common::texts(&a), ["hello"]);
    common::push(&a, "again");
    assert_eq!(common::texts(&a), ["hello", "again"]);
}

/// A team of readers, each on an instance of their own, and one administrator by hand.
fn team(names: &[&str]) -> Vec<(Instance, Database)> {
    let first = Instance::in_memory().unwrap();
    let alice = first.create_user(names[0], None).unwrap();
    let a = alice.create_database(DatabaseSettings::named("Team")).unwrap();
    let subject = Subject::Key(by_hand().public());
    a.settings().grant(subject, Level::Admin(0), None).unwrap();
    let others: Vec<_> = names[1..]
        .iter()
        .map(|name| {
            let instance = Instance::in_memory().unwrap();
            let user = instance.create_user(name, None).unwrap();
            admin(&a, &user, Level::Write(10));
            (instance, user)
        })
        .collect();
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, "to all");
    let mut team = vec![(first, a)];
    for (instance, user) in others {
        bring(&team[0].1, &instance);
        let database = user.open_database(&team[0].1.id()).unwrap();
        assert_eq!(get(&database, ROW), Some(secret("to all")));
        team.push((instance, database));
    }
    team
}

#[test]
fn a_reader_who_was_revoked_cannot_open_what_is_written_after() {
    let team = team(&["alice", "bob", "carol"]);
    let [(one, a), (two, b), (three, c)] = team.as_slice() else { panic!("three") };
    revoke(one, a, b.key());
    put(a, ROW, VALUE);
    put(a, "new", VALUE);
    for to in [two, three] {
        bring(a, to);
    }
    assert_eq!(get(c, ROW), Some(secret(VALUE)));
    assert_eq!(get(c, "new"), Some(secret(VALUE)));
    assert_eq!(get(b, ROW), Some(secret("to all")), "what he had is his");
    assert_eq!(get(b, "new"), None);
    assert!(waits(b) && !waits(c));
    // Nor with a handle that is opened anew.
    b.lock("secrets").unwrap();
    b.unlock_with_key("secrets").unwrap();
    assert_eq!(get(b, "new"), None);
    // Carol writes with the new key, and Alice reads it.
    put(c, "by carol", "x");
    bring(c, one);
    assert_eq!(get(a, "by carol"), Some(secret("x")));
    bring(c, two);
    assert_eq!(get(b, "by carol"), None);
}

#[test]
fn two_devices_that_make_new_keys_at_once_read_each_other() {
    let team = team(&["alice", "bob", "carol"]);
    let [(one, a), (two, b), (three, c)] = team.as_slice() else { panic!("three") };
    revoke(one, a, b.key());
    bring(a, three);
    put(a, "by alice", "1");
    put(c, "by carol", "2");
    bring(a, three);
    bring(c, one);
    for database in [a, c] {
        assert_eq!(get(database, "by alice"), Some(secret("1")));
        assert_eq!(get(database, "by carol"), Some(secret("2")));
        put(database, "both", "go on");
    }
    bring(a, three);
    bring(c, one);
    assert_eq!(get(a, "both"), get(c, "both"));
    assert_eq!(a.state_digest().unwrap(), c.state_digest().unwrap());
    bring(a, two);
    assert_eq!(get(b, "both"), None);
}

#[test]
fn a_changed_password_opens_all_and_the_old_one_says_that_it_was_changed() {
    let (one, _alice, a) = room();
    let store = a.password_store("secrets");
    store.create(PASSWORD, "table").unwrap();
    put(&a, ROW, "old");
    let (two, b) = common::replica(&a);
    b.unlock("secrets", PASSWORD).unwrap();
    store.change_password(PASSWORD, "Tr0ub4dor&3").unwrap();
    put(&a, ROW, VALUE);
    bring(&a, &two);
    assert_eq!(get(&b, ROW), Some(secret("old")), "the new key is not there");
    assert!(waits(&b));
    let old = b.unlock("secrets", PASSWORD);
    assert!(matches!(
        old,
        Err(Error::Database(DatabaseError::Sealed(SealedError::PasswordChanged { .. })))
    ));
    b.unlock("secrets", "Tr0ub4dor&3").unwrap();
    assert_eq!(get(&b, ROW), Some(secret(VALUE)));
    store.lock().unwrap();
    assert!(!store.is_unlocked());
    store.unlock("Tr0ub4dor&3").unwrap();
    assert_eq!(get(&a, ROW), Some(secret(VALUE)));
    assert!(one.verify().unwrap().is_sound());
}

#[test]
fn history_undo_and_versions_of_a_sealed_store_tell_its_rows_while_it_is_unlocked() {
    let (one, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, "first");
    let before = a.tips().unwrap();
    put(&a, ROW, "second");
    let past = a.at(&before).unwrap();
    let then = past.table::<Secret>("secrets").unwrap().get(ROW).unwrap();
    assert_eq!(then, Some(secret("first")));
    let diff = a.diff(&before, &a.tips().unwrap()).unwrap();
    assert_eq!(diff.len(), 1);
    let revisions = a.table::<Secret>("secrets").unwrap().history(ROW).unwrap();
    assert_eq!(revisions.count(), 2);
    let last = a.tips().unwrap();
    a.revert(last[0]).unwrap();
    assert_eq!(get(&a, ROW), Some(secret("first")));
    assert!(newest_payload(&a, "secrets").starts_with(b"\x84\x66sealed"));
    one.rebuild(a.id()).unwrap();
    assert_eq!(get(&a, ROW), Some(secret("first")));
    let export = |a: &Database| {
        let mut lines = Vec::new();
        a.export_json(&mut lines).map(|_| String::from_utf8(lines).unwrap())
    };
    assert!(export(&a).unwrap().contains("first"));
    a.lock("secrets").unwrap();
    assert!(export(&a).is_err());
    assert!(a.diff(&before, &a.tips().unwrap()).unwrap().is_empty());
}

#[test]
fn a_sealed_store_is_listed_as_such_and_has_no_indexes() {
    let (_instance, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    common::push(&a, "in the clear");
    let listed = a.stores().unwrap();
    let sealed: Vec<_> = listed.iter().map(|store| (&*store.name, store.is_sealed)).collect();
    assert_eq!(sealed, [("messages", false), ("secrets", true)]);
    let indexes = a.table::<Secret>("secrets").unwrap().indexes();
    let refused = indexes.declare("by text", weald::Index::on([FIELD]));
    assert!(matches!(refused, Err(weald::IndexError::Sealed { .. })));
}

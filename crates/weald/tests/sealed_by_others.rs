//! Encrypted stores among others: who may write and means harm, who comes later, who relays.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{DEADLINE, bring, room};
use serde::{Deserialize, Serialize};
use weald::transport::http::HttpTransport;
use weald::{
    Database, DatabaseError, DatabaseSettings, EntryId, Error, Instance, Keying, Level, PeerSync,
    PublicKey, ReadError, SealedError, Sealing, Subject, Time, Verdict,
};
use weald_auth::{Operation, encode_operations};
use weald_cipher::{
    EpochKey, PasswordCost, PasswordLock, PasswordSeeds, section_epoch, wrap_for_reader,
};
use weald_crdt::{LogDraft, MemoryView, Value};
use weald_dag::{Fields, SecretKey, Section, Verified};

const ROW: &str = "combination-of-the-safe";
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
    matches!(database.table::<Secret>("secrets"), Err(ReadError::Locked { .. }))
}

fn mallory() -> SecretKey {
    SecretKey::from_seed(&[66; 32])
}

/// Makes an entry on these parents, and takes it to an instance.
fn write_on(
    parents: Vec<EntryId>,
    (instance, database): (&Instance, &Database),
    author: &SecretKey,
    (store, payload): (&str, Vec<u8>),
) -> EntryId {
    let mut parents = parents;
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

fn root(database: &Database) -> EntryId {
    database.parcels(0, 1).unwrap()[0].entry.id()
}

fn settings(operation: Operation) -> (&'static str, Vec<u8>) {
    ("_settings", encode_operations(&[operation]).unwrap())
}

fn record(fields: &[(&str, Value)]) -> (&'static str, Vec<u8>) {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let all = [("store".to_owned(), Value::from("secrets"))].into_iter().chain(fields);
    let mut draft = LogDraft::new();
    let record = Value::Map(all.collect::<BTreeMap<_, _>>());
    draft.append(&mut MemoryView::new(), &record).unwrap();
    ("_keys", draft.encode())
}

/// A record that gives a key to some, as one who made it says.
fn given(database: &Database, key: &EpochKey, readers: &[PublicKey]) -> (&'static str, Vec<u8>) {
    let id = database.id();
    let wraps = readers.iter().map(|reader| {
        let at = (id.as_bytes(), "secrets");
        let wrap = wrap_for_reader(key, [3; 32], reader.as_bytes(), at).unwrap();
        Value::Bytes([reader.as_bytes().as_slice(), &wrap].concat())
    });
    record(&[
        ("epoch", Value::Bytes(key.id().as_bytes().to_vec())),
        ("made", Value::Bool(true)),
        ("wraps", Value::List(wraps.collect())),
    ])
}

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
fn who_was_revoked_cannot_make_others_write_with_a_key_that_it_made_beside_that() {
    let here = Instance::in_memory().unwrap();
    let alice = here.create_user("alice", None).unwrap();
    let a = alice.create_database(DatabaseSettings::named("Team")).unwrap();
    let (admin, mallory) = (SecretKey::from_seed(&[8; 32]), mallory());
    let carol = SecretKey::from_seed(&[9; 32]).public();
    for (key, level) in [
        (admin.public(), Level::Admin(0)),
        (mallory.public(), Level::Write(20)),
        (carol, Level::Write(10)),
    ] {
        a.settings().grant(Subject::Key(key), level, None).unwrap();
    }
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, VALUE);
    let before = a.tips().unwrap();
    // Carol lacks this key, so Alice gives it to her: by an entry of Alice's.
    let known = EpochKey::new([5; 32]);
    let record = given(&a, &known, &[a.key(), mallory.public()]);
    let made = write_on(before.clone(), (&here, &a), &mallory, record);
    put(&a, ROW, "again");
    let limit = Operation::Limit { subject: Subject::Key(mallory.public()), to: None };
    write_on(before, (&here, &a), &admin, settings(limit));
    assert!(a.why_hidden(&made).unwrap().is_some(), "it was made beside");
    // Commits that are made at once do not make a key each.
    let count = a.entry_count().unwrap();
    let made_at_once: Vec<_> = (0..5)
        .map(|_| {
            let mut tx = a.begin().unwrap();
            tx.table("secrets").unwrap().put(ROW, &secret("without mallory")).unwrap();
            tx.commit_async()
        })
        .collect();
    made_at_once.into_iter().for_each(|commit| drop(common::block_on(commit).unwrap()));
    let parcels = a.parcels(count, usize::MAX).unwrap();
    let sealed = parcels.iter().flat_map(|parcel| {
        let sections = parcel.entry.sections().iter().zip(&parcel.payloads);
        sections.filter(|(section, _)| section.store == "secrets").map(|(_, payload)| payload)
    });
    let epochs: Vec<_> =
        sealed.map(|payload| section_epoch(payload.as_ref().unwrap()).unwrap()).collect();
    assert_eq!(epochs.len(), 5);
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0] && *epoch != known.id()), "{epochs:?}");
}

#[test]
fn a_backdated_section_in_the_clear_does_not_make_a_store_one_in_the_clear_elsewhere() {
    let (here, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, ROW, VALUE);
    let (_other, _bob, b) = room();
    put(&b, ROW, "in the clear");
    let clear = newest_payload(&b, "secrets");
    let bad = write_on(vec![root(&a)], (&here, &a), &mallory(), ("secrets", clear));
    // It comes first where the database is new.
    let mut parcels = a.parcels(0, usize::MAX).unwrap();
    let at = parcels.iter().position(|parcel| parcel.entry.id() == bad).unwrap();
    let parcel = parcels.remove(at);
    parcels.insert(1, parcel);
    let there = Instance::in_memory().unwrap();
    there.ingest(common::peer(), a.id(), parcels).unwrap();
    there.mark_complete(a.id()).unwrap();
    let c = there.create_user("carol", None).unwrap().open_database(&a.id()).unwrap();
    assert!(is_locked(&c));
    c.unlock("secrets", PASSWORD).unwrap();
    assert_eq!(get(&c, ROW), Some(secret(VALUE)));
    put(&c, ROW, "sealed");
    assert!(newest_payload(&c, "secrets").starts_with(b"\x84\x66sealed"));
}

#[test]
fn a_writer_neither_locks_out_readers_nor_hides_the_lock_that_the_password_opens() {
    let (here, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, VALUE);
    let seal = |keying: &str| record(&[("type", "set".into()), ("keying", keying.into())]);
    write_on(vec![root(&a)], (&here, &a), &mallory(), seal("password"));
    let listed = a.sealed_stores().unwrap();
    assert_eq!(listed[0].keying, Some(Keying::Readers));
    assert_eq!(listed[0].type_name.as_deref(), Some("table"));
    a.lock("secrets").unwrap();
    a.unlock_with_key("secrets").unwrap();
    assert_eq!(get(&a, ROW), Some(secret(VALUE)));

    let (here, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, ROW, VALUE);
    let id = a.id();
    for salt in 0..20 {
        let cost = PasswordCost { memory: 8, passes: 1, lanes: 1 };
        let seeds = PasswordSeeds { salt: [salt; 16], nonce: [salt; 24] };
        let keys = [EpochKey::new([salt; 32])];
        let lock = PasswordLock::new("other", cost, seeds, (id.as_bytes(), "secrets"), &keys);
        let lock = Value::Bytes(lock.unwrap().to_bytes());
        let record = record(&[("lock", lock), ("follows", Value::List(Vec::new()))]);
        write_on(a.tips().unwrap(), (&here, &a), &mallory(), record);
    }
    write_on(a.tips().unwrap(), (&here, &a), &mallory(), seal("readers"));
    a.lock("secrets").unwrap();
    assert!(is_locked(&a));
    a.unlock("secrets", PASSWORD).unwrap();
    assert_eq!(get(&a, ROW), Some(secret(VALUE)));
}

#[test]
fn a_store_has_no_empty_password() {
    let (_here, _alice, a) = room();
    let refused = |outcome| {
        use SealedError::PasswordLength;
        matches!(outcome, Err(Error::Database(DatabaseError::Sealed(PasswordLength { .. }))))
    };
    let long = "x".repeat(weald::PASSWORD_MAX + 1);
    for password in ["", &long] {
        assert!(refused(a.seal_store("secrets", "table", Sealing::Password(password))));
    }
    assert!(a.sealed_stores().unwrap().is_empty());
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    assert!(refused(a.change_store_password("secrets", PASSWORD, "")));
    put(&a, ROW, VALUE);
    a.lock("secrets").unwrap();
    a.unlock("secrets", PASSWORD).unwrap();
}

#[test]
fn a_device_that_hears_of_a_new_member_gives_it_the_keys() {
    let instances: Vec<_> = (0..3).map(|_| Instance::in_memory().unwrap()).collect();
    let users: Vec<_> = instances.iter().map(|it| it.create_user("user", None).unwrap()).collect();
    let a = users[0].create_database(DatabaseSettings::named("Team")).unwrap();
    let admin = SecretKey::from_seed(&[8; 32]);
    let grant = |key, level| Operation::Grant {
        subject: Subject::Key(key),
        level,
        name: None,
        expires: None,
    };
    a.settings().grant(Subject::Key(admin.public()), Level::Admin(0), None).unwrap();
    a.settings().grant(Subject::Key(users[1].default_key()), Level::Write(10), None).unwrap();
    a.seal_store("secrets", "table", Sealing::Readers).unwrap();
    put(&a, ROW, VALUE);
    bring(&a, &instances[1]);
    instances[1].mark_complete(a.id()).unwrap();
    let b = users[1].open_database(&a.id()).unwrap();
    assert_eq!(get(&b, ROW), Some(secret(VALUE)));
    // An administrator elsewhere lets somebody in, and Bob's device hears of it.
    let letting = settings(grant(users[2].default_key(), Level::Write(10)));
    write_on(b.tips().unwrap(), (&instances[1], &b), &admin, letting);
    // The next commit comes behind what the device does by itself.
    common::push(&b, "to another store");
    bring(&b, &instances[2]);
    instances[2].mark_complete(a.id()).unwrap();
    let c = users[2].open_database(&a.id()).unwrap();
    assert_eq!(get(&c, ROW), Some(secret(VALUE)));
}

fn has_bytes(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|found| {
        let path = found.unwrap().path();
        if path.is_dir() {
            return has_bytes(&path, bytes);
        }
        std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

async fn serving(instance: &Instance) -> PeerSync {
    let sync = instance.enable_sync().unwrap();
    let transport = HttpTransport::builder().bind("127.0.0.1:0").build().unwrap();
    sync.register_transport("web", transport);
    within("serving", sync.accept_connections()).await.unwrap();
    sync
}

#[tokio::test]
async fn a_peer_without_the_key_relays_a_sealed_store_that_it_cannot_read() {
    let (here, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, ROW, VALUE);
    let sync = serving(&here).await;
    let directory = tempfile::tempdir().unwrap();
    let relay = Instance::open(directory.path()).unwrap();
    let bob = relay.create_user("bob", None).unwrap();
    let relaying = serving(&relay).await;
    let b = within("joining", relaying.join(&bob, &sync.ticket(&a))).await.unwrap();
    assert!(is_locked(&b));
    // Carol hears of it from the relay alone.
    here.close();
    let there = Instance::in_memory().unwrap();
    let carol = there.create_user("carol", None).unwrap();
    let carols = serving(&there).await;
    let c = within("joining", carols.join(&carol, &relaying.ticket(&b))).await.unwrap();
    assert!(is_locked(&c));
    c.unlock("secrets", PASSWORD).unwrap();
    assert_eq!(get(&c, ROW), Some(secret(VALUE)));
    assert_eq!(b.state_digest().unwrap(), c.state_digest().unwrap(), "locked there, and not here");
    relay.close();
    there.close();
    drop((b, relaying, relay));
    assert!(has_bytes(directory.path(), b"secrets"), "the name of the store is no secret");
    for word in [ROW, "cleartextfield", VALUE, PASSWORD] {
        assert!(!has_bytes(directory.path(), word.as_bytes()), "{word} is on the disk");
    }
}

#[test]
fn an_archive_of_a_sealed_store_is_sealed_and_opens_with_its_password() {
    let (_here, _alice, a) = room();
    a.seal_store("secrets", "table", Sealing::Password(PASSWORD)).unwrap();
    put(&a, ROW, VALUE);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("room.archive");
    a.export_archive(std::fs::File::create(&path).unwrap()).unwrap();
    assert!(!has_bytes(directory.path(), VALUE.as_bytes()));
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    bob.import_archive(std::fs::File::open(&path).unwrap()).unwrap();
    let b = bob.open_database(&a.id()).unwrap();
    assert!(is_locked(&b));
    b.unlock("secrets", PASSWORD).unwrap();
    assert_eq!(get(&b, ROW), Some(secret(VALUE)));
    assert_eq!(a.state_digest().unwrap(), b.state_digest().unwrap());
}

//! Documents with lists and counters, counters, sets: on one device, in a transaction, on two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{DEADLINE, room};
use weald::{
    ChangeKind, Database, DraftError, Event, Filter, Instance, Key, Path, ReadError, RowKey,
    StoreNameError, Value, WriteError,
};

const ALL: usize = 10_000;

/// The same database on another device.
fn copy(of: &Instance, database: &Database) -> (Instance, Database) {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user("bob", None).unwrap();
    let parcels = database.parcels(0, ALL).unwrap();
    instance.ingest(of.device_key(), database.id(), parcels).unwrap();
    instance.mark_complete(database.id()).unwrap();
    let copy = user.open_database(&database.id()).unwrap();
    (instance, copy)
}

fn exchange((a, of_a): (&Instance, &Database), (b, of_b): (&Instance, &Database)) {
    let (from_a, from_b) = (of_a.parcels(0, ALL).unwrap(), of_b.parcels(0, ALL).unwrap());
    b.ingest(a.device_key(), of_a.id(), from_a).unwrap();
    a.ingest(b.device_key(), of_b.id(), from_b).unwrap();
    assert_eq!(of_a.state_digest().unwrap(), of_b.state_digest().unwrap());
}

#[test]
fn a_transaction_reads_its_own_lists_counters_and_members() {
    let (_instance, _, room) = room();
    room.write(|tx| {
        let mut doc = tx.doc("doc")?;
        doc.increment(["count"], 5)?;
        assert_eq!(doc.counter(["count"])?, Some(5));
        let mut list = doc.list(["list"])?;
        assert!(list.is_empty()?);
        for number in 0..20 {
            list.push(&number)?;
        }
        list.move_to(19, 0)?;
        list.remove(1)?;
        assert_eq!((list.len()?, list.get(0)?), (19, Some(Value::from(19))));
        let element = list.element(18)?.unwrap();
        doc.set(element.clone(), "last")?;
        assert_eq!(doc.get(element)?, Some(Value::from("last")));
        tx.counter("counter")?.add((1, "a"), -7)?;
        assert_eq!(tx.counter("counter")?.value((1, "a"))?, -7);
        let mut set = tx.set::<i64>("set")?;
        assert!(set.add(&1)? && !set.add(&1)? && set.contains(&1)? && !set.is_empty()?);
        Ok(())
    })
    .unwrap();
    let list = room.doc("doc").unwrap().list(["list"]).unwrap();
    let mut expected: Vec<Value> = (1..18).map(Value::from).collect();
    expected.insert(0, Value::from(19));
    expected.push(Value::from("last"));
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), expected);
    assert_eq!(room.doc("doc").unwrap().counter(["count"]).unwrap(), Some(5));
}

#[test]
fn two_devices_that_write_apart_keep_everything() {
    let (here, _, room) = room();
    room.write(|tx| {
        tx.doc("doc")?.set(["list"], &["b", "c"])?;
        tx.counter("likes")?.add("post", 1)?;
        tx.set::<String>("tags")?.add(&"old".into())?;
        Ok(())
    })
    .unwrap();
    let (there, copy) = copy(&here, &room);
    room.write(|tx| {
        tx.doc("doc")?.list(["list"])?.insert(0, "a")?;
        tx.counter("likes")?.add("post", 10)?;
        tx.set::<String>("tags")?.remove(&"old".into())?;
        tx.set::<String>("tags")?.add(&"new".into())?;
        Ok(())
    })
    .unwrap();
    copy.write(|tx| {
        tx.doc("doc")?.list(["list"])?.push("d")?;
        tx.counter("likes")?.add("post", 100)?;
        tx.set::<String>("tags")?.add(&"old".into())?;
        tx.set::<String>("tags")?.add(&"new".into())?;
        Ok(())
    })
    .unwrap();
    exchange((&here, &room), (&there, &copy));
    let list = copy.doc("doc").unwrap().list(["list"]).unwrap();
    assert_eq!(list.read::<String>().unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(room.counter("likes").unwrap().value("post").unwrap(), 111);
    let mut tags =
        room.set::<String>("tags").unwrap().iter().collect::<Result<Vec<_>, _>>().unwrap();
    tags.sort();
    assert_eq!(tags, ["new", "old"]);
}

#[test]
fn iterations_go_over_pages() {
    let (_instance, _, room) = room();
    room.write(|tx| {
        for number in 0..600_i64 {
            tx.counter("counters")?.add(number, number)?;
            tx.set::<i64>("set")?.add(&number)?;
        }
        tx.set::<String>("set")?.add(&"a text".into())?;
        Ok(())
    })
    .unwrap();
    let counters = room.counter("counters").unwrap();
    let sums: Vec<_> = counters.iter().collect::<Result<_, _>>().unwrap();
    assert!(sums.iter().cloned().eq((0..600).map(|n| (Key::from(n), i128::from(n)))));
    let set = room.set::<i64>("set").unwrap();
    assert_eq!(set.len().unwrap(), 601);
    // The one that does not fit is told, and hides no other.
    let (fit, misfit): (Vec<_>, Vec<_>) = set.iter().partition(Result::is_ok);
    assert!(fit.into_iter().map(Result::unwrap).eq(0..600));
    assert!(matches!(misfit.as_slice(), [Err(ReadError::Misfit(_))]));
}

#[test]
fn rows_are_named_in_the_words_of_their_store() {
    let (_instance, _, room) = room();
    let mut watch = room.watch(Filter::all());
    room.write(|tx| {
        tx.counter("counter")?.add("k", 1)?;
        tx.doc("doc")?.increment(["n"], 1)?;
        tx.doc("doc")?.list(["l"])?.push("x")?;
        tx.set::<i64>("set")?.add(&7)?;
        Ok(())
    })
    .unwrap();
    let element = room.doc("doc").unwrap().list(["l"]).unwrap().element(0).unwrap().unwrap();
    let mut named = Vec::new();
    while named.len() < 5 {
        let Some(Event::Changed { key, kind, .. }) = watch.recv_timeout(DEADLINE) else {
            panic!("five rows are new");
        };
        assert_eq!(kind, ChangeKind::Created);
        named.push(key);
    }
    assert_eq!(named[0], RowKey::Counter(Key::from("k")));
    let docs: Vec<_> = named[1..4].to_vec();
    for path in [Path::from(["l"]), element, Path::from(["n"])] {
        assert!(docs.contains(&RowKey::Doc(path)));
    }
    assert!(matches!(&named[4], RowKey::Set(member) if member.value() == Value::from(7)));
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let (_instance, _, room) = room();
    room.write(|tx| Ok(tx.doc("doc")?.set(["list"], &[1])?)).unwrap();
    let mut tx = room.begin().unwrap();
    let mut doc = tx.doc("doc").unwrap();
    let beyond = doc.list(["list"]).unwrap().insert(2, &1);
    assert!(matches!(
        beyond,
        Err(WriteError::Draft(DraftError::OutOfRange { index: 2, length: 1 }))
    ));
    let not_a_number = doc.list(["list"]).unwrap().push(&f64::NAN);
    assert!(matches!(not_a_number, Err(WriteError::Value(_) | WriteError::Draft(_))));
    let wrong = doc.increment(["list"], 1);
    assert!(matches!(wrong, Err(WriteError::Draft(DraftError::WrongKind { .. }))));
    let long = tx.set::<String>("set").unwrap().add(&"x".repeat(2_000));
    assert!(matches!(long, Err(WriteError::Draft(DraftError::Value(_)))));
    let other = tx.counter("doc").map(drop);
    assert!(matches!(other, Err(WriteError::Name(StoreNameError::OtherType { .. }))));
    // Nothing to write makes no entry.
    assert_eq!(tx.commit().unwrap().id, None);
    assert!(matches!(room.counter("doc"), Err(ReadError::Name(_))));
}

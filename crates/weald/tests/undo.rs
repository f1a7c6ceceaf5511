//! Revert, undo and redo: exact when nobody else wrote, and careful when somebody did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod drawn;

use std::time::Duration;

use common::{message, room};
use drawn::{Operation, Step, World, apply, operation};
use proptest::prelude::*;
use weald::{
    Database, DatabaseError, EntryId, Error, Key, Path, RowKey, SkipReason, UNDO_STEPS_MAX,
    UndoStack, Value,
};

/// What the drawn stores say, but for the log.
fn said(database: &Database) -> (Vec<(Key, Value)>, Value) {
    let rows = database.table::<Value>("table").unwrap().rows().map(Result::unwrap).collect();
    let counts = database.counter("counter").unwrap().iter().map(Result::unwrap);
    let counts = counts.map(|(key, sum)| Value::from(format!("{key:?} {sum}"))).collect();
    let members = database.set::<Value>("set").unwrap().iter().map(Result::unwrap).collect();
    let rest = [
        ("doc", database.doc("doc").unwrap().value().unwrap()),
        ("counts", Value::List(counts)),
        ("members", Value::List(members)),
    ];
    (rows, Value::from(rest))
}

fn run(stack: &mut UndoStack, operations: &[Operation]) {
    let run = |tx: &mut weald::Transaction| {
        operations.iter().for_each(|operation| apply(tx, operation));
        Ok(())
    };
    stack.write("drawn", run).unwrap();
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn undo_then_redo_is_identity_when_nobody_else_wrote(
        first in prop::collection::vec(operations(), 0..3),
        steps in prop::collection::vec(operations(), 1..8),
    ) {
        let (_instance, _, room) = room();
        for operations in &first {
            run(&mut UndoStack::new(&room), operations);
        }
        let mut stack = UndoStack::new(&room);
        let mut states = vec![said(&room)];
        for operations in &steps {
            let before = room.tips().unwrap();
            run(&mut stack, operations);
            if room.tips().unwrap() != before {
                states.push(said(&room));
            }
        }
        let last = states.len() - 1;
        for _ in 0..2 {
            for state in states[..last].iter().rev() {
                let undone = stack.undo().unwrap().unwrap();
                prop_assert!(undone.skipped.iter().all(|skipped| skipped.store == "log"));
                prop_assert_eq!(&said(&room), state);
            }
            prop_assert!(stack.undo().unwrap().is_none());
            let mut redone = vec![said(&room)];
            while let Some(undone) = stack.redo().unwrap() {
                prop_assert!(undone.skipped.is_empty());
                redone.push(said(&room));
            }
            prop_assert_eq!(&said(&room), &states[last]);
            // Steps that changed nothing that shows may not be redone, so each state stands once.
            let mut distinct = states.clone();
            distinct.dedup();
            redone.dedup();
            prop_assert_eq!(&redone, &distinct);
            states = distinct;
            if states.len() - 1 != last {
                break;
            }
        }
    }

    #[test]
    fn a_group_is_undone_and_redone_as_one(steps in prop::collection::vec(operations(), 2..6)) {
        let (_instance, _, room) = room();
        let mut stack = UndoStack::new(&room);
        run(&mut stack, &[Operation::Put(0, vec![(0, 1)])]);
        let before = said(&room);
        stack.begin_group("all");
        steps.iter().for_each(|operations| run(&mut stack, operations));
        stack.end_group();
        let after = said(&room);
        if stack.undo_label() == Some("all") {
            let undone = stack.undo().unwrap().unwrap();
            prop_assert_eq!(&said(&room), &before);
            // A group that only pushed to the log leaves nothing to redo.
            prop_assume!(!undone.entries.is_empty());
            stack.redo().unwrap();
            prop_assert_eq!(&said(&room), &after);
            stack.undo().unwrap();
            prop_assert_eq!(&said(&room), &before);
        }
    }

    #[test]
    fn what_others_wrote_since_survives_an_undo(
        mine in operations(),
        theirs in operations(),
        first in operations(),
    ) {
        let mut world = World::new();
        world.take(Step::Write(0, first));
        world.exchange();
        let mut stack = UndoStack::new(&world.databases[0]);
        run(&mut stack, &mine);
        world.exchange();
        let before = said(&world.databases[0]);
        world.take(Step::Write(1, theirs));
        world.exchange();
        let with_theirs = said(&world.databases[0]);
        stack.undo().unwrap();
        let undone = said(&world.databases[0]);
        // A field that they have changed is as they left it.
        for key in drawn::KEYS {
            let row = |said: &(Vec<(Key, Value)>, Value)| {
                said.0.iter().find(|(row, _)| *row == key.into()).map(|(_, value)| value.clone())
            };
            let (old, theirs, now) = (row(&before), row(&with_theirs), row(&undone));
            for field in ["x", "y"] {
                let of = |row: &Option<Value>| row.as_ref().and_then(|row| row.get(field)).cloned();
                if of(&old) != of(&theirs) {
                    prop_assert_eq!(of(&theirs), of(&now), "{} {}", key, field);
                }
            }
        }
        world.exchange();
        let [one, other] = &world.databases;
        prop_assert_eq!(one.state_digest().unwrap(), other.state_digest().unwrap());
    }
}

fn note(database: &Database) -> Option<Value> {
    database.table::<Value>("notes").unwrap().get("a").unwrap()
}

#[test]
fn a_revert_takes_back_the_fields_that_nobody_changed_since() {
    let (_instance, _, room) = room();
    let edit = |field: &str, value: &str| {
        let edited = room.write(|tx| Ok(tx.table::<Value>("notes")?.edit("a", field, value)?));
        edited.unwrap().id.unwrap()
    };
    let start = Value::from([("x", "1"), ("y", "1")]);
    let created = room.write(|tx| Ok(tx.table("notes")?.put("a", &start)?)).unwrap().id.unwrap();
    let both = Value::from([("x", "2"), ("y", "2")]);
    let changed = room.write(|tx| Ok(tx.table("notes")?.put("a", &both)?)).unwrap().id.unwrap();
    edit("y", "3");
    let reverted = room.revert(changed).unwrap();
    assert_eq!(reverted.entries.len(), 1);
    assert_eq!(note(&room), Some(Value::from([("x", "1"), ("y", "3")])));
    assert_eq!(reverted.skipped.len(), 1);
    assert_eq!(reverted.skipped[0].key, RowKey::Table("a".into()));
    assert_eq!(reverted.skipped[0].reason, SkipReason::Changed);
    // The row was edited since it was made, so it stays.
    let reverted = room.revert(created).unwrap();
    assert_eq!((reverted.entries.len(), reverted.skipped.len()), (0, 1));
    let deleted = room.write(|tx| Ok(tx.table::<Value>("notes")?.delete("a")?)).unwrap();
    assert_eq!(note(&room), None);
    assert!(room.revert(deleted.id.unwrap()).unwrap().skipped.is_empty());
    assert_eq!(note(&room), Some(Value::from([("x", "1"), ("y", "3")])));
}

#[test]
fn a_revert_of_a_document_goes_place_by_place() {
    let (_instance, _, room) = room();
    room.write(|tx| Ok(tx.doc("about")?.set(["title"], "one")?)).unwrap();
    let changed = room.write(|tx| {
        let mut doc = tx.doc("about")?;
        doc.set(["title"], "two")?;
        doc.set(["people", "ann"], &1)?;
        doc.set(["people", "bob"], &2)?;
        Ok(())
    });
    room.write(|tx| Ok(tx.doc("about")?.set(["people", "bob"], &3)?)).unwrap();
    let reverted = room.revert(changed.unwrap().id.unwrap()).unwrap();
    let doc = room.doc("about").unwrap();
    let people = Value::from([("bob", Value::from(3_u8))]);
    assert_eq!(doc.value().unwrap(), Value::from([("people", people), ("title", "one".into())]));
    let skipped: Vec<_> = reverted.skipped.iter().map(|skipped| &skipped.key).collect();
    assert_eq!(skipped, [&RowKey::Doc(Path::from(["people", "bob"]))]);
}

#[test]
fn what_cannot_be_taken_back_is_told() {
    let (_instance, _, room) = room();
    common::push(&room, "said");
    let pushed = room.tips().unwrap()[0];
    let reverted = room.revert(pushed).unwrap();
    assert_eq!(reverted.entries, []);
    assert_eq!(reverted.skipped[0].reason, SkipReason::Irreversible);
    assert_eq!(common::texts(&room), ["said"]);
    let unknown = room.revert(EntryId::from_bytes([9; 32]));
    assert!(matches!(unknown, Err(Error::Database(DatabaseError::UnknownEntry { .. }))));
    let root = room.revert(room.id().root()).unwrap();
    assert_eq!(root.skipped[0].store, "_settings");
}

#[test]
fn a_new_write_clears_what_could_be_redone_and_labels_are_told() {
    let (_instance, _, room) = room();
    let mut stack = UndoStack::new(&room);
    assert!(!stack.can_undo() && stack.undo().unwrap().is_none());
    let put = |stack: &mut UndoStack, label: &str, text: &str| {
        stack.write(label, |tx| Ok(tx.table("notes")?.put("a", &message(text))?)).unwrap();
    };
    put(&mut stack, "first", "1");
    put(&mut stack, "second", "2");
    assert_eq!(stack.undo_label(), Some("second"));
    assert_eq!(stack.undo().unwrap().unwrap().label, "second");
    assert_eq!((stack.undo_label(), stack.redo_label()), (Some("first"), Some("second")));
    put(&mut stack, "third", "3");
    assert!(!stack.can_redo() && stack.redo().unwrap().is_none());
    stack.undo().unwrap();
    assert_eq!(note(&room), Some(Value::from([("text", "1")])));
    // An edit that fails, or writes nothing, is no step.
    assert!(stack.write("no", |_| Err::<(), _>(Error::aborted("no"))).is_err());
    stack.write("nothing", |_| Ok(())).unwrap();
    assert_eq!(stack.redo_label(), Some("third"));
    stack.clear();
    assert!(!stack.can_undo() && !stack.can_redo());
}

#[test]
fn writes_within_a_time_are_one_step_if_they_have_one_label() {
    let (_instance, _, room) = room();
    let mut stack = UndoStack::new(&room).group_within(Duration::from_secs(3_600));
    let mut put = |label: &str, text: &str| {
        stack.write(label, |tx| Ok(tx.table("notes")?.put("a", &message(text))?)).unwrap();
    };
    put("paste", "0");
    put("type", "1");
    put("type", "2");
    put("type", "3");
    stack.undo().unwrap();
    assert_eq!(note(&room), Some(Value::from([("text", "0")])));
    stack.redo().unwrap();
    assert_eq!(note(&room), Some(Value::from([("text", "3")])));
    stack.write("type", |tx| Ok(tx.table("notes")?.put("a", &message("4"))?)).unwrap();
    stack.undo().unwrap();
    assert_eq!(note(&room), Some(Value::from([("text", "3")])));
}

#[test]
fn the_oldest_steps_are_forgotten() {
    let (_instance, _, room) = room();
    let mut stack = UndoStack::new(&room);
    let entry = room.write(|tx| Ok(tx.table("notes")?.put("a", &message("1"))?)).unwrap().id;
    for _ in 0..=UNDO_STEPS_MAX {
        stack.record("again", entry.unwrap()).unwrap();
    }
    let mut count = 0;
    while stack.undo().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, UNDO_STEPS_MAX);
}

#[test]
fn counters_sets_and_lists_are_taken_back_with_what_others_did_beside() {
    let world = World::new();
    let [mine, theirs] = &world.databases;
    let mut stack = UndoStack::new(mine);
    let write = |tx: &mut weald::Transaction| {
        tx.counter("visits")?.add("page", 5)?;
        tx.set("tags")?.add(&"red")?;
        tx.doc("about")?.list(["people"])?.push("ann")?;
        tx.doc("about")?.increment(["likes"], 2)?;
        Ok(())
    };
    stack.write("all", write).unwrap();
    world.exchange();
    let beside = theirs.write(|tx| {
        tx.counter("visits")?.add("page", 3)?;
        tx.set("tags")?.add(&"blue")?;
        tx.doc("about")?.increment(["likes"], 1)?;
        Ok(())
    });
    beside.unwrap();
    world.exchange();
    let undone = stack.undo().unwrap().unwrap();
    assert_eq!(mine.counter("visits").unwrap().value("page").unwrap(), 3);
    let tags: Vec<String> = mine.set("tags").unwrap().iter().map(Result::unwrap).collect();
    assert_eq!(tags, ["blue"]);
    assert!(mine.doc("about").unwrap().list(["people"]).unwrap().is_empty().unwrap());
    assert_eq!(undone.skipped, []);
    let likes = || mine.doc("about").unwrap().counter(["likes"]).unwrap();
    assert_eq!(likes(), Some(1));
    stack.redo().unwrap();
    assert_eq!(mine.counter("visits").unwrap().value("page").unwrap(), 8);
    assert_eq!(likes(), Some(3));
    world.exchange();
    assert_eq!(mine.state_digest().unwrap(), theirs.state_digest().unwrap());
}

#[test]
fn what_does_not_fit_into_one_entry_is_taken_back_by_several() {
    let (_instance, _, room) = room();
    for row in 0..6 {
        let text = message(&"a".repeat(400_000));
        room.write(|tx| Ok(tx.table("notes")?.put(row, &text)?)).unwrap();
    }
    let rows = || -> Vec<(Key, Value)> {
        room.table("notes").unwrap().rows().map(Result::unwrap).collect()
    };
    let before = rows();
    let mut stack = UndoStack::new(&room);
    let clear = |tx: &mut weald::Transaction| {
        (0..6).try_for_each(|row| Ok(tx.table::<Value>("notes")?.delete(row).map(drop)?))
    };
    stack.write("clear", clear).unwrap();
    let undone = stack.undo().unwrap().unwrap();
    assert_eq!((undone.entries.len(), undone.skipped.len()), (3, 0));
    assert_eq!(rows(), before);
    // What was made by several is redone by one.
    assert_eq!(stack.redo().unwrap().unwrap().entries.len(), 1);
    assert_eq!(rows(), []);
    let cleared = room.tips().unwrap()[0];
    assert_eq!(room.revert(cleared).unwrap().entries.len(), 3);
    assert_eq!(rows(), before);
}

#[test]
fn increments_in_a_document_are_taken_back_beside_those_of_others() {
    let (here, _, room) = room();
    let count = |database: &Database, by: i64| {
        database.write(|tx| Ok(tx.doc("doc")?.increment(["n"], by)?)).unwrap().id.unwrap()
    };
    count(&room, 5);
    let (_there, other) = common::replica(&room);
    let mut stack = UndoStack::new(&room);
    stack.write("more", |tx| Ok(tx.doc("doc")?.increment(["n"], 3)?)).unwrap();
    count(&other, 100);
    common::bring(&other, &here);
    let sum = || room.doc("doc").unwrap().counter(["n"]).unwrap();
    assert_eq!(sum(), Some(108));
    assert_eq!(stack.undo().unwrap().unwrap().skipped, []);
    assert_eq!(sum(), Some(105));
    count(&room, 10);
    assert_eq!(stack.redo().unwrap().unwrap().skipped, []);
    assert_eq!(sum(), Some(118));
    // What somebody has removed since is not taken away again.
    let last = count(&room, 1);
    room.write(|tx| Ok(tx.doc("doc")?.remove(["n"])?)).unwrap();
    assert_eq!(room.revert(last).unwrap().skipped[0].reason, SkipReason::Changed);
    assert_eq!(sum(), None);
}

#[test]
fn what_others_have_hidden_stays_hidden() {
    let (here, _, room) = room();
    let first = room.write(|tx| {
        tx.doc("doc")?.increment(["n"], 5)?;
        Ok(tx.doc("doc")?.set(["m", "a"], &1)?)
    });
    first.unwrap();
    let (_there, other) = common::replica(&room);
    let mut stack = UndoStack::new(&room);
    let more = stack.write("more", |tx| {
        tx.doc("doc")?.increment(["n"], 3)?;
        Ok(tx.doc("doc")?.set(["m", "a"], &2)?)
    });
    let made = room.time_of(&more.unwrap().id.unwrap()).unwrap();
    // Theirs is the later one, so that it shows.
    loop {
        let over = other.write(|tx| {
            tx.doc("doc")?.set(["n"], "over")?;
            Ok(tx.doc("doc")?.set(["m"], "over")?)
        });
        if other.time_of(&over.unwrap().id.unwrap()).unwrap() > made {
            break;
        }
    }
    common::bring(&other, &here);
    let said = room.doc("doc").unwrap().value().unwrap();
    assert_eq!(said, Value::from([("m", "over"), ("n", "over")]));
    let undone = stack.undo().unwrap().unwrap();
    assert!(undone.skipped.iter().all(|skipped| skipped.reason == SkipReason::Changed));
    assert_eq!(room.doc("doc").unwrap().value().unwrap(), said);
}

#[test]
fn an_entry_that_is_not_here_is_no_step() {
    let (_instance, _, room) = room();
    let mut stack = UndoStack::new(&room);
    let unknown = stack.record("unknown", EntryId::from_bytes([9; 32]));
    assert!(matches!(unknown, Err(Error::Database(DatabaseError::UnknownEntry { .. }))));
    assert!(!stack.can_undo());
}

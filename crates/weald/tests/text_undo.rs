//! Texts: revert, undo and redo, alone and beside what others type.
#![cfg(feature = "text")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::room;
use proptest::prelude::*;
use weald::{Database, Instance, RowKey, SkipReason, TextSpan, Transaction, UndoStack, Verdict};

const ALL: usize = usize::MAX;

fn read(database: &Database) -> String {
    database.text("note").unwrap().read().unwrap()
}

fn rich(database: &Database) -> Vec<TextSpan> {
    database.text("note").unwrap().rich().unwrap()
}

fn copy(from: &Database, source: &Instance, to: &Instance) {
    let verdicts = to.ingest(source.device_key(), from.id(), from.parcels(0, ALL).unwrap());
    for (_, verdict) in verdicts.unwrap() {
        assert!(matches!(verdict, Verdict::Stored(_) | Verdict::Duplicate(_)), "{verdict:?}");
    }
}

/// Alice's room, and Bob's copy of it.
fn two() -> ((Instance, Database), (Instance, Database)) {
    let (here, _, room) = room();
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    copy(&room, &here, &there);
    there.mark_complete(room.id()).unwrap();
    let his = bob.open_database(&room.id()).unwrap();
    ((here, room), (there, his))
}

fn exchange(one: &(Instance, Database), other: &(Instance, Database)) {
    copy(&one.1, &one.0, &other.0);
    copy(&other.1, &other.0, &one.0);
    assert_eq!(one.1.state_digest().unwrap(), other.1.state_digest().unwrap());
    assert_eq!(rich(&one.1), rich(&other.1));
}

/// An edit at places that are shares of the text, so that it fits any.
#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, String),
    Delete(usize, usize),
    Mark(usize, usize, bool, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (any::<usize>(), "[a-zé🎉]{1,4}").prop_map(|(at, text)| Edit::Insert(at, text)),
        2 => (any::<usize>(), 1..5_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        1 => (any::<usize>(), 1..5_usize, any::<bool>(), 0..3_u8)
            .prop_map(|(at, length, bold, value)| Edit::Mark(at, length, bold, value)),
    ]
}

fn make(tx: &mut Transaction, edit: &Edit) -> Result<(), weald::Error> {
    let mut note = tx.text("note")?;
    let length = note.len()?;
    let range = |at: usize, wide: usize| {
        let start = at % (length + 1);
        start..(start + wide).min(length)
    };
    match edit {
        Edit::Insert(at, text) => note.insert(at % (length + 1), text)?,
        Edit::Delete(at, wide) => note.delete(range(*at, *wide))?,
        Edit::Mark(at, wide, bold, value) => {
            let range = range(*at, *wide);
            let key = if *bold { "bold" } else { "link" };
            match value {
                _ if range.is_empty() => {}
                0 => note.unmark(range, key)?,
                value => note.mark(range, key, value)?,
            }
        }
    }
    Ok(())
}

fn run(stack: &mut UndoStack, edits: &[Edit]) -> bool {
    let written =
        stack.write("edit", |tx| edits.iter().try_for_each(|edit| make(tx, edit))).unwrap();
    written.id.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn undo_then_redo_is_identity_when_nobody_else_wrote(
        first in prop::collection::vec(edit(), 0..6),
        steps in prop::collection::vec((prop::collection::vec(edit(), 1..4), any::<bool>()), 1..8),
    ) {
        let (_instance, _, room) = room();
        room.write(|tx| first.iter().try_for_each(|edit| make(tx, edit))).unwrap();
        let mut stack = UndoStack::new(&room);
        let mut states = vec![rich(&room)];
        let mut in_group = false;
        for (edits, grouped) in &steps {
            if *grouped && !in_group {
                stack.begin_group("group");
            } else if !*grouped && in_group {
                stack.end_group();
            }
            let joins = in_group && *grouped;
            if run(&mut stack, edits) {
                in_group = *grouped;
                if joins { states.pop(); }
                states.push(rich(&room));
            } else {
                stack.end_group();
                in_group = false;
            }
        }
        stack.end_group();
        for round in 0..2 {
            // What came to nothing is nothing to redo.
            let mut redone_to = Vec::new();
            for pair in states.windows(2).rev() {
                let undone = stack.undo().unwrap().unwrap();
                prop_assert_eq!(&undone.skipped, &[], "round {}", round);
                prop_assert_eq!(&rich(&room), &pair[0], "undo, round {}", round);
                if !undone.entries.is_empty() {
                    redone_to.push(pair[1].clone());
                }
            }
            prop_assert!(!stack.can_undo());
            states.truncate(1);
            for state in redone_to.into_iter().rev() {
                let redone = stack.redo().unwrap().unwrap();
                prop_assert_eq!(&redone.skipped, &[]);
                prop_assert_eq!(&rich(&room), &state, "redo, round {}", round);
                states.push(state);
            }
            prop_assert!(!stack.can_redo());
        }
    }

    /// What Bob types while Alice undoes and redoes is all there, in its order.
    #[test]
    fn what_others_type_survives(
        steps in prop::collection::vec((prop::collection::vec(edit(), 1..4), any::<usize>(), 0..3_u8), 1..8),
    ) {
        let (alice, bob) = two();
        let mut stack = UndoStack::new(&alice.1);
        let mut typed = 0;
        for (edits, at, what) in &steps {
            run(&mut stack, edits);
            match what {
                0 => drop(stack.undo().unwrap()),
                1 => drop(stack.redo().unwrap()),
                _ => exchange(&alice, &bob),
            }
            bob.1.write(|tx| {
                let mut note = tx.text("note")?;
                let length = note.len()?;
                Ok(note.insert(at % (length + 1), "B")?)
            }).unwrap();
            typed += 1;
        }
        exchange(&alice, &bob);
        while stack.undo().unwrap().is_some() {}
        exchange(&alice, &bob);
        let text = read(&alice.1);
        // Alice may delete what Bob typed, and brings it back with the undo.
        prop_assert_eq!(text, "B".repeat(typed));
    }
}

#[test]
fn a_revert_takes_back_what_an_entry_typed_deleted_and_marked() {
    let (_instance, _, room) = room();
    room.write(|tx| Ok(tx.text("note")?.insert(0, "one two three")?)).unwrap();
    let edit = room.write(|tx| {
        let mut note = tx.text("note")?;
        note.splice(4..7, "2")?;
        note.mark(0..3, "bold", &true)?;
        Ok(())
    });
    let entry = edit.unwrap().id.unwrap();
    room.write(|tx| Ok(tx.text("note")?.insert(0, "zero ")?)).unwrap();
    assert_eq!(read(&room), "zero one 2 three");
    let reverted = room.revert(entry).unwrap();
    assert_eq!(reverted.skipped, []);
    assert_eq!(read(&room), "zero one two three");
    assert!(rich(&room).iter().all(|span| span.marks.is_empty()));
    let again = room.revert(reverted.entries[0]).unwrap();
    assert_eq!(again.skipped, []);
    assert_eq!(read(&room), "zero one 2 three");
    assert_eq!(rich(&room).len(), 3);
}

#[test]
fn what_two_deleted_at_once_stays_deleted_and_is_told_of() {
    let (alice, bob) = two();
    alice.1.write(|tx| Ok(tx.text("note")?.insert(0, "abcdef")?)).unwrap();
    exchange(&alice, &bob);
    let mut stack = UndoStack::new(&alice.1);
    stack.write("cut", |tx| Ok(tx.text("note")?.delete(1..4)?)).unwrap();
    bob.1.write(|tx| Ok(tx.text("note")?.delete(3..5)?)).unwrap();
    exchange(&alice, &bob);
    assert_eq!(read(&alice.1), "af");
    let undone = stack.undo().unwrap().unwrap();
    assert_eq!(read(&alice.1), "abcf");
    assert_eq!(undone.skipped.len(), 1);
    assert_eq!(
        (&undone.skipped[0].key, undone.skipped[0].reason),
        (&RowKey::Text, SkipReason::Changed)
    );
    assert_eq!(stack.redo().unwrap().unwrap().skipped, []);
    assert_eq!(read(&alice.1), "af");
}

#[test]
fn a_mark_that_another_set_since_stays() {
    let (alice, bob) = two();
    alice.1.write(|tx| Ok(tx.text("note")?.insert(0, "abc")?)).unwrap();
    exchange(&alice, &bob);
    let mut stack = UndoStack::new(&alice.1);
    stack.write("link", |tx| Ok(tx.text("note")?.mark(0..3, "link", "alice")?)).unwrap();
    exchange(&alice, &bob);
    bob.1.write(|tx| Ok(tx.text("note")?.mark(2..3, "link", "bob")?)).unwrap();
    exchange(&alice, &bob);
    let undone = stack.undo().unwrap().unwrap();
    assert_eq!(undone.skipped.len(), 1);
    let spans = rich(&alice.1);
    assert_eq!((spans.len(), spans[0].text.as_str(), spans[0].marks.len()), (2, "ab", 0));
    assert_eq!(spans[1].marks.get("link").and_then(|value| value.as_text()), Some("bob"));
}

#[test]
fn typing_with_pauses_is_one_step_by_group() {
    let (_instance, _, room) = room();
    let mut stack = UndoStack::new(&room);
    stack.begin_group("typing");
    for (at, letter) in ["h", "e", "l", "l", "o"].iter().enumerate() {
        stack.write("key", |tx| Ok(tx.text("note")?.insert(at, letter)?)).unwrap();
    }
    stack.write("key", |tx| Ok(tx.text("note")?.delete(3..5)?)).unwrap();
    stack.end_group();
    assert_eq!(read(&room), "hel");
    stack.undo().unwrap();
    assert_eq!(read(&room), "");
    stack.redo().unwrap();
    assert_eq!(read(&room), "hel");
}

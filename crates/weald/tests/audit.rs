//! The audit: who did what, filtered, verified and as JSON Lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod drawn;

use std::io;

use common::{message, push, room};
use drawn::World;
use weald::{AUDIT_PAGE_ENTRIES, AuditRecord, ChangeKind, RowKey, Value};

fn all(audit: weald::Audit) -> Vec<AuditRecord> {
    audit.map(Result::unwrap).collect()
}

#[test]
fn it_tells_of_every_entry_and_filters() {
    let world = World::new();
    let [room, his] = &world.databases;
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("one"))?)).unwrap();
    let middle = room.write(|tx| {
        tx.log("messages")?.push(&message("hello"))?;
        Ok(tx.table::<Value>("notes")?.edit("a", "text", "two")?)
    });
    his.write(|tx| Ok(tx.table("notes")?.put("b", &message("his"))?)).unwrap();
    world.exchange();
    for database in &world.databases {
        let records = all(database.audit());
        assert_eq!(records.len(), 4);
        assert!(records.iter().all(|record| record.is_visible && record.fault.is_none()));
        assert_eq!(records[0].entry, room.id().root());
        assert_eq!(records[0].stores[0].store, "_settings");
        assert_eq!(all(database.audit().author(his.key())).len(), 1);
        assert_eq!(all(database.audit().user("alice")).len(), 3);
        assert_eq!(all(database.audit().user("alice").author(his.key())).len(), 4);
        assert_eq!(all(database.audit().user("nobody")).len(), 0);
        let notes = all(database.audit().store("notes"));
        assert_eq!(notes.len(), 3);
        assert!(notes.iter().all(|record| record.stores.len() == 1));
        let time = room.time_of(&middle.as_ref().unwrap().id.unwrap()).unwrap().unwrap();
        assert_eq!(all(database.audit().until(time).user("alice")).len(), 2);
        assert_eq!(all(database.audit().since(time).user("alice")).len(), 1);
        let record = &all(database.audit().since(time).user("alice"))[0];
        let stores: Vec<_> = record.stores.iter().map(|told| told.store.as_str()).collect();
        assert_eq!(stores, ["messages", "notes"]);
        let change = &record.stores[1].changes[0];
        assert_eq!((&change.key, change.kind), (&RowKey::Table("a".into()), ChangeKind::Updated));
        assert_eq!(change.before, Some(Value::from([("text", "one")])));
        assert_eq!(record.stores[0].changes[0].kind, ChangeKind::Created);
    }
}

#[test]
fn it_goes_over_many_pages_as_json_lines() {
    let (_instance, _, room) = room();
    let count = 2 * AUDIT_PAGE_ENTRIES + 3;
    for number in 1..count {
        push(&room, &number.to_string());
    }
    let mut lines = Vec::new();
    assert_eq!(room.audit().write_json_lines(&mut lines).unwrap(), count as u64);
    let lines = String::from_utf8(lines).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), count);
    let last = &lines[count - 1];
    assert_eq!(last["author_name"], "alice");
    assert_eq!(last["sound"], true);
    assert_eq!(last["stores"][0]["type"], "log");
    let change = &last["stores"][0]["changes"][0];
    assert_eq!(change["kind"], "created");
    assert_eq!(change["patch"][0]["value"]["text"], (count - 1).to_string());
}

#[test]
fn a_writer_that_fails_is_an_error() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_instance, _, room) = room();
    push(&room, "one");
    push(&room, "two");
    let written = room.audit().write_json_lines(Full(0));
    assert!(matches!(written, Err(weald::AuditError::Write(_))), "{written:?}");
}

#[test]
fn an_audit_of_a_row_that_changes_meanwhile_tells_each_change_once() {
    let (_instance, _, room) = room();
    let add = || room.write(|tx| Ok(tx.counter("visits")?.add("page", 1)?)).unwrap();
    let count = 3 * AUDIT_PAGE_ENTRIES;
    for _ in 0..count {
        add();
    }
    let mut sums = Vec::new();
    for record in room.audit().store("visits") {
        let record = record.unwrap();
        let change = &record.stores[0].changes[0];
        sums.push((change.before.clone(), change.after.clone()));
        if sums.len() == count / 2 {
            add();
        }
    }
    let sum = |sum: usize| (sum > 0).then(|| Value::from(sum as u64));
    let all: Vec<_> = (0..=count).map(|before| (sum(before), sum(before + 1))).collect();
    assert_eq!(sums, all);
    let history = room.history().unwrap().map(Result::unwrap);
    let newest: Vec<_> = history.map(|revision| (revision.before, revision.after)).collect();
    assert!(newest.into_iter().rev().eq(all));
}

//! Watches and callbacks: order, bounds, panics, ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::mpsc;

use common::{DEADLINE, Message, block_on, message, push, room};
use weald::{ChangeKind, Event, Filter, Level, Origin, RowKey};

fn text_of(room: &weald::Database, event: &Event) -> String {
    let Event::Changed { key: RowKey::Log(cursor), origin: Origin::Local, .. } = event else {
        panic!("{event:?}");
    };
    room.log::<Message>("messages").unwrap().get(cursor).unwrap().unwrap().value.unwrap().text
}

#[test]
fn events_come_in_commit_order_by_stream_and_by_poll() {
    let (_instance, alice, room) = room();
    let mut stream = room.watch(Filter::all().store("messages"));
    let mut poll = room.watch(Filter::all());
    assert_eq!(poll.try_next(), None);
    for number in 0..10 {
        push(&room, &number.to_string());
    }
    for number in 0..10 {
        let event = block_on(stream.next()).unwrap();
        assert_eq!(text_of(&room, &event), number.to_string());
        let same = poll.recv_timeout(DEADLINE).unwrap();
        assert_eq!(same, event);
        let Event::Changed { author, kind, .. } = event else { panic!("{event:?}") };
        assert_eq!((author, kind), (alice.default_key(), ChangeKind::Created));
    }
    assert_eq!(poll.try_next(), None);
}

#[test]
fn a_filter_leaves_out_other_stores_and_rows() {
    let (_instance, _, room) = room();
    let mut row = room.watch(Filter::all().store("notes").row("a"));
    let mut all = room.watch(Filter::all());
    push(&room, "hello");
    room.write(|tx| Ok(tx.table("notes")?.put("b", &message("other"))?)).unwrap();
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("this"))?)).unwrap();
    room.write(|tx| Ok(tx.table::<Message>("notes")?.edit("a", "text", "that")?)).unwrap();
    room.write(|tx| Ok(tx.table::<Message>("notes")?.delete("a")?)).unwrap();
    room.settings().grant_anyone(Level::Write(3)).unwrap();
    for expected in [ChangeKind::Created, ChangeKind::Updated, ChangeKind::Removed] {
        let Some(Event::Changed { key, kind, .. }) = row.recv_timeout(DEADLINE) else { panic!() };
        assert_eq!((key, kind), (RowKey::Table("a".into()), expected));
    }
    for _ in 0..5 {
        assert!(matches!(all.recv_timeout(DEADLINE), Some(Event::Changed { .. })));
    }
    assert!(matches!(all.recv_timeout(DEADLINE), Some(Event::Settings { .. })));
    assert_eq!(row.try_next(), None);
}

#[test]
fn a_slow_watch_gets_updates_of_one_row_as_one_and_is_told_what_it_missed() {
    let (_instance, _, room) = room();
    let mut slow = room.watch(Filter::all().queue(2));
    let mut end = room.watch(Filter::all());
    let put = |key: &str, text: &str| {
        room.write(|tx| Ok(tx.table("notes")?.put(key, &message(text))?)).unwrap();
        assert!(matches!(end.recv_timeout(DEADLINE), Some(Event::Changed { .. })));
    };
    let mut put = put;
    put("a", "1");
    put("b", "1");
    put("a", "2");
    put("c", "1");
    put("d", "1");
    let kinds: Vec<(RowKey, ChangeKind)> = (0..2)
        .map(|_| match slow.try_next() {
            Some(Event::Changed { key, kind, .. }) => (key, kind),
            other => panic!("{other:?}"),
        })
        .collect();
    let row = |key: &str| RowKey::Table(key.into());
    // The update of "a" went behind "b", and it is still new to this watch.
    assert_eq!(kinds, [(row("b"), ChangeKind::Created), (row("a"), ChangeKind::Created)]);
    assert_eq!(slow.try_next(), Some(Event::Lagged { missed: 2 }));
    assert_eq!(slow.try_next(), None);
    put("e", "1");
    assert!(matches!(slow.try_next(), Some(Event::Changed { .. })));
}

#[test]
fn conflicts_are_events() {
    let (_instance, _, room) = room();
    let mut watch = room.watch(Filter::all().store("notes"));
    let (mut one, mut other) = (room.begin().unwrap(), room.begin().unwrap());
    one.table("notes").unwrap().put("a", &message("one")).unwrap();
    other.table("notes").unwrap().put("a", &message("other")).unwrap();
    let one = one.commit().unwrap().id.unwrap();
    let other = other.commit().unwrap().id.unwrap();
    loop {
        if let Event::Conflict { conflict, entry, .. } = watch.recv_timeout(DEADLINE).unwrap() {
            assert_eq!((entry, conflict.winner), (other, other));
            assert_eq!(conflict.losers, [one]);
            return;
        }
    }
}

#[test]
fn p61_a_callback_is_told_of_writes_may_write_itself_and_may_panic() {
    let (_instance, _, room) = room();
    let (sender, told) = mpsc::channel();
    let own = room.clone();
    let panics = room.on_write(|_| panic!("a bug of the app")).unwrap();
    let guard = room
        .on_write(move |event| {
            if let Event::Changed { store, .. } = event
                && store == "messages"
            {
                own.write(|tx| Ok(tx.table("seen")?.insert(&message("one"))?)).unwrap();
                sender.send(()).unwrap();
            }
        })
        .unwrap();
    push(&room, "one");
    told.recv_timeout(DEADLINE).unwrap();
    push(&room, "two");
    told.recv_timeout(DEADLINE).unwrap();
    assert_eq!(room.table::<Message>("seen").unwrap().count().unwrap(), 2);
    drop((panics, guard));
    // The callback's thread ends, and with it the sender.
    while told.recv_timeout(DEADLINE).is_ok() {}
    push(&room, "three");
    assert_eq!(room.table::<Message>("seen").unwrap().count().unwrap(), 2);
}

#[test]
fn a_watch_ends_with_its_instance_and_a_dropped_one_harms_nobody() {
    let (instance, _, room) = room();
    drop(room.watch(Filter::all()));
    let mut watch = room.watch(Filter::all());
    push(&room, "one");
    instance.close();
    assert!(matches!(watch.recv(), Some(Event::Changed { .. })), "what was queued is delivered");
    assert_eq!(watch.recv(), None);
    assert_eq!(block_on(watch.next()), None);
    assert!(watch.is_closed());
    let mut late = room.watch(Filter::all());
    assert!(late.is_closed());
    assert_eq!(late.recv(), None, "a watch of a closed instance never waits");
}

#[test]
fn entries_of_many_rows_fill_the_queue_by_their_bytes() {
    let (_instance, _, room) = room();
    let mut watch = room.watch(Filter::all().entries());
    let store = "s".repeat(128);
    for commit in 0..20 {
        room.write(|tx| {
            let mut members = tx.set(&store)?;
            (0..900)
                .try_for_each(|row| Ok(members.add(&format!("{commit}/{row:01000}")).map(drop)?))
        })
        .unwrap();
    }
    let (mut told, mut missed) = (0, 0);
    while told + missed < 20 {
        match watch.recv_timeout(DEADLINE).unwrap() {
            Event::Entry { changes, .. } => {
                assert_eq!(changes.len(), 900);
                told += 1;
            }
            Event::Lagged { missed: more } => missed += more,
            other => panic!("{other:?}"),
        }
    }
    assert!(missed > 0, "{told} entries waited");
}

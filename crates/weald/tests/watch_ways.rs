//! The ways to consume a watch: stream, main loop, wake-up handles, callbacks; none harms another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::mpsc;

use common::{DEADLINE, block_on, message, push, room};
use futures_util::StreamExt;
use weald::{Event, Filter};

#[test]
fn a_watch_is_a_stream() {
    let (instance, _, room) = room();
    let watch = room.watch(Filter::all().store("messages"));
    for number in 0..5 {
        push(&room, &number.to_string());
    }
    instance.close();
    let events: Vec<Event> = block_on(watch.collect());
    assert_eq!(events.len(), 5, "the stream ends with the instance, after what was queued");
}

#[test]
fn a_main_loop_drains_what_waits() {
    let (_instance, _, room) = room();
    let mut watch = room.watch(Filter::all());
    let mut end = room.watch(Filter::all());
    for number in 0..5 {
        push(&room, &number.to_string());
        end.recv_timeout(DEADLINE).unwrap();
    }
    push(&room, "end");
    end.recv_timeout(DEADLINE).unwrap();
    // Watches are told one after the other; the one that is drained came first.
    assert_eq!(watch.drain(4).len(), 4);
    assert_eq!(watch.drain(usize::MAX).len(), 2);
    assert_eq!(watch.drain(usize::MAX), []);
}

#[test]
fn a_wake_up_comes_once_for_each_edge() {
    let (instance, _, room) = room();
    let mut watch = room.watch(Filter::all());
    // Watches are told one after the other; this one comes last.
    let mut told = room.watch(Filter::all());
    let (sender, woken) = mpsc::channel();
    watch.on_wake(move || sender.send(()).unwrap()).unwrap();
    assert!(woken.try_recv().is_err(), "it is empty");
    for _ in 0..3 {
        push(&room, "one");
        woken.recv_timeout(DEADLINE).unwrap();
        push(&room, "more of the same");
        told.recv_timeout(DEADLINE).unwrap();
        told.recv_timeout(DEADLINE).unwrap();
        assert_eq!(watch.drain(usize::MAX).len(), 2);
        assert!(woken.try_recv().is_err(), "it was not empty");
    }
    push(&room, "waiting");
    woken.recv_timeout(DEADLINE).unwrap();
    let (sender, late) = mpsc::channel();
    watch.on_wake(move || sender.send(()).unwrap()).unwrap();
    late.recv_timeout(DEADLINE).unwrap();
    instance.close();
    woken.recv_timeout(DEADLINE).unwrap();
    late.recv_timeout(DEADLINE).unwrap();
    assert!(woken.recv_timeout(DEADLINE).is_err(), "the thread has ended");
}

fn is_last(room: &weald::Database, event: &Event) -> bool {
    let tips = room.tips().unwrap();
    matches!(event, Event::Changed { entry, .. } if tips == [*entry])
}

#[test]
fn a_dropped_watch_ends_its_wake_ups() {
    let (_instance, _, room) = room();
    let watch = room.watch(Filter::all());
    let (sender, woken) = mpsc::channel::<()>();
    watch.on_wake(move || sender.send(()).unwrap_or_default()).unwrap();
    drop(watch);
    while woken.recv_timeout(DEADLINE).is_ok() {}
    push(&room, "nobody is told");
}

#[cfg(unix)]
#[test]
fn a_descriptor_is_readable_while_events_wait() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let (instance, _, room) = room();
    let mut watch = room.watch(Filter::all());
    let fd = watch.wake_fd().unwrap();
    let readable = |seconds: i64| {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).unwrap() == 1 && fds[0].revents().contains(PollFlags::IN)
    };
    let limit = i64::try_from(DEADLINE.as_secs()).unwrap();
    assert!(!readable(0));
    for _ in 0..3 {
        push(&room, "one");
        push(&room, "two");
        assert!(readable(limit));
        assert!(readable(0), "asking does not change it");
        assert!(watch.recv_timeout(DEADLINE).is_some());
        assert!(watch.recv_timeout(DEADLINE).is_some());
        assert!(!readable(0));
    }
    let mut late = room.watch(Filter::all());
    push(&room, "three");
    late.recv_timeout(DEADLINE).unwrap();
    push(&room, "four");
    assert!(readable(limit));
    while watch.recv_timeout(DEADLINE).is_some_and(|event| !is_last(&room, &event)) {}
    assert!(!readable(0));
    instance.close();
    assert!(readable(limit), "the end is an event");
    assert_eq!((watch.try_next(), watch.is_closed()), (None, true));
    drop(watch);
    assert!(readable(0));
}

#[test]
fn commits_made_here_are_called_back_in_order_and_those_of_peers_are_not() {
    let (instance, alice, room) = room();
    let (_there, copy) = common::replica(&room);
    let (sender, told) = mpsc::channel();
    let own = room.clone();
    let _guard = room
        .on_commit(move |event| {
            let Event::Entry { entry, author, changes, .. } = event else { panic!("{event:?}") };
            // It is durable, and it can be read.
            assert!(own.contains(entry).unwrap());
            sender.send((*entry, *author, changes.len())).unwrap();
        })
        .unwrap();
    push(&copy, "from elsewhere");
    common::bring(&copy, &instance);
    let expected: Vec<_> = (1..=5_usize)
        .map(|count| {
            let committed = room.write(|tx| {
                for number in 0..count {
                    tx.table("notes")?.insert(&message(&number.to_string()))?;
                }
                Ok(())
            });
            (committed.unwrap().id.unwrap(), alice.default_key(), count)
        })
        .collect();
    for expected in expected {
        assert_eq!(told.recv_timeout(DEADLINE).unwrap(), expected);
    }
    assert!(told.try_recv().is_err());
}

#[test]
fn a_watcher_that_panics_or_stalls_or_never_reads_harms_nobody() {
    let (_instance, _, room) = room();
    let mut never_reads = room.watch(Filter::all().queue(4).values());
    let woken_badly = room.watch(Filter::all());
    woken_badly.on_wake(|| panic!("a bug of the app")).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let _stalls = room.on_commit(move |_| held.recv().unwrap_or_default()).unwrap();
    let _panics = room.on_write(|_| panic!("a bug of the app")).unwrap();
    let mut good = room.watch(Filter::all());
    for number in 0..50 {
        // Each commit returns although two threads are stuck or broken.
        push(&room, &number.to_string());
    }
    for _ in 0..50 {
        assert!(matches!(good.recv_timeout(DEADLINE), Some(Event::Changed { .. })));
    }
    assert_eq!(never_reads.drain(4).len(), 4);
    assert_eq!(never_reads.try_next(), Some(Event::Lagged { missed: 46 }));
    drop(release);
}

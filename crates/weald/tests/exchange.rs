//! Entries from one instance to another, by hand: the same door, verdicts, convergence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};

use common::{DEADLINE, Message, block_on, message, push, room, texts};
use weald::{
    CommitError, CommitFeed, Database, DatabaseError, DatabaseId, Error, Event, Filter, Instance,
    Number, Origin, Parcel, PublicKey, Signature, Time, Verdict,
};
use weald_dag::{Fields, SecretKey, Section, Verified};

const ALL: usize = usize::MAX;

fn copy(from: &Database, device: PublicKey, to: &Instance) -> Vec<Verdict> {
    let parcels = from.parcels(0, ALL).unwrap();
    let verdicts = to.ingest(device, from.id(), parcels).unwrap();
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// Alice's room, and Bob's copy of it.
fn two() -> ((Instance, Database), (Instance, Database)) {
    let (here, _, room) = room();
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let verdicts = copy(&room, here.device_key(), &there);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Stored(_))));
    let his = bob.open_database(&room.id()).unwrap();
    assert!(!his.is_complete().unwrap());
    let early = his.write(|tx| Ok(tx.log("messages")?.push(&message("early"))?));
    assert!(matches!(early, Err(Error::Commit(CommitError::Incomplete))), "{early:?}");
    there.mark_complete(room.id()).unwrap();
    assert!(his.is_complete().unwrap());
    ((here, room), (there, his))
}

#[test]
fn two_instances_that_exchange_entries_converge() {
    let ((here, room), (there, his)) = two();
    for round in 0..5 {
        push(&room, &format!("alice {round}"));
        push(&his, &format!("bob {round}"));
        room.write(|tx| Ok(tx.table("notes")?.put("both", &message("a"))?)).unwrap();
        his.write(|tx| Ok(tx.table("notes")?.put("both", &message("b"))?)).unwrap();
        his.write(|tx| Ok(tx.doc("about")?.set(["round"], &round)?)).unwrap();
        if round % 2 == 0 {
            copy(&room, here.device_key(), &there);
            copy(&his, there.device_key(), &here);
        }
    }
    copy(&room, here.device_key(), &there);
    copy(&his, there.device_key(), &here);
    assert_eq!(room.state_digest().unwrap(), his.state_digest().unwrap());
    assert_eq!(room.tips().unwrap(), his.tips().unwrap());
    assert_eq!(room.entry_count().unwrap(), his.entry_count().unwrap());
    assert_eq!(texts(&room).len(), 10);
    assert_eq!(texts(&room), texts(&his));
    assert!(here.verify().unwrap().is_sound());
    assert!(there.verify().unwrap().is_sound());
    push(&room, "one more");
    let verdicts = copy(&room, here.device_key(), &there);
    let stored = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Stored(_))).count();
    assert_eq!(stored, 1, "the others are duplicates");
}

#[test]
fn watches_tell_which_peer_brought_an_entry_and_which_were_refused() {
    let ((here, room), (there, his)) = two();
    let mut watch = his.watch(Filter::all());
    push(&room, "hello");
    copy(&room, here.device_key(), &there);
    let event = watch.recv_timeout(DEADLINE).unwrap();
    let Event::Changed { origin, author, store, .. } = event else { panic!("{event:?}") };
    assert_eq!((origin, author), (Origin::Peer(here.device_key()), room.key()));
    assert_eq!(store, "messages");
}

#[test]
fn each_parcel_has_one_verdict_in_order_and_a_fault_is_the_senders() {
    let ((here, room), (there, his)) = two();
    // Enough for two threads, with faults among them.
    for number in 0..100 {
        push(&room, &number.to_string());
    }
    let mut parcels = room.parcels(1, ALL).unwrap();
    assert_eq!(parcels.len(), 100);
    let ids: Vec<_> = parcels.iter().map(|parcel| parcel.entry.id()).collect();
    parcels[70].signature = Signature::from_bytes([0; 64]);
    parcels[90].payloads = vec![Some(b"other".to_vec())];
    let ingest = there.ingest_async(here.device_key(), room.id(), parcels);
    let verdicts = block_on(ingest).unwrap();
    assert_eq!(verdicts.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    for (place, (_, verdict)) in verdicts.iter().enumerate() {
        let expected = match place {
            70 | 90 => matches!(verdict, Verdict::Fault(_)),
            71.. => matches!(verdict, Verdict::Missing(_)),
            _ => matches!(verdict, Verdict::Stored(_)),
        };
        assert!(expected, "{place}: {verdict:?}");
    }
    assert_eq!(texts(&his).len(), 70);
    copy(&room, here.device_key(), &there);
    assert_eq!(texts(&his).len(), 100);
}

#[test]
fn entries_for_what_is_not_a_peers_business_are_refused() {
    let ((here, room), (there, _)) = two();
    let foreign = there.ingest(here.device_key(), DatabaseId::from_bytes([1; 32]), Vec::new());
    assert_eq!(foreign.unwrap(), []);
    // The system database of users: found by trying every database that the other side lists none of.
    assert_eq!(there.databases().unwrap(), [room.id()]);
    let verification = there.verify().unwrap();
    let system: Vec<DatabaseId> = verification.databases.iter().map(|(id, _)| *id).collect();
    for id in system.into_iter().filter(|id| *id != room.id()) {
        let parcels: Vec<Parcel> = room.parcels(0, ALL).unwrap();
        let refused = there.ingest(here.device_key(), id, parcels);
        assert!(matches!(refused, Err(Error::Database(DatabaseError::NotHere { .. }))));
        let opened = there.login_user("bob", None).unwrap().open_database(&id).map(drop);
        assert!(matches!(opened, Err(Error::Database(DatabaseError::NotHere { .. }))));
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<(usize, Option<PublicKey>)>>);

impl CommitFeed for Seen {
    fn committed(&self, _: DatabaseId, numbers: &[Number], origin: Option<PublicKey>) {
        self.0.lock().unwrap().push((numbers.len(), origin));
        panic!("a bug of the feed");
    }
}

#[test]
fn feeds_are_told_of_entries_from_both_sides_and_may_panic() {
    let ((here, room), (there, his)) = two();
    let seen = Arc::new(Seen::default());
    there.add_feed(Arc::<Seen>::clone(&seen));
    push(&room, "one");
    push(&room, "two");
    copy(&room, here.device_key(), &there);
    push(&his, "three");
    there.close();
    let seen = seen.0.lock().unwrap();
    assert_eq!(*seen, [(2, Some(here.device_key())), (1, None)]);
}

#[test]
fn a_key_used_in_two_places_and_a_refused_entry_are_events() {
    let ((here, room), _) = two();
    let stranger = SecretKey::from_seed(&[9; 32]);
    let entry = |time: u64, store: &str| {
        let payload = b"not a section".to_vec();
        let fields = Fields {
            parents: vec![room.id().root()],
            time: Time::from_millis(time),
            author: stranger.public(),
            seq: 0,
            sections: vec![Section::of(store, &payload)],
            nonce: None,
        };
        Verified::sign(fields, vec![payload], &stranger).unwrap().into_parcel()
    };
    push(&room, "hello");
    let last = room.log::<Message>("messages").unwrap().tail(1).unwrap().remove(0);
    let now = last.time.millis() + 1;
    let mut watch = room.watch(Filter::all());
    let (one, two) = (entry(now, "a"), entry(now + 1, "b"));
    let bad = entry(now, "_settings");
    let ids = [one.entry.id(), two.entry.id(), bad.entry.id()];
    let from = here.device_key();
    let verdicts = here.ingest(from, room.id(), vec![one, two, bad]).unwrap();
    assert!(matches!(verdicts[0].1, Verdict::Stored(_)), "{verdicts:?}");
    assert!(matches!(verdicts[1].1, Verdict::Stored(_)), "{verdicts:?}");
    let mut events = vec![watch.recv_timeout(DEADLINE).unwrap()];
    events.push(watch.recv_timeout(DEADLINE).unwrap());
    let forked = Event::AuthorForked { author: stranger.public(), entry: ids[1] };
    assert!(events.contains(&forked), "{events:?}");
    let refused = |event: &Event| match event {
        Event::Refused { entry, from: peer, .. } => (*entry, *peer) == (ids[2], from),
        _ => false,
    };
    assert!(events.iter().any(refused), "{events:?}");
}

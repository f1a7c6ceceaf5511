//! Joining and catching up: by an id alone, only what is missing, and only what is verified.

use weald::transport::memory::MemoryNetwork;
use weald::{Database, Instance, PeerState, Signature, Verdict};

use super::common::{push, room, texts, within};
use super::{Place, hears};

const SHARED: usize = 200;

#[tokio::test]
async fn p55_a_database_is_joined_by_its_id_alone_with_nothing_here() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let room = alice.room();
    push(&room, "first");
    let bob = Place::listening(&network, "bob").await;
    assert!(bob.instance.databases().unwrap().is_empty());
    // Text that a user was told: an id and an address.
    let id = room.id().to_string().parse().unwrap();
    within("joining", bob.sync.sync_with_peer("memory:alice", Some(id))).await.unwrap();
    let here = bob.user.open_database(&id).unwrap();
    assert!(here.is_complete().unwrap());
    assert_eq!((here.name().as_deref(), texts(&here)), (Some("Demo"), vec!["first".to_owned()]));
    push(&here, "second");
    hears(&room, "second").await;
}

#[tokio::test]
async fn p56_p57_only_what_is_missing_moves_both_ways_when_both_have_moved() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let room = alice.room();
    for n in 0..SHARED {
        push(&room, &format!("shared {n}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let bob = Place::at(directory.path(), "bob");
    bob.sync.register_transport("wires", network.transport("bob"));
    let synced = bob.sync.sync_with_peer("memory:alice", Some(room.id()));
    within("joining", synced).await.unwrap();
    drop(bob);

    let bob = Place::at(directory.path(), "bob");
    let here = bob.user.open_database(&room.id()).unwrap();
    (0..7).for_each(|n| push(&room, &format!("alice {n}")));
    (0..5).for_each(|n| push(&here, &format!("bob {n}")));
    bob.sync.register_transport("wires", network.transport("bob"));
    let peer = alice.instance.device_key();
    within("syncing", bob.sync.sync_database_with_peer(peer, room.id())).await.unwrap();
    same(&room, &here).await;
    assert_eq!(texts(&here).len(), SHARED + 12);
    let status = bob.sync.status(&room.id()).remove(&peer).unwrap().session.unwrap();
    let moved = (status.cost.entries_in, status.cost.entries_out);
    let few = moved.0 <= 2 * 7 && moved.1 <= 2 * 5;
    assert!(few, "of {SHARED} shared entries {moved:?} moved: {:?}", bob.sync.history(&peer));
    assert_eq!(bob.sync.peer(&peer).unwrap().state, PeerState::Connected);
}

/// Waits until both hold the same, to the byte.
async fn same(one: &Database, two: &Database) {
    hears(one, "bob 4").await;
    hears(two, "alice 6").await;
    assert_eq!(one.tips().unwrap(), two.tips().unwrap());
    assert_eq!(one.state_digest().unwrap(), two.state_digest().unwrap());
}

#[test]
fn p59_what_is_not_signed_as_it_says_is_not_stored_whoever_brings_it() {
    let (here, _alice, room) = room();
    for n in 0..10 {
        push(&room, &format!("message {n}"));
    }
    let there = Instance::in_memory().unwrap();
    let mut parcels = room.parcels(0, usize::MAX).unwrap();
    let whole = parcels.clone();
    parcels[4].signature = Signature::from_bytes([7; 64]);
    let changed = parcels[7].payloads[0].as_mut().unwrap();
    *changed.last_mut().unwrap() ^= 1;
    let verdicts = there.ingest(here.device_key(), room.id(), parcels).unwrap();
    assert!(matches!(verdicts[4].1, Verdict::Fault(_)), "{:?}", verdicts[4]);
    assert!(matches!(verdicts[7].1, Verdict::Fault(_)), "{:?}", verdicts[7]);
    let stored = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Stored(_)));
    assert_eq!(stored.count(), 4, "nothing that builds on what was not stored");
    // What was refused as it came is taken as it is.
    let verdicts = there.ingest(here.device_key(), room.id(), whole).unwrap();
    assert!(verdicts.iter().all(|(_, verdict)| !matches!(verdict, Verdict::Fault(_))));
    there.mark_complete(room.id()).unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let copy = bob.open_database(&room.id()).unwrap();
    assert_eq!(copy.state_digest().unwrap(), room.state_digest().unwrap());
}

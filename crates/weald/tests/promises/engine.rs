//! The engine: what goes when, and what waits.

use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabaseError, EntryId, Error, Filter, Level, Subject, SyncError, SyncSettings, Watch,
};

use super::common::{push, texts, within};
use super::{Place, hears, only_when_asked};

/// Two places that hold a room, of which the first sends nothing unless it is asked to.
async fn two(network: &MemoryNetwork) -> (Place, Place, Database, Database) {
    let alice = Place::listening(network, "alice").await;
    let bob = Place::listening(network, "bob").await;
    let room = alice.room();
    let joined = bob.joins(&alice.sync.ticket(&room)).await;
    alice.wants(room.id(), only_when_asked());
    bob.wants(room.id(), only_when_asked());
    (alice, bob, room, joined)
}

fn write(room: &Database, text: &str) -> EntryId {
    let written = room.write(|tx| Ok(tx.log("messages")?.push(&super::common::message(text))?));
    written.unwrap().id.unwrap()
}

#[tokio::test]
async fn p61_p29_an_entry_is_queued_for_a_peer_although_commits_wait() {
    let network = MemoryNetwork::new();
    let (alice, bob, room, joined) = two(&network).await;
    let peer = bob.instance.device_key();
    write(&room, "waits");
    let entry = write(&room, "is queued");
    alice.sync.queue_entry_for_sync(&peer, &room.id(), &entry).unwrap();
    hears(&joined, "is queued").await;
    assert_eq!(texts(&joined), ["waits", "is queued"], "and what it is built on");
    // Nothing is to be cleared away, and what is pending can be seen.
    within("syncing", alice.sync.sync_database_with_peer(peer, room.id())).await.unwrap();
    let status = alice.sync.status(&room.id()).remove(&peer).unwrap();
    let session = status.session.unwrap();
    assert_eq!((session.pending_in, session.pending_out), (0, 0));
}

#[tokio::test]
async fn p61_what_is_queued_for_a_peer_that_is_away_reaches_it_after_a_restart() {
    let network = MemoryNetwork::new();
    let bob = Place::listening(&network, "bob").await;
    let directory = tempfile::tempdir().unwrap();
    let alice = Place::at(directory.path(), "alice");
    alice.sync.register_transport("wires", network.transport("alice"));
    let room = alice.room();
    alice.wants(room.id(), only_when_asked());
    let (id, device) = (room.id(), alice.instance.device_key());
    let mut events = bob.sync.events();
    within("meeting", alice.sync.connect_to_peer("memory:bob")).await.unwrap();
    within("being met", async {
        while bob.sync.peer(&device).is_none() {
            events.next().await.unwrap();
        }
    })
    .await;
    within("fetching", bob.sync.sync_database_with_peer(device, id)).await.unwrap();
    bob.wants(id, only_when_asked());
    drop((room, alice));
    // Nobody is linked and no transport is there: it is queued all the same.
    let alice = Place::at(directory.path(), "alice");
    let room = alice.user.open_database(&id).unwrap();
    let entry = write(&room, "for bob");
    alice.sync.queue_entry_for_sync(&bob.instance.device_key(), &id, &entry).unwrap();
    drop((room, alice));
    let alice = Place::at(directory.path(), "alice");
    alice.sync.register_transport("wires", network.transport("alice"));
    hears(&bob.user.open_database(&id).unwrap(), "for bob").await;
}

#[tokio::test]
async fn p61_what_cannot_be_queued_says_why() {
    let network = MemoryNetwork::new();
    let (alice, bob, room, _joined) = two(&network).await;
    let (peer, id, nobody) = (bob.instance.device_key(), room.id(), bob.user.default_key());
    let entry = write(&room, "something");
    let queue = |peer, id, entry| alice.sync.queue_entry_for_sync(peer, id, entry).unwrap_err();
    let unknown = queue(&nobody, &id, &entry);
    assert!(matches!(unknown, Error::Sync(SyncError::PeerUnknown { .. })), "{unknown:?}");
    let absent = bob.private().id();
    let elsewhere = queue(&peer, &absent, &entry);
    assert!(matches!(elsewhere, Error::Database(DatabaseError::NotHere { .. })), "{elsewhere:?}");
    let other = write(&alice.room(), "in another room");
    let other = queue(&peer, &id, &other);
    assert!(matches!(other, Error::Database(DatabaseError::UnknownEntry { .. })), "{other:?}");

    // A private room that bob could read once.
    let private = alice.private();
    let entry = write(&private, "secret");
    let reader = Subject::Key(bob.user.default_key());
    private.settings().grant(reader, Level::Read, Some("bob")).unwrap();
    drop(bob.joins(&alice.sync.ticket(&private)).await);
    let mut events = alice.sync.events();
    private.settings().revoke(reader).unwrap();
    let refused = within("the end of it", async {
        loop {
            match alice.sync.queue_entry_for_sync(&peer, &private.id(), &entry) {
                Err(error) => return error,
                Ok(()) => drop(events.next().await.unwrap()),
            }
        }
    })
    .await;
    assert!(matches!(refused, Error::Sync(SyncError::PeerMayNotRead { .. })), "{refused:?}");

    alice.wants(id, SyncSettings { sync_enabled: false, ..SyncSettings::default() });
    let off = write(&room, "kept here");
    let off = queue(&peer, &id, &off);
    assert!(matches!(off, Error::Sync(SyncError::NotSynced { .. })), "{off:?}");
}

#[tokio::test]
async fn p61_writes_here_and_from_elsewhere_are_told_apart() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.room();
    let joined = bob.joins(&alice.sync.ticket(&room)).await;
    let mut here: Watch = room.watch(Filter::all().local());
    let mut elsewhere: Watch = room.watch(Filter::all().remote());
    push(&room, "from here");
    push(&joined, "from elsewhere");
    within("the local write", here.next()).await.unwrap();
    within("the remote write", elsewhere.next()).await.unwrap();
    hears(&room, "from elsewhere").await;
    assert!(here.try_next().is_none() && elsewhere.try_next().is_none());
}

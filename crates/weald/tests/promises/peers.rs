//! Peers: known, listed, reached at several addresses, asked for one database or for all.

use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabasePreferences, DatabaseState, Level, PeerRecord, PeerState, Subject, SyncError,
    SyncOutcome, SyncPeerInfo,
};

use super::common::{DEADLINE, push, texts, within};
use super::{Place, hears};

#[tokio::test]
async fn p42_connecting_verifies_both_ways_and_returns_the_peers_key() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let mut events = alice.sync.events();
    let peer = within("connecting", bob.sync.connect_to_peer("memory:alice")).await.unwrap();
    assert_eq!(peer, alice.instance.device_key());
    within("being connected", async {
        while alice.sync.peer(&bob.instance.device_key()).is_none() {
            events.next().await.unwrap();
        }
    })
    .await;
    // Whoever dials itself by mistake has met nobody.
    let failed = within("connecting", alice.sync.connect_to_peer("memory:alice")).await;
    assert!(matches!(failed, Err(SyncError::Session(_))), "{failed:?}");
    assert!(alice.sync.peer(&alice.instance.device_key()).is_none());
}

#[tokio::test]
async fn p39_p40_registered_peers_are_listed_with_name_status_and_all_addresses() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let carol = Place::listening(&network, "carol").await;
    let room = alice.room();
    let mut record = PeerRecord::new(alice.instance.device_key());
    record.name = "alice's desk".into();
    record.addresses = ["memory:gone", "memory:alice"].map(|text| text.parse().unwrap()).to_vec();
    record.databases.insert(room.id());
    bob.sync.register_peer(record.clone());
    within("connecting", bob.sync.connect_to_peer("memory:carol")).await.unwrap();
    let synced = bob.sync.sync_database_with_peer(alice.instance.device_key(), room.id());
    within("syncing", synced).await.unwrap();
    let listed = bob.sync.list_peers();
    assert_eq!(listed.len(), 2);
    let found = bob.sync.peer(&record.key).unwrap();
    assert_eq!((found.record.name.as_str(), found.state), ("alice's desk", PeerState::Connected));
    for address in &record.addresses {
        assert!(found.record.addresses.contains(address), "{address}");
    }
    assert!(listed.iter().any(|peer| peer.record.key == carol.instance.device_key()));
    let nobody = SyncPeerInfo::new(bob.user.default_key(), room.id()).peer;
    assert!(bob.sync.peer(&nobody).is_none());
    let failed = within("syncing", bob.sync.sync_database_with_peer(nobody, room.id())).await;
    assert!(matches!(failed, Err(SyncError::PeerUnknown { .. })), "{failed:?}");
}

#[tokio::test]
async fn p13_with_none_all_is_synced_that_is_here_or_wanted_here_and_nothing_else() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let (held, wanted, unasked) = (alice.room(), alice.room(), alice.room());
    for room in [&held, &wanted, &unasked] {
        push(room, "first");
    }
    let synced = bob.sync.sync_with_peer("memory:alice", Some(held.id()));
    within("syncing", synced).await.unwrap();
    bob.user.add_database(DatabasePreferences::new(wanted.id())).unwrap();
    let synced = within("syncing all", bob.sync.sync_with_peer("memory:alice", None)).await;
    assert_eq!(synced.unwrap(), alice.instance.device_key());
    let here = |room: &Database| bob.user.open_database(&room.id());
    assert_eq!(texts(&here(&held).unwrap()), ["first"]);
    assert_eq!(texts(&here(&wanted).unwrap()), ["first"]);
    assert!(here(&unasked).is_err(), "nobody asked for it");
}

#[tokio::test]
async fn p12_p13_one_call_bootstraps_catches_up_and_says_what_to_do_where_it_cannot() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.private();
    push(&room, "first");
    let sync = || within("syncing", bob.sync.sync_with_peer("memory:alice", Some(room.id())));
    let refused = sync().await.unwrap_err();
    assert!(matches!(refused, SyncError::DatabaseUnknown { .. }), "{refused:?}");
    assert!(refused.to_string().contains("ask for access"), "{refused}");
    let key = bob.user.default_key();
    room.settings().grant(Subject::Key(key), Level::Write(10), Some("bob")).unwrap();
    // An answer to what was asked before may still be on its way: then it is asked again.
    while sync().await.is_err() {}
    let here = bob.user.open_database(&room.id()).unwrap();
    assert_eq!(texts(&here), ["first"]);
    push(&room, "second");
    push(&here, "third");
    sync().await.unwrap();
    hears(&here, "second").await;
    hears(&room, "third").await;
}

#[tokio::test]
async fn p52_the_status_of_a_database_and_a_peer_is_what_happened() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.room();
    push(&room, "first");
    let peer = alice.instance.device_key();
    let mut info = SyncPeerInfo::new(peer, room.id());
    info.addresses.push("memory:alice".parse().unwrap());
    let handle = bob.sync.register_sync_peer(info).unwrap();
    within("waiting", handle.wait_for_initial_sync(DEADLINE)).await.unwrap();
    let status = bob.sync.status(&room.id()).remove(&peer).unwrap();
    assert!(status.last_success.is_some() && status.last_error.is_none());
    assert!(status.rounds >= 1);
    assert!(status.has_local_data && status.success_rate() == Some(1.0));
    assert_eq!(status.last.unwrap().outcome, SyncOutcome::Equal);
    let session = status.session.unwrap();
    assert_eq!(session.state, DatabaseState::Live);
    let moved = session.cost;
    assert_eq!((moved.entries_in, moved.entries_out), (room.entry_count().unwrap(), 0));
    assert!(moved.entry_bytes_in > 0 && moved.entry_bytes_out == 0);
    assert_eq!((session.pending_in, session.pending_out), (0, 0));
    assert!(bob.sync.status(&alice.private().id()).is_empty());
}

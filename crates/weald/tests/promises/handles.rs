//! A database that is kept in sync with one peer, as a handle.

use std::time::Duration;

use weald::transport::memory::MemoryNetwork;
use weald::{
    AccessOptions, DatabaseError, Error, InviteError, InviteOptions, Level, PeerState,
    RequestPolicy, RequestStatus, Subject, SyncAuth, SyncError, SyncPeerInfo, SyncSettings, Ticket,
};

use super::common::{DEADLINE, block_on, push, settle, texts, within};
use super::{Place, hears};

const SHORT: Duration = Duration::from_millis(200);

/// What is known of alice: her key, a database of hers, and where she listens.
fn alice_has(alice: &Place, database: weald::DatabaseId) -> SyncPeerInfo {
    let mut info = SyncPeerInfo::new(alice.instance.device_key(), database);
    info.addresses.push("memory:alice".parse().unwrap());
    info
}

#[tokio::test]
async fn p44_a_handle_tells_how_it_stands_and_waits_for_the_first_sync() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.room();
    push(&room, "first");
    let peer = alice.instance.device_key();
    let display_name = Some("alice's desk".to_owned());
    let info = SyncPeerInfo { display_name, ..SyncPeerInfo::new(peer, room.id()) };
    let handle = bob.sync.register_sync_peer(info).unwrap();
    assert_eq!((handle.peer(), handle.database_id()), (peer, room.id()));
    assert!(handle.request().is_none());
    // No address is known yet: it waits, and says so when the time is over.
    let early = within("waiting", handle.wait_for_initial_sync(SHORT)).await;
    let timed_out =
        matches!(early, Err(Error::Sync(SyncError::TimedOut { after })) if after == SHORT);
    assert!(timed_out, "{early:?}");
    let status = handle.status().unwrap();
    assert_eq!(status.link, PeerState::Idle);
    assert!(!status.has_local_data && !status.is_complete);
    assert!(status.sync.is_none_or(|sync| sync.session.is_none() && sync.last_success.is_none()));
    assert_eq!(bob.sync.peer(&peer).unwrap().record.name, "alice's desk");

    handle.add_address("memory:alice").unwrap();
    within("waiting", handle.wait_for_initial_sync(DEADLINE)).await.unwrap();
    let status = handle.status().unwrap();
    assert_eq!(status.link, PeerState::Connected);
    assert!(status.has_local_data && status.is_complete && status.last_error.is_none());
    assert!(status.sync.unwrap().last_success.is_some());
    let here = bob.user.open_database(&room.id()).unwrap();
    assert_eq!(texts(&here), ["first"]);
    // Waiting for what is done returns at once, and without the handle it goes on.
    within("waiting", handle.clone().wait_for_initial_sync(Duration::ZERO)).await.unwrap();
    drop(handle);
    push(&room, "second");
    hears(&here, "second").await;
}

#[test]
fn p44_waiting_needs_no_runtime_of_the_app() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Place::at_rest("alice"), Place::at_rest("bob"));
    alice.sync.register_transport("wires", network.transport("alice"));
    bob.sync.register_transport("wires", network.transport("bob"));
    block_on(alice.sync.accept_connections()).unwrap();
    let room = alice.room();
    let handle = bob.sync.register_sync_peer(alice_has(&alice, room.id())).unwrap();
    block_on(handle.wait_for_initial_sync(DEADLINE)).unwrap();
}

#[tokio::test]
async fn p44_p40_a_peer_is_looked_for_at_all_addresses_of_its_handle() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.room();
    let mut info = SyncPeerInfo::new(alice.instance.device_key(), room.id());
    info.addresses =
        ["memory:nobody", "127.0.0.1:9", "memory:alice"].map(|text| text.parse().unwrap()).to_vec();
    let handle = bob.sync.register_sync_peer(info).unwrap();
    within("waiting", handle.wait_for_initial_sync(DEADLINE)).await.unwrap();
    assert_eq!(bob.sync.peer(&handle.peer()).unwrap().record.addresses.len(), 3);
}

#[tokio::test]
async fn p44_the_key_that_was_chosen_is_proven_and_no_other() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.private();
    let (member, other) = (bob.user.default_key(), bob.user.add_private_key(None).unwrap());
    room.settings().grant(Subject::Key(member), Level::Write(10), Some("bob")).unwrap();

    let with = |auth| SyncPeerInfo { auth: Some(auth), ..alice_has(&alice, room.id()) };
    let handle = bob.sync.register_sync_peer(with(SyncAuth::Key(other))).unwrap();
    let refused = within("waiting", handle.wait_for_initial_sync(SHORT * 5)).await;
    let is_unknown = matches!(refused, Err(Error::Sync(SyncError::DatabaseUnknown { .. })));
    assert!(is_unknown, "the member's key is here and was not chosen: {refused:?}");
    let handle = bob.sync.register_sync_peer(with(SyncAuth::Key(member))).unwrap();
    within("waiting", handle.wait_for_initial_sync(DEADLINE)).await.unwrap();
    let locked = SyncAuth::Key(alice.user.default_key());
    let failed = bob.sync.register_sync_peer(with(locked));
    assert!(matches!(failed, Err(Error::Database(DatabaseError::NoKey { .. }))), "{failed:?}");
}

#[tokio::test]
async fn p43_p44_what_a_peer_offers_is_asked_for_by_the_keys_chosen_for_it_and_no_other() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let rooms = [alice.private(), alice.private()];
    let keys = [bob.user.default_key(), bob.user.add_private_key(None).unwrap()];
    for (room, key) in rooms.iter().zip(keys) {
        room.settings().grant(Subject::Key(key), Level::Read, None).unwrap();
    }
    let discover = async || {
        let found = within("discovering", bob.sync.discover_databases("memory:alice")).await;
        found.unwrap().into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    let choose = |auth| {
        let info = SyncPeerInfo::new(alice.instance.device_key(), rooms[0].id());
        bob.sync.register_sync_peer(SyncPeerInfo { auth: Some(auth), ..info }).unwrap();
    };
    choose(SyncAuth::Key(keys[0]));
    let tracked = bob.user.databases().unwrap();
    assert_eq!(tracked.iter().map(|tracked| tracked.id).collect::<Vec<_>>(), [rooms[0].id()]);
    assert_eq!(discover().await, [rooms[0].id()]);
    choose(SyncAuth::UnlockedKeys);
    assert_eq!(discover().await.len(), 2);
}

#[tokio::test]
async fn p44_a_chosen_key_stays_chosen_over_a_restart_until_it_is_taken_back() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let room = alice.private();
    let directory = tempfile::tempdir().unwrap();
    let bob = Place::at(directory.path(), "bob");
    let (member, other) = (bob.user.default_key(), bob.user.add_private_key(None).unwrap());
    room.settings().grant(Subject::Key(member), Level::Write(10), Some("bob")).unwrap();
    let with = |auth| SyncPeerInfo { auth: Some(auth), ..alice_has(&alice, room.id()) };
    bob.sync.register_sync_peer(with(SyncAuth::Key(other))).unwrap();
    drop(bob);

    let bob = Place::at(directory.path(), "bob");
    bob.sync.register_transport("wires", network.transport("bob"));
    let refused = bob.sync.sync_with_peer("memory:alice", Some(room.id()));
    let refused = within("syncing", refused).await;
    assert!(matches!(refused, Err(SyncError::DatabaseUnknown { .. })), "{refused:?}");
    let handle = bob.sync.register_sync_peer(with(SyncAuth::UnlockedKeys)).unwrap();
    within("waiting", handle.wait_for_initial_sync(DEADLINE)).await.unwrap();
}

#[tokio::test]
async fn p44_an_invite_lets_a_registered_device_in_and_makes_its_user_a_member() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.private();
    let ticket = room.invite(&InviteOptions::new(Level::Write(20))).unwrap();
    let with = |ticket: Ticket| {
        let auth = Some(SyncAuth::Invite { ticket, user: bob.user.clone() });
        SyncPeerInfo { auth, ..alice_has(&alice, room.id()) }
    };
    let failed = bob.sync.register_sync_peer(with(Ticket::new(room.id())));
    assert!(matches!(failed, Err(Error::Invite(InviteError::NotInTicket { .. }))), "{failed:?}");
    let handle = bob.sync.register_sync_peer(with(ticket)).unwrap();
    within("waiting", handle.wait_for_initial_sync(DEADLINE)).await.unwrap();
    let here = bob.user.open_database(&room.id()).unwrap();
    assert_eq!(here.settings().my_permission().unwrap(), Some(Level::Write(20)));
    push(&here, "hello");
    hears(&room, "hello").await;
}

#[tokio::test]
async fn p44_p48_a_request_is_made_once_and_waited_for_until_it_is_approved() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.private();
    push(&room, "first");
    let requests = alice.sync.requests();
    requests.set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let options = AccessOptions::new(bob.user.default_key(), Level::Write(15)).name("bob");
    let auth = || Some(SyncAuth::Request(options.clone()));
    let info = || SyncPeerInfo { auth: auth(), ..alice_has(&alice, room.id()) };
    let mut events = alice.sync.events();
    let handle = bob.sync.register_sync_peer(info()).unwrap();
    within("the request", async {
        while requests.pending().is_empty() {
            events.next().await.unwrap();
        }
    })
    .await;
    let again = bob.sync.register_sync_peer(info()).unwrap();
    assert_eq!(again.request().unwrap().id(), handle.request().unwrap().id());
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.wait_for_initial_sync(DEADLINE).await }
    });
    let pending = requests.pending();
    assert_eq!(pending.len(), 1);
    requests.approve(&pending[0].id, None).unwrap();
    within("waiting", waiting).await.unwrap().unwrap();
    let answer = within("the answer", handle.request().unwrap().wait()).await;
    assert_eq!(answer.unwrap(), RequestStatus::Approved);
    let here = bob.user.open_database(&room.id()).unwrap();
    settle(&here, |here| texts(here) == ["first"]).await;
}

#[tokio::test]
async fn p44_waiting_ends_at_once_where_it_cannot_help() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.room();
    let off = SyncSettings { sync_enabled: false, ..SyncSettings::default() };
    bob.wants(room.id(), off);
    let handle = bob.sync.register_sync_peer(alice_has(&alice, room.id())).unwrap();
    let failed = within("waiting", handle.wait_for_initial_sync(DEADLINE * 2)).await;
    assert!(matches!(failed, Err(Error::Sync(SyncError::NotSynced { .. }))), "{failed:?}");
    let unknown = SyncPeerInfo::new(alice.instance.device_key(), alice.private().id());
    let handle = bob.sync.register_sync_peer(unknown).unwrap();
    let instance = bob.instance.clone();
    let closed = tokio::task::spawn_blocking(move || instance.close());
    let failed = within("waiting", handle.wait_for_initial_sync(DEADLINE * 2)).await;
    assert!(failed.is_err(), "{failed:?}");
    within("closing", closed).await.unwrap();
}

//! What is known of peers outlives a restart, and costs the same however often was synced.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use weald_dag::{DatabaseId, SecretKey};
use weald_transports::{
    ActorOptions, HISTORY_MAX, MemoryNetwork, PeerRecord, PeerState, SyncError, SyncEvent,
    SyncOutcome, Transport,
};

use crate::site::{Site, event, within};
use crate::wires::Wires;

#[tokio::test]
async fn p26_a_peer_that_failed_waits_the_rest_of_its_pause_after_a_restart() {
    let site = Site::new(1);
    let peer = SecretKey::from_seed(&[9; 32]).public();
    let wires = Wires::Memory(MemoryNetwork::new());
    let slow = || ActorOptions { retry_first: Duration::from_secs(40), ..ActorOptions::default() };
    let actor = site.start_with(slow());
    wires.plug(&actor, "here");
    let mut events = actor.events();
    let mut record = PeerRecord::new(peer);
    record.addresses.push("memory:nobody".parse().unwrap());
    record.databases.insert(DatabaseId::from_bytes([1; 32]));
    actor.register_peer(record);
    let retry = event("a failed attempt", &mut events, |event| match event {
        SyncEvent::Unreachable { retry, .. } => Some(*retry),
        _ => None,
    });
    let retry = retry.await;
    assert!(retry >= Duration::from_secs(20));
    let next_retry = actor.peer(&peer).unwrap().next_retry().unwrap();
    within("stopping", actor.stop()).await;

    let actor = site.start_with(slow());
    let mut events = actor.events();
    wires.plug(&actor, "here");
    let status = async {
        loop {
            if let Some(status) = actor.peer(&peer)
                && status.next_retry().is_some()
            {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    let status = within("the pause", status).await;
    let PeerState::Waiting { next_retry: after } = status.state else { panic!("{status:?}") };
    let apart = after.duration_since(next_retry).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_secs(5), "it waits {apart:?} more or less than before");
    assert!(after > SystemTime::now());
    let Some(SyncError::Earlier { words }) = &status.last_error else { panic!("{status:?}") };
    assert!(words.contains("nobody listens"), "{words}");
    assert_eq!(actor.history(&peer).len(), 1);
    // When the network changes the pause is cut short, and the failures are counted on.
    actor.network_changed();
    let retry = event("the next attempt", &mut events, |event| match event {
        SyncEvent::Unreachable { retry, .. } => Some(*retry),
        _ => None,
    });
    assert!(retry.await >= Duration::from_secs(32), "the second pause is longer");
}

#[tokio::test]
async fn p58_meeting_often_at_alternating_addresses_saves_no_record_and_adds_no_row() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let (a, b) = (alice.start(), bob.start());
    a.register_transport("one", Arc::new(network.transport("one")));
    a.register_transport("two", Arc::new(network.transport("two")));
    within("serving", a.accept_connections()).await.unwrap();
    Wires::Memory(network.clone()).plug(&b, "bob");
    let meet = async |times: usize| {
        for n in 0..times {
            let address = ["memory:one", "memory:two"][n % 2].parse().unwrap();
            within("syncing", b.sync_with(vec![address], None, Some(room))).await.unwrap();
            let nobody = "memory:nobody".parse().unwrap();
            within("failing", b.connect(vec![nobody], None)).await.unwrap_err();
        }
    };
    meet(3).await;
    let before = [&alice, &bob].map(|site| site.saved.load(Ordering::SeqCst));
    meet(200).await;
    let after = [&alice, &bob].map(|site| site.saved.load(Ordering::SeqCst));
    assert_eq!(before, after);
    within("stopping", b.stop()).await;
    within("stopping", a.stop()).await;
    assert_eq!((alice.noted(), bob.noted()), (0, 1), "only who dials keeps notes of a stranger");
    assert_eq!((alice.count(room), bob.count(room)), (1, 1));
}

#[tokio::test]
async fn p52_p53_history_and_success_rate_of_a_peer_are_kept_over_restarts() {
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let wires = Wires::Memory(MemoryNetwork::new());
    let a = alice.start();
    let address = wires.serve(&a, "alice").await;
    let peer = alice.public();
    let mut records = Vec::new();
    for n in 0..3u64 {
        let b = bob.start();
        wires.plug(&b, "bob");
        assert_eq!(b.history(&peer), records);
        alice.say(room, &format!("message {n}"));
        within("syncing", b.sync_with(vec![address.clone()], None, Some(room))).await.unwrap();
        bob.assert_equal(&alice, room);
        let status = b.peer(&peer).unwrap();
        assert_eq!(status.success_rate(), Some(1.0));
        let of_room = &status.databases[&room];
        assert_eq!(of_room.success_rate(), Some(1.0));
        assert!(of_room.last_success.is_some());
        within("stopping", b.stop()).await;
        records = b.history(&peer);
        let last = records.last().unwrap();
        assert_eq!((last.database, &last.outcome), (Some(room), &SyncOutcome::Equal));
        assert!(records.len() <= HISTORY_MAX);
    }
    let moved: u64 = records.iter().map(|record| record.cost.entries_in).sum();
    // The peer may have been met by the dial of its own, too: what came twice is counted twice.
    assert!(moved >= bob.count(room), "{records:?}");
    assert!(records.iter().any(|record| record.round_trips > 0));
}

#[tokio::test]
async fn p10_a_transport_registered_anew_listens_in_place_of_the_one_before() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let (a, b) = (alice.start(), bob.start());
    let wires = Wires::Memory(network.clone());
    assert_eq!(wires.serve(&a, "old").await.to_string(), "memory:old");
    a.register_transport("wires", Arc::new(network.transport("new")));
    let addresses = within("listening", a.accept_connections()).await.unwrap();
    assert_eq!(addresses, ["memory:new".parse().unwrap()]);
    assert_eq!(a.servers().len(), 1);
    wires.plug(&b, "bob");
    within("connecting", b.connect(addresses, None)).await.unwrap();
    let old = "memory:old".parse().unwrap();
    assert!(within("connecting", b.connect(vec![old], None)).await.is_err());
    // The address of the one before is free.
    network.transport("old").listen().await.unwrap();
    // Under its own address again, too.
    a.register_transport("wires", Arc::new(network.transport("new")));
    let addresses = within("listening", a.accept_connections()).await.unwrap();
    assert_eq!(addresses, ["memory:new".parse().unwrap()]);
}

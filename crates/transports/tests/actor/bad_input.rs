//! What is wrong with addresses, peers, clocks and frames: a typed error in status and events, nothing lost,
//! and another try where that can help.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use weald_dag::{DatabaseId, SecretKey};
use weald_sync::{CloseReason, Farewell};
use weald_transports::{
    ActorHandle, Address, DISTRUST, DialError, MemoryNetwork, PeerRecord, PeerState, SyncError,
    SyncEvent, Transport,
};

use crate::site::{NOW, Site, event, within};
use crate::wires::Wires;

/// Registers a peer for a room at an address.
fn register(actor: &ActorHandle, peer: &SecretKey, room: DatabaseId, address: &str) {
    let mut record = PeerRecord::new(peer.public());
    record.addresses.push(address.parse().unwrap());
    record.databases.insert(room);
    actor.register_peer(record);
}

/// Waits for the first failure to reach a peer; returns it and the pause before the next attempt.
async fn unreachable(actor: &ActorHandle, act: impl FnOnce()) -> (SyncError, Duration) {
    let mut events = actor.events();
    act();
    event("a failed attempt", &mut events, |event| match event {
        SyncEvent::Unreachable { error, retry, .. } => Some((error.clone(), *retry)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_wrong_address_and_a_refused_connection_are_typed_seen_and_tried_again() {
    let network = MemoryNetwork::new();
    let (site, room) = (Site::new(1), DatabaseId::from_bytes([1; 32]));
    let actor = site.start();
    Wires::Memory(network).plug(&actor, "here");
    let wires = Wires::Http;
    actor.register_transport(
        "web",
        Arc::new(weald_transports::HttpTransport::builder().build().unwrap()),
    );
    drop(wires);
    for (seed, address) in [(8, "memory:nobody"), (9, "127.0.0.1:9")] {
        let peer = SecretKey::from_seed(&[seed; 32]);
        let (error, retry) = unreachable(&actor, || register(&actor, &peer, room, address)).await;
        let SyncError::Dial(dial) = &error else { panic!("{error:?}") };
        assert!(matches!(&**dial, DialError::NobodyListens { .. }), "{dial:?}");
        assert!(retry < Duration::from_secs(65));
        let status = actor.peer(&peer.public()).unwrap();
        assert!(matches!(status.last_error, Some(SyncError::Dial(_))));
        assert!(!matches!(status.state, PeerState::Idle), "{status:?}");
        assert!(status.success_rate() == Some(0.0));
        let history = actor.history(&peer.public());
        assert_eq!((history.len(), history[0].database), (1, None));
    }
    assert!("not an address".parse::<Address>().is_err());
}

#[tokio::test]
async fn a_peer_with_whom_nothing_is_synced_any_more_waits_for_no_attempt() {
    let (site, room) = (Site::new(1), DatabaseId::from_bytes([1; 32]));
    let actor = site.start();
    Wires::Memory(MemoryNetwork::new()).plug(&actor, "here");
    let peer = SecretKey::from_seed(&[8; 32]);
    unreachable(&actor, || register(&actor, &peer, room, "memory:nobody")).await;
    actor.drop_relation(peer.public(), room);
    let rests = async {
        while !matches!(actor.peer(&peer.public()).unwrap().state, PeerState::Idle) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the end of the pause", rests).await;
}

/// Answers whoever comes with a hello of a version that nobody speaks.
async fn of_the_future(network: &MemoryNetwork) -> JoinSet<()> {
    let transport = network.transport("future");
    let mut listener = transport.listen().await.unwrap();
    let mut answering = JoinSet::new();
    answering.spawn(async move {
        while let Some(mut link) = listener.accept().await {
            let _ = link.recv().await;
            let _ = link.send(hello_of_the_future().into()).await;
            while let Ok(Some(_)) = link.recv().await {}
        }
    });
    answering
}

fn hello_of_the_future() -> Vec<u8> {
    // The mark of a hello, and {"versions": [900, 900]}.
    [&[0u8, 0xa1, 0x68][..], b"versions", &[0x82, 0x19, 3, 132, 0x19, 3, 132]].concat()
}

#[tokio::test]
async fn p63_a_version_that_is_not_spoken_is_named_on_both_sides_and_not_retried_blindly() {
    let network = MemoryNetwork::new();
    let (site, room) = (Site::new(1), DatabaseId::from_bytes([1; 32]));
    let actor = site.start();
    let wires = Wires::Memory(network.clone());
    let address = wires.serve(&actor, "here").await;
    let _future = of_the_future(&network).await;
    let peer = SecretKey::from_seed(&[8; 32]);
    let (error, retry) =
        unreachable(&actor, || register(&actor, &peer, room, "memory:future")).await;
    let version = |error: &SyncError| {
        matches!(error, SyncError::Session(CloseReason::Version { min: 900, max: 900 }))
    };
    assert!(version(&error), "{error:?}");
    assert_eq!(retry, DISTRUST);
    assert!(version(&actor.peer(&peer.public()).unwrap().last_error.unwrap()));
    // The other way round: who comes is told, and so is this side.
    let mut events = actor.events();
    let mut link = network.transport("visitor").dial(&address).await.unwrap();
    link.send(hello_of_the_future().into()).await.unwrap();
    let told = event("the rejection", &mut events, |event| match event {
        SyncEvent::Rejected { error, .. } => Some(error.clone()),
        _ => None,
    });
    let told = told.await;
    assert!(version(&told), "{told:?}");
    assert!(told.to_string().contains("update"), "{told}");
}

#[tokio::test]
async fn a_clock_ten_years_off_is_seen_and_what_it_wrote_comes_when_the_time_has() {
    const TEN_YEARS: u64 = 10 * 365 * 24 * 3_600_000;
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let (a, b) = (alice.start(), bob.start());
    let wires = Wires::Memory(MemoryNetwork::new());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    within("joining", b.sync_with(vec![address.clone()], None, Some(room))).await.unwrap();
    let mut events = b.events();
    alice.now.store(NOW + TEN_YEARS, Ordering::SeqCst);
    alice.say(room, "from the future");
    let held_back = event("the entry", &mut events, |event| match event {
        SyncEvent::Session { event: weald_sync::Event::HeldBack { entry, time, .. }, .. } => {
            Some((*entry, *time))
        }
        _ => None,
    })
    .await;
    assert!(held_back.1.millis() >= NOW + TEN_YEARS);
    let failed = within("syncing", b.sync_with(vec![address.clone()], None, Some(room))).await;
    let Err(SyncError::Unequal { classes, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(classes.theirs.held_back, 1);
    let status = b.peer(&alice.public()).unwrap().databases.remove(&room).unwrap();
    assert_eq!(status.held_back, Some(held_back));
    assert!(matches!(status.last_error, Some(SyncError::Unequal { .. })));
    assert_eq!((alice.count(room), bob.count(room)), (2, 1));
    // The clock of the other is behind: what it writes is taken.
    bob.say(room, "from the past");
    alice.reaches(room, 3).await;
    bob.now.store(NOW + TEN_YEARS, Ordering::SeqCst);
    within("syncing", b.sync_with(vec![address], None, Some(room))).await.unwrap();
    bob.assert_equal(&alice, room);
}

#[tokio::test]
async fn a_forbidden_database_is_named_in_the_status_and_comes_once_it_is_allowed() {
    let (alice, bob) = (Site::new(1), Site::new(2));
    let secret = alice.found_for(None);
    let (a, b) = (alice.start(), bob.start());
    let wires = Wires::Memory(MemoryNetwork::new());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    let mut record = PeerRecord::new(alice.public());
    record.addresses.push(address.clone());
    record.databases.insert(secret);
    let mut events = b.events();
    b.register_peer(record);
    event("the refusal", &mut events, |event| match event {
        SyncEvent::Session { event: weald_sync::Event::Denied { revoked: false, .. }, .. } => {
            Some(())
        }
        _ => None,
    })
    .await;
    let denied = async {
        loop {
            let status = b.peer(&alice.public()).unwrap();
            if let Some(error) = &status.databases[&secret].last_error {
                return error.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let error = within("the error in the status", denied).await;
    assert!(matches!(error, SyncError::DatabaseUnknown { .. }), "{error:?}");
    let status = b.peer(&alice.public()).unwrap().databases.remove(&secret).unwrap();
    assert_eq!(status.success_rate(), Some(0.0));
    assert_eq!(bob.count(secret), 0);
}

/// Passes links on to an address, and changes a byte of a frame when it is told to.
async fn middle(network: &MemoryNetwork, to: Address, corrupt: Arc<AtomicBool>) -> JoinSet<()> {
    let transport = network.transport("middle");
    let mut listener = transport.listen().await.unwrap();
    let mut carrying = JoinSet::new();
    carrying.spawn(async move {
        let mut both = JoinSet::new();
        while let Some(link) = listener.accept().await {
            let Ok(onward) = transport.dial(&to).await else { continue };
            let ((mut out, mut inward), (mut there, mut back)) = (link.split(), onward.split());
            let corrupt = Arc::clone(&corrupt);
            both.spawn(async move {
                while let Ok(Some(frame)) = inward.recv().await {
                    let mut frame = frame.to_vec();
                    if corrupt.swap(false, Ordering::SeqCst)
                        && let Some(last) = frame.last_mut()
                    {
                        *last ^= 1;
                    }
                    if there.send(frame.into()).await.is_err() {
                        break;
                    }
                }
                let _ = there.close().await;
            });
            both.spawn(async move {
                while let Ok(Some(frame)) = back.recv().await {
                    if out.send(frame).await.is_err() {
                        break;
                    }
                }
                let _ = out.close().await;
            });
        }
    });
    carrying
}

#[tokio::test]
async fn a_corrupted_frame_ends_the_link_with_a_typed_error_and_everything_comes_by_the_next_one() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let (a, b) = (alice.start(), bob.start());
    let address = Wires::Memory(network.clone()).serve(&a, "alice").await;
    Wires::Memory(network.clone()).plug(&b, "bob");
    let corrupt = Arc::<AtomicBool>::default();
    let _middle = middle(&network, address, Arc::clone(&corrupt)).await;
    let by_way = vec!["memory:middle".parse().unwrap()];
    within("joining", b.sync_with(by_way, None, Some(room))).await.unwrap();
    let (mut at_alice, mut at_bob) = (a.events(), b.events());
    corrupt.store(true, Ordering::SeqCst);
    bob.say(room, "this is changed on its way");
    let ended = |event: &SyncEvent| match event {
        SyncEvent::Disconnected { error, .. } => Some(error.clone()),
        _ => None,
    };
    let error = event("the end", &mut at_alice, ended).await;
    assert!(matches!(error, Some(SyncError::Session(CloseReason::Fault(_)))), "{error:?}");
    let error = event("the end", &mut at_bob, ended).await;
    let told = matches!(error, Some(SyncError::Session(CloseReason::Told(Farewell::Fault))));
    assert!(told, "{error:?}");
    alice.reaches(room, 2).await;
    bob.assert_equal(&alice, room);
}

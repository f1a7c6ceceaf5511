//! What goes wrong gives a typed error, disturbs nobody else, and is tried again where that helps.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use weald_dag::{DatabaseId, SecretKey};
use weald_sync::CloseReason;
use weald_transports::{
    ActorOptions, Address, DialError, HttpTransport, ListenError, MemoryNetwork, PeerRecord,
    PeerState, SyncError, SyncEvent, Transport,
};

use crate::site::{Site, event, within};
use crate::wires::Wires;

#[tokio::test]
async fn p63_without_a_transport_or_a_fitting_one_the_error_says_so() {
    let site = Site::new(1);
    let actor = site.start();
    let address: Address = "memory:nobody".parse().unwrap();
    let failed = within("connecting", actor.connect(vec![address.clone()], None)).await;
    assert!(matches!(failed, Err(SyncError::NoTransportEnabled)), "{failed:?}");
    let failed = within("listening", actor.accept_connections()).await;
    assert!(matches!(failed, Err(SyncError::NoTransportEnabled)), "{failed:?}");
    actor.register_transport("http", Arc::new(HttpTransport::builder().build().unwrap()));
    let failed = within("connecting", actor.connect(vec![address], None)).await;
    assert!(matches!(failed, Err(SyncError::NoTransport { .. })), "{failed:?}");
    within("stopping", actor.stop()).await;
    let failed = within("connecting", actor.accept_connections()).await;
    assert!(matches!(failed, Err(SyncError::InstanceDropped)), "{failed:?}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let site = Site::new(1);
    let actor = site.start();
    let transport = HttpTransport::builder().bind(&bind).build().unwrap();
    actor.register_transport("web", Arc::new(transport));
    let failed = within("listening", actor.accept_connections()).await;
    let Err(SyncError::Listen { name, source }) = failed else { panic!("{failed:?}") };
    assert_eq!(name, "web");
    assert!(matches!(&*source, ListenError::AddressInUse { .. }));
    drop(taken);
    within("listening", actor.accept_connections()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_database_a_wrong_peer_and_nobody_are_told_apart() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let secret = alice.found_for(None);
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        for database in [DatabaseId::from_bytes([9; 32]), secret] {
            let failed = b.sync_with(vec![address.clone()], None, Some(database));
            let failed = within("syncing", failed).await;
            assert!(matches!(failed, Err(SyncError::DatabaseUnknown { .. })), "{failed:?}");
        }
        let other = SecretKey::from_seed(&[9; 32]).public();
        let failed = within("connecting", b.connect(vec![address], Some(other))).await;
        let Err(SyncError::WrongPeer { expected }) = failed else { panic!("{failed:?}") };
        assert_eq!(expected, other);
        let nobody = match wires {
            Wires::Memory(_) => "memory:nobody",
            Wires::Http => "127.0.0.1:9",
        };
        let failed = b.sync_with(vec![nobody.parse().unwrap()], None, Some(secret));
        let failed = within("dialling", failed).await;
        let Err(SyncError::Dial(error)) = failed else { panic!("{failed:?}") };
        assert!(matches!(&*error, DialError::NobodyListens { .. }), "{error:?}");
        assert!(bob.peer_records().iter().all(|peer| peer.databases.is_empty()));
    }
}

#[tokio::test]
async fn a_server_that_speaks_garbage_is_no_instance() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let garbage = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(&[0x16, 0x03, 0xff, 0, 0]).await;
        }
    });
    let site = Site::new(1);
    let actor = site.start();
    actor.register_transport("http", Arc::new(HttpTransport::builder().build().unwrap()));
    let failed = within("connecting", actor.connect(vec![address], None)).await;
    let Err(SyncError::Dial(error)) = failed else { panic!("{failed:?}") };
    assert!(matches!(&*error, DialError::NotWeald { .. }), "{error:?}");
    garbage.abort();
}

#[tokio::test]
async fn garbage_on_a_link_ends_it_and_disturbs_no_other() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let (a, b) = (alice.start(), bob.start());
    let wires = Wires::Memory(network.clone());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    within("joining", b.sync_with(vec![address.clone()], None, Some(room))).await.unwrap();
    let stranger = network.transport("stranger");
    for garbage in [vec![], vec![0xff; 10], vec![0; 100_000]] {
        let mut link = stranger.dial(&address).await.unwrap();
        let _ = link.send(garbage.into()).await;
        // The other side may say hello and goodbye before it closes.
        within("being sent away", async { while let Ok(Some(_)) = link.recv().await {} }).await;
    }
    alice.say(room, "still here");
    bob.reaches(room, 2).await;
    assert_eq!(a.peers().len(), 1);
}

#[tokio::test]
async fn a_peer_that_never_answers_fails_in_time_and_delays_nobody() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let (a, b) = (alice.start(), bob.start());
    let wires = Wires::Memory(network.clone());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    let silent = network.transport("silent");
    let _listener = silent.listen().await.unwrap();
    let waiting = b.sync_with(vec![silent.address().clone()], None, Some(room));
    let joining = b.sync_with(vec![address], None, Some(room));
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        biased;
        failed = &mut waiting => panic!("the silent peer came first: {failed:?}"),
        joined = joining => { joined.unwrap(); }
    }
    let failed = within("giving up", waiting).await;
    let timeout = matches!(failed, Err(SyncError::Session(CloseReason::HandshakeTimeout)));
    assert!(timeout, "{failed:?}");
}

#[tokio::test]
async fn p60_a_bootstrap_that_is_cut_goes_on_where_it_stopped() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        alice.fill(room, 3_000);
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        bob.batches_left.store(2, Ordering::SeqCst);
        let cut = within("joining", b.sync_with(vec![address.clone()], None, Some(room))).await;
        assert!(matches!(cut, Err(SyncError::Host(_))), "{cut:?}");
        drop(b);
        let before = bob.count(room);
        assert!(before > 0 && before < 3_001 && !bob.holds(room), "{before}");
        bob.batches_left.store(u64::MAX, Ordering::SeqCst);
        let b = bob.start();
        wires.plug(&b, "bob");
        within("joining", b.sync_with(vec![address], None, Some(room))).await.unwrap();
        bob.assert_equal(&alice, room);
        let came = b.peer(&alice.public()).unwrap().databases[&room]
            .session
            .as_ref()
            .unwrap()
            .cost
            .entries_in;
        assert!(came <= 3_001 - before, "{came} came again of {before}");
    }
}

#[tokio::test]
async fn p26_p40_a_registered_peer_is_dialled_at_all_addresses_until_it_is_there() {
    let network = MemoryNetwork::new();
    let wires = Wires::Memory(network);
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let b = bob.start();
    let mut events = b.events();
    wires.plug(&b, "bob");
    let mut record = PeerRecord::new(alice.public());
    record.addresses = ["memory:old", "memory:alice"].map(|at| at.parse().unwrap()).to_vec();
    record.databases.insert(room);
    b.register_peer(record);
    for _ in 0..3 {
        event("a failed attempt", &mut events, |event| match event {
            SyncEvent::Unreachable { peer, .. } if *peer == alice.public() => Some(()),
            _ => None,
        })
        .await;
    }
    let status = b.peer(&alice.public()).unwrap();
    assert!(status.last_error.is_some());
    assert!(!matches!(status.state, PeerState::Idle | PeerState::Connected), "{status:?}");
    let a = alice.start();
    wires.serve(&a, "alice").await;
    bob.reaches(room, 1).await;
}

#[tokio::test]
async fn p27_a_round_runs_from_time_to_time_although_nobody_said_anything() {
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let often = ActorOptions { round_every: Duration::from_millis(200), ..ActorOptions::default() };
    let (a, b) = (alice.start(), bob.start_with(often));
    let wires = Wires::Memory(MemoryNetwork::new());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    let mut events = b.events();
    within("joining", b.sync_with(vec![address], None, Some(room))).await.unwrap();
    for _ in 0..3 {
        event("a round", &mut events, |event| match event {
            SyncEvent::Session { event: weald_sync::Event::Settled { .. }, .. } => Some(()),
            _ => None,
        })
        .await;
    }
}

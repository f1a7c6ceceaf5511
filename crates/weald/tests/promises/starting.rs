//! Starting: one actor, commands from anywhere, relations, proof and what outlasts a restart.

use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    Address, Database, Error, Instance, PeerState, RequestPolicy, SyncError, SyncPeerInfo,
    SyncSettings,
};

use super::common::{block_on, push, texts, within};
use super::{Place, hears};

const HANDLES: usize = 8;

#[tokio::test]
async fn p1_p64_one_actor_does_all_sync_however_many_start_it_at_once() {
    let network = MemoryNetwork::new();
    let instance = Instance::in_memory().unwrap();
    let start = |n: usize| {
        let (instance, transport) = (instance.clone(), network.transport(&n.to_string()));
        move || {
            let sync = instance.enable_sync().unwrap();
            sync.register_transport(n.to_string(), transport);
            sync
        }
    };
    let threads: Vec<_> = (0..HANDLES).map(|n| std::thread::spawn(start(n))).collect();
    let handles: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let listening = within("serving", handles[0].accept_connections()).await.unwrap();
    assert_eq!(listening.len(), HANDLES, "each registered its transport with the same actor");
    for handle in &handles {
        assert_eq!(handle.all_server_addresses().len(), HANDLES);
    }
}

#[test]
fn p2_commands_are_sent_from_any_thread_and_any_executor() {
    let network = MemoryNetwork::new();
    let (here, there) = (Instance::in_memory().unwrap(), Instance::in_memory().unwrap());
    let sync = here.enable_sync().unwrap();
    sync.register_transport("wires", network.transport("here"));
    // No runtime of anybody's is here: the actor has its own.
    block_on(sync.accept_connections()).unwrap();
    let theirs = there.enable_sync().unwrap();
    let connected = std::thread::spawn(move || {
        theirs.register_transport("wires", network.transport("there"));
        block_on(theirs.connect_to_peer("memory:here"))
    });
    assert_eq!(connected.join().unwrap().unwrap(), here.device_key());
}

#[tokio::test]
async fn p3_p25_commits_reach_peers_at_once_with_every_timer_off() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let room = alice.room();
    let no_timer = SyncSettings { interval_seconds: None, ..SyncSettings::default() };
    alice.wants(room.id(), no_timer.clone());
    bob.wants(room.id(), no_timer);
    let joined = bob.joins(&alice.sync.ticket(&room)).await;
    for n in 0..5 {
        push(&room, &format!("from alice {n}"));
        hears(&joined, &format!("from alice {n}")).await;
        push(&joined, &format!("from bob {n}"));
        hears(&room, &format!("from bob {n}")).await;
    }
}

#[tokio::test]
async fn p4_p10_p23_transports_under_any_name_work_side_by_side_by_the_kind_of_address() {
    let network = MemoryNetwork::new();
    let alice = Place::at_rest("alice");
    let room = alice.room();
    let web = || HttpTransport::builder().bind("127.0.0.1:0").build().unwrap();
    // The names say nothing about the kind.
    alice.sync.register_transport("memory", web());
    alice.sync.register_transport("the cellar", network.transport("alice"));
    within("serving", alice.sync.accept_connections()).await.unwrap();
    let servers = alice.sync.all_server_addresses();
    let kind_of = |name: &str| servers.iter().find(|(of, _)| of == name).unwrap().1.kind();
    assert_eq!((kind_of("memory"), kind_of("the cellar")), ("http", "memory"));
    let ticket = alice.sync.ticket(&room);

    let bob = Place::at_rest("bob");
    bob.sync.register_transport("x", network.transport("bob"));
    let carol = Place::at_rest("carol");
    carol.sync.register_transport("y", HttpTransport::builder().build().unwrap());
    // One ticket: each is reached by the address of the kind that it has a transport for.
    let at_bob = bob.joins(&ticket).await;
    let at_carol = carol.joins(&ticket).await;
    push(&at_bob, "over memory");
    hears(&at_carol, "over memory").await;
    push(&at_carol, "over http");
    hears(&at_bob, "over http").await;
    let used = |of: &Place| of.sync.peer(&alice.instance.device_key()).unwrap().record.addresses;
    assert!(used(&bob).iter().any(|address| address.kind() == "memory"));
    assert!(used(&carol).iter().any(|address| address.kind() == "http"));
}

#[tokio::test]
async fn p5_relations_are_kept_for_each_database_and_peer_apart() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let bob = Place::listening(&network, "bob").await;
    let (one, two) = (alice.room(), alice.room());
    for room in [&one, &two] {
        let synced = bob.sync.sync_with_peer("memory:alice", Some(room.id()));
        within("syncing", synced).await.unwrap();
    }
    let peer = alice.instance.device_key();
    bob.sync.drop_relation(peer, one.id());
    within("syncing", bob.sync.sync_database_with_peer(peer, two.id())).await.unwrap();
    let related = bob.sync.peer(&peer).unwrap().record.databases;
    assert!(related.contains(&two.id()) && !related.contains(&one.id()));
    push(&one, "unheard");
    push(&two, "heard");
    let here = |room: &Database| bob.user.open_database(&room.id()).unwrap();
    hears(&here(&two), "heard").await;
    assert!(texts(&here(&one)).is_empty());
    within("syncing", bob.sync.sync_database_with_peer(peer, one.id())).await.unwrap();
    assert_eq!(texts(&here(&one)), ["unheard"]);
}

#[tokio::test]
async fn p6_nobody_gets_anything_without_a_proven_key() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let mallory = Place::listening(&network, "mallory").await;
    let room = alice.private();
    push(&room, "secret");
    let id = room.id();
    let refused = mallory.sync.sync_with_peer("memory:alice", Some(id));
    let refused = within("asking", refused).await.unwrap_err();
    assert!(matches!(refused, SyncError::DatabaseUnknown { .. }), "{refused:?}");
    assert!(refused.to_string().contains("sync_with_peer_for_bootstrap"), "{refused}");
    assert!(!mallory.instance.databases().unwrap().contains(&id));

    // Bob expects alice at an address where mallory answers.
    let bob = Place::listening(&network, "bob").await;
    let mut info = SyncPeerInfo::new(alice.instance.device_key(), id);
    info.addresses.push("memory:mallory".parse().unwrap());
    let mut events = bob.sync.events();
    let handle = bob.sync.register_sync_peer(info).unwrap();
    within("the refusal", async {
        loop {
            if let Some(SyncError::WrongPeer { expected }) = handle.status().unwrap().last_error {
                return assert_eq!(expected, alice.instance.device_key());
            }
            events.next().await.unwrap();
        }
    })
    .await;
    assert_ne!(handle.status().unwrap().link, PeerState::Connected);
}

#[tokio::test]
async fn p7_p15_what_sync_knows_outlasts_a_restart_with_nobody_there() {
    let network = MemoryNetwork::new();
    let alice = Place::listening(&network, "alice").await;
    let room = alice.room();
    let directory = tempfile::tempdir().unwrap();
    let bob = Place::at(directory.path(), "bob");
    bob.sync.register_transport("wires", network.transport("bob"));
    drop(bob.joins(&alice.sync.ticket(&room)).await);
    bob.sync.requests().set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let before = bob.sync.list_peers();
    drop((bob, alice.sync));

    let bob = Place::at(directory.path(), "bob");
    let after = bob.sync.list_peers();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(after[0].record, before[0].record);
    let at: Address = "memory:alice".parse().unwrap();
    assert_eq!(after[0].record.addresses, [at]);
    assert!(after[0].record.databases.contains(&room.id()));
    assert_eq!(bob.sync.requests().policy(&room.id()), RequestPolicy::Queue);
}

#[tokio::test]
async fn p11_nobody_is_accepted_before_the_app_says_so_at_each_start() {
    let network = MemoryNetwork::new();
    let directory = tempfile::tempdir().unwrap();
    let bob = Place::at_rest("bob");
    bob.sync.register_transport("wires", network.transport("bob"));
    for _ in 0..2 {
        let alice = Place::at(directory.path(), "alice");
        alice.sync.register_transport("wires", network.transport("alice"));
        assert!(!alice.sync.is_server_running());
        let failed = within("connecting", bob.sync.connect_to_peer("memory:alice")).await;
        assert!(matches!(failed, Err(SyncError::Dial(_))), "{failed:?}");
        within("serving", alice.sync.accept_connections()).await.unwrap();
        assert!(alice.sync.is_server_running());
        within("connecting", bob.sync.connect_to_peer("memory:alice")).await.unwrap();
    }
}

#[tokio::test]
async fn p63_errors_say_which_part_is_missing_and_who_waits_learns_of_the_end() {
    let place = Place::at_rest("alice");
    let failed = within("connecting", place.sync.connect_to_peer("memory:bob")).await;
    assert!(matches!(failed, Err(SyncError::NoTransportEnabled)), "{failed:?}");
    let failed = within("serving", place.sync.accept_connections()).await;
    assert!(matches!(failed, Err(SyncError::NoTransportEnabled)), "{failed:?}");
    place.sync.register_transport("wires", MemoryNetwork::new().transport("alice"));
    let failed = within("connecting", place.sync.connect_to_peer("127.0.0.1:9")).await;
    assert!(matches!(failed, Err(SyncError::NoTransport { .. })), "{failed:?}");

    let mut events = place.sync.events();
    let waiting = tokio::spawn(async move { while events.next().await.is_some() {} });
    place.instance.close();
    within("the end of the events", waiting).await.unwrap();
    assert!(place.sync.events().next().await.is_none());
    let failed = within("serving", place.sync.accept_connections()).await;
    assert!(matches!(failed, Err(SyncError::InstanceDropped)), "{failed:?}");
    let failed = place.instance.enable_sync();
    assert!(matches!(failed, Err(Error::Sync(SyncError::InstanceDropped))), "{failed:?}");
}

//! Instances that sync over memory and HTTP, as an app uses them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{DEADLINE, Message, push, texts};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabaseSettings, Error, Filter, Instance, Level, PeerState, PeerSync, SyncError,
    Ticket, User,
};

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

fn open(path: &Path, user: &str) -> (Instance, User) {
    let instance = Instance::open(path).unwrap();
    let user = match instance.login_user(user, None) {
        Ok(user) => user,
        Err(_) => instance.create_user(user, None).unwrap(),
    };
    (instance, user)
}

fn demo() -> DatabaseSettings {
    DatabaseSettings::named("Demo").grant_anyone(Level::Write(10))
}

fn http(sync: &PeerSync, bind: &str) {
    sync.register_transport("web", HttpTransport::builder().bind(bind).build().unwrap());
}

/// Waits until a room holds these texts, in any order.
async fn hears(database: &Database, expected: &[&str]) {
    let mut watch = database.watch(Filter::all());
    within(&format!("hearing {expected:?}"), async {
        loop {
            let heard = texts(database);
            if expected.iter().all(|text| heard.iter().any(|heard| heard == text)) {
                return;
            }
            watch.next().await.expect("the instance is open");
        }
    })
    .await;
}

#[tokio::test]
async fn p8_p10_p11_p65_two_talk_over_http_and_catch_up_after_either_restarts() {
    let (at_alice, at_bob) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (instance, alice) = open(at_alice.path(), "alice");
    let room = alice.create_database(demo()).unwrap();
    push(&room, "first");
    let sync = instance.enable_sync().unwrap();
    assert!(!sync.is_server_running());
    http(&sync, "127.0.0.1:0");
    within("serving", sync.accept_connections()).await.unwrap();
    let address = sync.server_address().unwrap();
    let ticket: Ticket = sync.ticket(&room).to_string().parse().unwrap();
    assert_eq!(ticket.addresses(), std::slice::from_ref(&address));
    let id = room.id();

    let (there, bob) = open(at_bob.path(), "bob");
    let bobs = there.enable_sync().unwrap();
    http(&bobs, "127.0.0.1:0");
    let joined = within("joining", bobs.join(&bob, &ticket)).await.unwrap();
    assert_eq!(joined.name().as_deref(), Some("Demo"));
    assert_eq!(texts(&joined), ["first"]);
    push(&joined, "hello alice");
    hears(&room, &["hello alice"]).await;
    push(&room, "hello bob");
    hears(&joined, &["hello bob"]).await;

    // Bob goes away, alice writes, bob comes back.
    drop((joined, bobs, bob, there));
    push(&room, "where is bob");
    let (there, bob) = open(at_bob.path(), "bob");
    let bobs = there.enable_sync().unwrap();
    http(&bobs, "127.0.0.1:0");
    let joined = bob.open_database(&id).unwrap();
    hears(&joined, &["where is bob"]).await;

    // Alice goes away, bob writes, alice comes back at the same place.
    drop((room, sync, alice, instance));
    push(&joined, "where is alice");
    let (instance, alice) = open(at_alice.path(), "alice");
    let room = alice.open_database(&id).unwrap();
    let sync = instance.enable_sync().unwrap();
    http(&sync, address.text());
    within("serving", sync.accept_connections()).await.unwrap();
    hears(&room, &["where is alice"]).await;
    push(&room, "back");
    hears(&joined, &["back"]).await;
    assert_eq!(room.tips().unwrap(), joined.tips().unwrap());
    assert_eq!(room.state_digest().unwrap(), joined.state_digest().unwrap());
}

#[tokio::test]
async fn p64_handles_share_one_actor_and_a_closed_instance_says_so() {
    let instance = Instance::in_memory().unwrap();
    assert!(instance.sync().is_none());
    let early = instance.clone();
    let sync = instance.enable_sync().unwrap();
    let again = instance.enable_sync().unwrap();
    let network = MemoryNetwork::new();
    sync.register_transport("wires", network.transport("a"));
    within("serving", again.accept_connections()).await.unwrap();
    assert!(early.sync().unwrap().is_server_running());
    instance.close();
    let failed = within("connecting", sync.connect_to_peer("memory:a")).await;
    assert!(matches!(failed, Err(SyncError::InstanceDropped)), "{failed:?}");
    assert!(instance.sync().is_none());
    assert!(instance.enable_sync().is_err());
}

#[tokio::test]
async fn errors_of_joining_say_what_is_wrong_and_a_later_try_goes_through() {
    let network = MemoryNetwork::new();
    let (here, there) = (Instance::in_memory().unwrap(), Instance::in_memory().unwrap());
    let alice = here.create_user("alice", None).unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let room = alice.create_database(demo()).unwrap();
    let ticket = Ticket::new(room.id()).with_address("memory:alice".parse().unwrap());
    let bobs = there.enable_sync().unwrap();
    let failed = within("joining", bobs.join(&bob, &ticket)).await;
    assert!(matches!(failed, Err(Error::Sync(SyncError::NoTransportEnabled))), "{failed:?}");
    bobs.register_transport("wires", network.transport("bob"));
    let failed = within("joining", bobs.join(&bob, &ticket)).await;
    assert!(matches!(failed, Err(Error::Sync(SyncError::Dial(_)))), "{failed:?}");
    let nowhere = Ticket::new(room.id());
    let failed = within("joining", bobs.join(&bob, &nowhere)).await;
    assert!(matches!(failed, Err(Error::Sync(SyncError::NoAddressGiven))), "{failed:?}");
    let failed = within("connecting", bobs.connect_to_peer("not an address:x")).await;
    assert!(matches!(failed, Err(SyncError::Address(_))), "{failed:?}");
    assert_eq!(bob.databases().unwrap().len(), 1, "the database is tracked");

    let sync = here.enable_sync().unwrap();
    sync.register_transport("wires", network.transport("alice"));
    within("serving", sync.accept_connections()).await.unwrap();
    let joined = within("joining", bobs.join(&bob, &ticket)).await.unwrap();
    assert!(joined.is_complete().unwrap());
    let status = bobs.status(&room.id());
    assert!(status[&here.device_key()].last_success.is_some());
    assert_eq!(bobs.peer(&here.device_key()).unwrap().state, PeerState::Connected);
}

#[tokio::test]
async fn p38_a_private_database_opens_to_the_key_of_a_user_who_logs_in_later() {
    let network = MemoryNetwork::new();
    let (here, there) = (Instance::in_memory().unwrap(), Instance::in_memory().unwrap());
    let alice = here.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Private")).unwrap();
    let sync = here.enable_sync().unwrap();
    sync.register_transport("wires", network.transport("alice"));
    within("serving", sync.accept_connections()).await.unwrap();
    let ticket = sync.ticket(&room);
    let bobs = there.enable_sync().unwrap();
    bobs.register_transport("wires", network.transport("bob"));
    let nobody = there.create_user("nobody", None).unwrap();
    let failed = within("joining", bobs.join(&nobody, &ticket)).await;
    let denied = matches!(failed, Err(Error::Sync(SyncError::DatabaseUnknown { .. })));
    assert!(denied, "{failed:?}");
    let bob = there.create_user("bob", None).unwrap();
    let subject = weald::Subject::Key(bob.default_key());
    room.settings().grant(subject, Level::Write(10), Some("bob")).unwrap();
    let joined = within("joining", bobs.join(&bob, &ticket)).await.unwrap();
    push(&joined, "let in");
    hears(&room, &["let in"]).await;
    assert!(!there.databases().unwrap().is_empty());
}

#[tokio::test]
async fn p62_many_instances_in_one_process_hear_each_other() {
    let network = MemoryNetwork::new();
    let instances: Vec<Instance> = (0..8).map(|_| Instance::in_memory().unwrap()).collect();
    let users = instances.iter().map(|instance| instance.create_user("someone", None).unwrap());
    let users: Vec<User> = users.collect();
    let first = users[0].create_database(demo()).unwrap();
    let mut rooms = vec![first.clone()];
    let mut ticket = Ticket::new(first.id());
    // A chain: each joins the one before.
    for (n, (instance, user)) in instances.iter().zip(&users).enumerate() {
        let sync = instance.enable_sync().unwrap();
        sync.register_transport("wires", network.transport(&n.to_string()));
        within("serving", sync.accept_connections()).await.unwrap();
        if n > 0 {
            rooms.push(within("joining", sync.join(user, &ticket)).await.unwrap());
        }
        ticket = sync.ticket(&rooms[n]);
    }
    let said: Vec<String> = (0..rooms.len()).map(|n| format!("from {n}")).collect();
    rooms.iter().zip(&said).for_each(|(room, text)| push(room, text));
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    for room in &rooms {
        hears(room, &said).await;
        let items = room.log::<Message>("messages").unwrap().tail(100).unwrap();
        assert_eq!(items.len(), said.len(), "something came twice");
    }
}

#[tokio::test]
async fn twenty_instances_in_a_star_hear_each_other_and_little_comes_twice() {
    const SAID: usize = 3;
    let network = MemoryNetwork::new();
    let instances: Vec<Instance> = (0..20).map(|_| Instance::in_memory().unwrap()).collect();
    let (mut rooms, mut ticket) = (Vec::new(), None);
    for (n, instance) in instances.iter().enumerate() {
        let user = instance.create_user("someone", None).unwrap();
        let sync = instance.enable_sync().unwrap();
        sync.register_transport("wires", network.transport(&n.to_string()));
        let room = match &ticket {
            None => {
                within("serving", sync.accept_connections()).await.unwrap();
                let room = user.create_database(demo()).unwrap();
                ticket = Some(sync.ticket(&room));
                room
            }
            Some(ticket) => within("joining", sync.join(&user, ticket)).await.unwrap(),
        };
        rooms.push(room);
    }
    let mut said = Vec::new();
    for i in 0..SAID {
        for (n, room) in rooms.iter().enumerate() {
            said.push(format!("{i} from {n}"));
            push(room, said.last().unwrap());
        }
    }
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    for room in &rooms {
        hears(room, &said).await;
        assert_eq!(room.tips().unwrap(), rooms[0].tips().unwrap());
    }
    let count = || {
        let peers = instances.iter().flat_map(|instance| instance.sync().unwrap().list_peers());
        let sessions = peers.filter_map(|peer| peer.databases[&rooms[0].id()].session.clone());
        sessions.fold((0, 0), |(came, again), session| {
            (came + session.cost.entries_in, again + session.duplicates_in)
        })
    };
    // The status is written a moment after what it tells.
    let came = said.len() as u64 * (rooms.len() as u64 - 1);
    within("counting", async {
        while count().0 < came {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let (came, again) = count();
    assert!(again * 10 < came, "{again} of {came} came again");
}

#[test]
fn an_instance_closes_in_order_without_a_runtime_and_its_directory_is_free_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let (instance, _user) = open(directory.path(), "alice");
        let sync = instance.enable_sync().unwrap();
        http(&sync, "127.0.0.1:0");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(within("serving", sync.accept_connections())).unwrap();
    }
    let closed = std::time::Instant::now();
    drop(open(directory.path(), "alice"));
    assert!(closed.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_closed_instance_starts_no_actor_and_can_be_closed_by_several() {
    let instance = Instance::in_memory().unwrap();
    instance.enable_sync().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                instance.close();
                let failed = instance.enable_sync().unwrap_err();
                assert!(matches!(failed, Error::Sync(SyncError::InstanceDropped)), "{failed}");
                assert!(instance.sync().is_none());
            });
        }
    });
}

//! Databases are found at a peer by name, and nobody finds what it may not read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{DEADLINE, push, texts};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    Address, DatabasePreferences, DatabaseSettings, DiscoveredDatabase, Instance, Level, PeerSync,
    Subject, SyncSettings, User,
};

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

fn open(name: &str, network: Option<&MemoryNetwork>) -> (Instance, User, PeerSync) {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user(name, None).unwrap();
    let sync = instance.enable_sync().unwrap();
    match network {
        Some(network) => sync.register_transport("wires", network.transport(name)),
        None => {
            let transport = HttpTransport::builder().bind("127.0.0.1:0").build().unwrap();
            sync.register_transport("web", transport);
        }
    }
    (instance, user, sync)
}

async fn discover(sync: &PeerSync, address: &Address) -> Vec<DiscoveredDatabase> {
    within("discovering", sync.discover_databases(address)).await.unwrap()
}

fn names(found: &[DiscoveredDatabase]) -> Vec<&str> {
    let mut names: Vec<_> = found.iter().filter_map(|found| found.name.as_deref()).collect();
    names.sort_unstable();
    names
}

async fn finds_by_name_and_joins(network: Option<&MemoryNetwork>) {
    let (_here, alice, at_alice) = open("alice", network);
    let (_there, bob, at_bob) = open("bob", network);
    let (_elsewhere, _mallory, at_mallory) = open("mallory", network);
    let demo = DatabaseSettings::named("Demo").grant_anyone(Level::Read);
    let friends =
        DatabaseSettings::named("Friends").grant(bob.default_key(), Level::Write(5), None);
    alice.create_database(demo).unwrap();
    let friends = alice.create_database(friends).unwrap();
    push(&friends, "found it?");
    alice.create_database(DatabaseSettings::named("Diary")).unwrap();
    let off = DatabaseSettings::named("Not synced").grant_anyone(Level::Read);
    let off = alice.create_database(off).unwrap();
    let never = SyncSettings { sync_enabled: false, ..SyncSettings::default() };
    let preferences = DatabasePreferences::new(off.id());
    alice.set_prefs(DatabasePreferences { sync_settings: never, ..preferences }).unwrap();

    let address = within("listening", at_alice.accept_connections()).await.unwrap().remove(0);
    assert_eq!(names(&discover(&at_mallory, &address).await), ["Demo"]);
    let found = discover(&at_bob, &address).await;
    assert_eq!(names(&found), ["Demo", "Friends"]);
    let wanted = found.iter().find(|found| found.name.as_deref() == Some("Friends")).unwrap();
    assert_eq!((wanted.id, wanted.entries), (friends.id(), friends.entry_count().unwrap()));
    assert!(bob.databases().unwrap().is_empty(), "nothing is fetched by looking");
    bob.track(wanted.id).unwrap();
    within("joining", at_bob.sync_with_peer(&address, Some(wanted.id))).await.unwrap();
    assert_eq!(texts(&bob.open_database(&wanted.id).unwrap()), ["found it?"]);

    let key = bob.default_key();
    friends.settings().revoke(Subject::Key(key)).unwrap();
    alice.remove_database(&found[0].id).unwrap();
    let left = discover(&at_bob, &address).await;
    assert!(!left.iter().any(|left| left.id == wanted.id || left.id == found[0].id), "{left:?}");
}

#[tokio::test]
async fn p43_a_database_is_found_by_name_and_joined_and_strangers_see_what_anyone_may_read() {
    finds_by_name_and_joins(Some(&MemoryNetwork::new())).await;
}

#[tokio::test]
async fn p43_databases_are_found_over_http() {
    finds_by_name_and_joins(None).await;
}

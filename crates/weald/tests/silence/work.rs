//! Instances that do everything that has to do with secrets, while every line is recorded.

use std::fs;
use std::path::Path;
use std::time::Duration;

use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{Database, DatabaseSettings, Filter, Instance, Level, PeerSync, User};

use crate::record;
use crate::search::Search;

const DEADLINE: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

fn push(database: &Database, text: &str) {
    database.write(|tx| Ok(tx.log("chat")?.push(&text.to_owned())?)).unwrap();
}

async fn hears(database: &Database, text: &str) {
    let mut watch = database.watch(Filter::all());
    within("hearing", async {
        loop {
            let items = database.log::<String>("chat").unwrap().tail(100).unwrap();
            if items.iter().any(|item| item.value.as_ref().is_ok_and(|heard| heard == text)) {
                return;
            }
            watch.next().await.unwrap();
        }
    })
    .await;
}

/// What of an instance is public: everything with which it is named to others.
fn publish(search: &mut Search, instance: &Instance, users: &[&User]) {
    search.public(instance.device_key().as_bytes());
    for user in users {
        user.keys().iter().for_each(|key| search.public(key.key.as_bytes()));
    }
    for (id, _) in instance.verify().unwrap().databases {
        search.public(id.as_bytes());
    }
}

fn publish_entries(search: &mut Search, database: &Database) {
    for parcel in database.parcels(0, usize::MAX).unwrap() {
        search.public(parcel.entry.id().as_bytes());
        search.public(parcel.signature.as_bytes());
    }
}

fn secret_file(search: &mut Search, directory: &Path) {
    let secret = fs::read(directory.join("device.secret")).unwrap();
    assert_eq!(secret.len(), 32);
    search.bytes(&secret);
}

fn shown<T: std::fmt::Debug>(search: &Search, what: &T) {
    search.assert_clean(&format!("{what:?}"));
    search.assert_clean(&format!("{what:#?}").replace('\n', " "));
}

async fn serve(instance: &Instance, network: &MemoryNetwork, name: &str) -> PeerSync {
    let sync = instance.enable_sync().unwrap();
    sync.register_transport("wires", network.transport(name));
    sync.register_transport("web", HttpTransport::builder().bind("127.0.0.1:0").build().unwrap());
    within("serving", sync.accept_connections()).await.unwrap();
    sync
}

#[tokio::test]
async fn no_log_line_and_no_debug_text_holds_a_secret() {
    record::start();
    let (at_alice, at_bob) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut search = Search::default();
    let network = MemoryNetwork::new();
    let here = Instance::open(at_alice.path()).unwrap();
    let alice = here.create_user("alice", None).unwrap();
    alice.add_private_key(Some("backup")).unwrap();
    let room = alice
        .create_database(DatabaseSettings::named("Room").grant_anyone(Level::Write(10)))
        .unwrap();
    let private = alice.create_database(DatabaseSettings::named("Private")).unwrap();
    push(&room, "hello");
    let sync = serve(&here, &network, "alice").await;
    secret_file(&mut search, at_alice.path());

    let there = Instance::open(at_bob.path()).unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let bobs = serve(&there, &network, "bob").await;
    secret_file(&mut search, at_bob.path());
    let joined = within("joining", bobs.join(&bob, &sync.ticket(&room))).await.unwrap();
    push(&joined, "from bob");
    hears(&room, "from bob").await;
    // What fails says more than what goes well.
    let denied = within("asking", bobs.join(&bob, &sync.ticket(&private))).await.map(drop);
    let unknown = here.login_user("mallory", None).map(drop);
    let nowhere = within("dialling", bobs.connect_to_peer("memory:nobody")).await.map(drop);
    let refused = within("dialling", bobs.connect_to_peer("127.0.0.1:1")).await.map(drop);

    for (instance, users) in [(&here, [&alice]), (&there, [&bob])] {
        publish(&mut search, instance, &users);
    }
    for database in [&room, &private, &joined] {
        publish_entries(&mut search, database);
    }
    shown(&search, &(denied, unknown));
    shown(&search, &(nowhere, refused));
    shown(&search, &(&here, &alice, &room, alice.keys()));
    shown(&search, &(&sync, &bobs, sync.ticket(&room), sync.list_peers()));
    shown(&search, &(Instance::builder(at_bob.path()), room.settings(), room.begin().unwrap()));
    shown(&search, &(room.settings().members().unwrap(), bobs.status(&room.id())));
    search.assert_clean(&sync.ticket(&room).to_string());

    // A secret that does not belong to the store, and one that is cut off.
    drop((joined, bobs, bob));
    there.close();
    drop(there);
    let file = at_bob.path().join("device.secret");
    let secret = fs::read(&file).unwrap();
    for bad in [vec![7; 32], secret[..9].to_vec(), Vec::new()] {
        fs::write(&file, &bad).unwrap();
        let failed = Instance::open(at_bob.path()).unwrap_err();
        shown(&search, &failed);
        search.assert_clean(&failed.to_string());
    }
    fs::write(&file, secret).unwrap();
    let there = Instance::open(at_bob.path()).unwrap();
    there.login_user("bob", None).unwrap();
    here.close();
    there.close();
    let lines = record::lines();
    assert!(!lines.is_empty(), "something is logged");
    lines.iter().for_each(|line| search.assert_clean(line));
}

//! Instances that do everything that has to do with secrets, while every line is recorded.

use std::fs;
use std::path::Path;
use std::time::Duration;

use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    AccessOptions, Database, DatabaseSettings, Filter, Instance, InviteOptions, KeyPhrase, Level,
    PasswordCost, PeerSync, RequestPolicy, Ticket, User,
};

use crate::record;
use crate::search::Search;

const DEADLINE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery staple";
const EXPORT_PASSWORD: &str = "a password for the way";
const STORE_PASSWORD: &str = "six green parrots on a ladder";

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

/// The private keys of a user, by the forms in which it can have them told.
fn secret_keys(search: &mut Search, user: &User) {
    for key in user.keys() {
        let phrase = user.export_key_clear(&key.key).unwrap();
        secret_phrase(search, &phrase);
        let sealed = user.export_key(&key.key, EXPORT_PASSWORD).unwrap();
        assert!(user.import_key(&sealed, Some("a guess"), None).is_err());
        shown(search, &phrase);
    }
}

fn secret_phrase(search: &mut Search, phrase: &KeyPhrase) {
    let (words, text) = (phrase.words(), phrase.text());
    search.text(&words);
    search.text(&text);
    // The seed and four bytes of a checksum follow the prefix.
    let encoded = text.strip_prefix("wealdkey1").unwrap().to_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(encoded.as_bytes()).unwrap();
    search.bytes(&bytes[..32]);
}

/// A database with a recovery key, taken over with it, and a store sealed by a password.
fn recover_and_seal(search: &mut Search, alice: &User, dora: &User) -> Database {
    let (family, recovery) =
        alice.create_database_with_recovery(DatabaseSettings::named("Family")).unwrap();
    secret_phrase(search, &recovery);
    search.public(recovery.public().as_bytes());
    let stolen = [alice.default_key()];
    let mine = dora.recover_database(&family.id(), &recovery, &stolen).unwrap();
    let safe = mine.password_store("codes");
    safe.create(STORE_PASSWORD, "log").unwrap();
    mine.write(|tx| Ok(tx.log("codes")?.push(&"4711".to_owned())?)).unwrap();
    safe.lock().unwrap();
    let wrong = safe.unlock("a guess").map(drop);
    let locked = mine.log::<String>("codes").map(drop);
    shown(search, &(wrong, locked));
    safe.unlock(STORE_PASSWORD).unwrap();
    shown(search, &(&safe, mine.sealed_stores().unwrap(), &recovery));
    mine
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

/// Lets somebody in by an invite, and has somebody ask.
async fn invite_and_ask(
    search: &mut Search,
    here: &PeerSync,
    door: &Database,
    there: &PeerSync,
    bob: &User,
) {
    let ticket = door.invite(&InviteOptions::new(Level::Write(10))).unwrap();
    let text = ticket.to_string();
    let secret = text.split("invite=").nth(1).unwrap().to_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    search.bytes(&bytes[..32]);
    search.public(ticket.invite_key().unwrap().as_bytes());
    search.public(door.id().as_bytes());
    shown(search, &ticket);
    within("joining", there.join(bob, &ticket)).await.unwrap();
    let cut = text[..text.len() - 3].parse::<Ticket>().map(drop);
    shown(search, &(cut, door.settings().invites().unwrap()));

    here.requests().set_policy(door.id(), RequestPolicy::Queue).unwrap();
    let key = bob.add_private_key(None).unwrap();
    let wanted = AccessOptions::new(key, Level::Write(5)).name("bob");
    let asked = within("asking", there.request_access(&here.ticket(door), &wanted)).await.unwrap();
    shown(search, &(&wanted, &asked, asked.status().unwrap()));
    let pending = here.requests().pending();
    search.public(pending[0].id.as_bytes());
    here.requests().approve(&pending[0].id, None).unwrap();
    within("the answer", asked.wait()).await.unwrap();
    secret_keys(search, bob);
}

/// Opens an instance with a secret that does not belong to its store, and with ones that are cut off.
fn open_with_other_secrets(search: &Search, directory: &Path) {
    let file = directory.join("device.secret");
    let secret = fs::read(&file).unwrap();
    for bad in [vec![7; 32], secret[..9].to_vec(), Vec::new()] {
        fs::write(&file, &bad).unwrap();
        let failed = Instance::open(directory).unwrap_err();
        shown(search, &failed);
        search.assert_clean(&failed.to_string());
    }
    fs::write(&file, secret).unwrap();
    let instance = Instance::open(directory).unwrap();
    instance.login_user("bob", None).unwrap();
    instance.close();
}

#[tokio::test]
async fn no_log_line_and_no_debug_text_holds_a_secret() {
    record::start();
    let (at_alice, at_bob) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut search = Search::default();
    let network = MemoryNetwork::new();
    for password in [PASSWORD, EXPORT_PASSWORD, STORE_PASSWORD] {
        search.text(password);
    }
    let cheap = PasswordCost::new(8, 1).unwrap();
    let here = Instance::builder(at_alice.path()).password_cost(cheap).open().unwrap();
    let alice = here.create_user("alice", None).unwrap();
    alice.add_private_key(Some("backup")).unwrap();
    let dora = here.create_user("dora", Some(PASSWORD)).unwrap();
    [&alice, &dora].into_iter().for_each(|user| secret_keys(&mut search, user));
    let family = recover_and_seal(&mut search, &alice, &dora);
    let room = alice
        .create_database(DatabaseSettings::named("Room").grant_anyone(Level::Write(10)))
        .unwrap();
    let private = alice.create_database(DatabaseSettings::named("Private")).unwrap();
    push(&room, "hello");
    let sync = serve(&here, &network, "alice").await;
    secret_file(&mut search, at_alice.path());

    let there = Instance::builder(at_bob.path()).password_cost(cheap).open().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let bobs = serve(&there, &network, "bob").await;
    secret_file(&mut search, at_bob.path());
    let joined = within("joining", bobs.join(&bob, &sync.ticket(&room))).await.unwrap();
    push(&joined, "from bob");
    hears(&room, "from bob").await;
    // What fails says more than what goes well.
    let denied = within("asking", bobs.join(&bob, &sync.ticket(&private))).await.map(drop);
    let unknown = here.login_user("mallory", Some(EXPORT_PASSWORD)).map(drop);
    let wrong = here.login_user("dora", Some(STORE_PASSWORD)).map(drop);
    invite_and_ask(&mut search, &sync, &private, &bobs, &bob).await;
    let nowhere = within("dialling", bobs.connect_to_peer("memory:nobody")).await.map(drop);
    let refused = within("dialling", bobs.connect_to_peer("127.0.0.1:1")).await.map(drop);

    for (instance, users) in [(&here, [&alice, &dora]), (&there, [&bob, &bob])] {
        publish(&mut search, instance, &users);
    }
    for database in [&room, &private, &joined, &family] {
        publish_entries(&mut search, database);
    }
    shown(&search, &(denied, unknown, wrong));
    shown(&search, &(nowhere, refused));
    shown(&search, &(&here, &alice, &room, alice.keys()));
    shown(&search, &(&sync, &bobs, sync.ticket(&room), sync.list_peers()));
    shown(&search, &(Instance::builder(at_bob.path()), room.settings(), room.begin().unwrap()));
    shown(&search, &(room.settings().members().unwrap(), bobs.status(&room.id())));
    search.assert_clean(&sync.ticket(&room).to_string());

    drop((joined, bobs, bob));
    there.close();
    drop(there);
    open_with_other_secrets(&search, at_bob.path());
    here.close();
    let lines = record::lines();
    assert!(!lines.is_empty(), "something is logged");
    lines.iter().for_each(|line| search.assert_clean(line));
}

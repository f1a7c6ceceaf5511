//! The instance's own databases: no peer gets at them, and no app.

use weald::transport::http::HttpTransport;
use weald::{
    DatabaseError, DatabaseId, DatabasePreferences, Error, Instance, KeyPhrase, SyncError, Ticket,
};
use weald_dag::{Space, Store};
use weald_store::{Options, RedbStore};

use super::{demo, in_memory, open, within};
use crate::common::{peer, push};

/// Reads the device key of a store as a thief of the whole directory would, as words.
fn device_key(dir: &std::path::Path) -> String {
    use chacha20poly1305::aead::{Aead, Payload};
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
    let secret: [u8; 32] = std::fs::read(dir.join("device.secret")).unwrap().try_into().unwrap();
    let store = RedbStore::open(dir, Options::default()).unwrap();
    let row = store.snapshot().unwrap().get(Space::new("device", 0), b"key").unwrap().unwrap();
    let (nonce, sealed) = row.split_first_chunk::<24>().unwrap();
    let payload = Payload { msg: sealed, aad: b"weald 2026 device key v1" };
    let cipher = XChaCha20Poly1305::new(&secret.into());
    let seed = cipher.decrypt(&XNonce::from(*nonce), payload).unwrap();
    let words = bip39::Mnemonic::from_entropy_in(bip39::Language::English, &seed).unwrap();
    words.words().collect::<Vec<_>>().join(" ")
}

fn own(instance: &Instance) -> Vec<DatabaseId> {
    let shown = instance.databases().unwrap();
    let all = instance.verify().unwrap().databases.into_iter().map(|(id, _)| id);
    all.filter(|id| !shown.contains(id)).collect()
}

#[tokio::test]
async fn system_databases_are_never_served_not_even_to_who_holds_the_device_key() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let words = device_key(dir.path());
    let instance = open(dir.path());
    assert_eq!(words.parse::<KeyPhrase>().unwrap().public(), instance.device_key());
    let alice = instance.create_user("alice", Some("secret")).unwrap();
    let room = alice.create_database(demo()).unwrap();
    let sync = instance.enable_sync().unwrap();
    let transport = HttpTransport::builder().bind("127.0.0.1:0").build().unwrap();
    sync.register_transport("web", transport);
    within("serving", sync.accept_connections()).await.unwrap();
    let own = own(&instance);
    assert_eq!(own.len(), 3, "_users, _databases and _sync");

    let thiefs = in_memory();
    let thief = thiefs.create_user("thief", None).unwrap();
    let stolen = thief.import_key(&words, None, None).unwrap();
    assert_eq!(stolen, instance.device_key());
    let dialler = thiefs.enable_sync().unwrap();
    dialler.register_transport("web", HttpTransport::builder().build().unwrap());
    let address = sync.server_address().unwrap();
    for id in &own {
        let asked = within("asking", dialler.sync_with_peer(&address, Some(*id))).await;
        assert!(matches!(asked, Err(SyncError::DatabaseUnknown { .. })), "{asked:?}");
        let ticket = Ticket::new(*id).with_address(address.clone());
        assert!(within("joining", dialler.join(&thief, &ticket)).await.is_err());
    }
    within("asking for all", dialler.sync_with_peer(&address, None)).await.unwrap();
    within("the room", dialler.sync_with_peer(&address, Some(room.id()))).await.unwrap();
    assert_eq!(thiefs.databases().unwrap(), [room.id()]);
}

#[tokio::test]
async fn system_databases_are_not_opened_tracked_joined_or_ingested_into() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let room = alice.create_database(demo()).unwrap();
    let sync = instance.enable_sync().unwrap();
    push(&room, "hello");
    let own = own(&instance);
    assert_eq!(own.len(), 3);
    let not_here = |outcome: Result<(), Error>| {
        assert!(
            matches!(outcome, Err(Error::Database(DatabaseError::NotHere { .. }))),
            "{outcome:?}"
        );
    };
    for id in own {
        not_here(alice.open_database(&id).map(drop));
        not_here(alice.open_database_with(&id, &alice.default_key()).map(drop));
        not_here(alice.best_key_for(&id).map(drop));
        not_here(alice.track(id));
        not_here(alice.add_database(DatabasePreferences::new(id)));
        not_here(instance.ingest(peer(), id, Vec::new()).map(drop));
        not_here(sync.join(&alice, &Ticket::new(id)).await.map(drop));
        assert!(!instance.databases().unwrap().contains(&id));
        assert!(alice.databases().unwrap().iter().all(|listed| listed.id != id));
    }
}

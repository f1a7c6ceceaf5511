//! What users want of databases, and that sync obeys it.

use std::collections::BTreeMap;

use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabaseId, DatabasePreferences, Error, Filter, Instance, PeerSync, SyncError,
    SyncSettings, User, UserError,
};

use super::{demo, in_memory, open, within};
use crate::common::{push, texts};

fn wanting(id: DatabaseId, sync_settings: SyncSettings) -> DatabasePreferences {
    DatabasePreferences { sync_settings, ..DatabasePreferences::new(id) }
}

fn off() -> SyncSettings {
    SyncSettings { sync_enabled: false, ..SyncSettings::default() }
}

#[test]
fn p33_p36_users_keep_separate_preferences_for_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(dir.path());
    let alice = instance.create_user("alice", None).unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    let id = alice.create_database(demo()).unwrap().id();
    assert_eq!(alice.list_database_prefs().unwrap(), [DatabasePreferences::new(id)]);
    assert_eq!(bob.database_prefs(&id).unwrap(), None);
    let untracked = bob.set_prefs(DatabasePreferences::new(id));
    assert!(matches!(untracked, Err(Error::User(UserError::NotTracked { .. }))), "{untracked:?}");
    let properties = BTreeMap::from([("colour".to_owned(), "green".to_owned())]);
    let often = SyncSettings { interval_seconds: Some(20), properties, ..off() };
    let bobs = DatabasePreferences { key_id: Some(bob.default_key()), ..wanting(id, often) };
    bob.add_database(bobs.clone()).unwrap();
    let never = SyncSettings { interval_seconds: None, ..SyncSettings::default() };
    alice.set_prefs(wanting(id, never.clone())).unwrap();
    let zero = SyncSettings { interval_seconds: Some(0), ..SyncSettings::default() };
    let zero = alice.set_prefs(wanting(id, zero));
    assert!(matches!(zero, Err(Error::User(UserError::Interval))), "{zero:?}");
    drop((alice, bob, instance));

    let instance = open(dir.path());
    let alice = instance.login_user("alice", None).unwrap();
    let bob = instance.login_user("bob", None).unwrap();
    assert_eq!(alice.database_prefs(&id).unwrap(), Some(wanting(id, never)));
    assert_eq!(bob.database_prefs(&id).unwrap(), Some(bobs.clone()));
    assert_eq!(bob.list_database_prefs().unwrap(), [bobs]);
    // Bob does not want it synced, so what he wants of it is not obeyed, and what alice wants is.
    let obeyed = instance.sync_settings(&id).unwrap();
    assert_eq!((obeyed.sync_enabled, obeyed.interval_seconds), (true, None));
    assert!(bob.remove_database(&id).unwrap() && !bob.remove_database(&id).unwrap());
    assert!(instance.sync_settings(&id).unwrap().sync_enabled, "alice still tracks it");
    assert!(alice.remove_database(&id).unwrap());
    assert!(!instance.sync_settings(&id).unwrap().sync_enabled);
    assert_eq!(alice.open_database(&id).unwrap().entry_count().unwrap(), 1, "its entries stay");
    bob.track(id).unwrap();
    assert!(instance.sync_settings(&id).unwrap().sync_enabled);
}

/// A room at alice's and a device of bob's on one network.
struct Two {
    here: Instance,
    alice: User,
    room: Database,
    sync: PeerSync,
    bob: User,
    bobs: PeerSync,
    _there: Instance,
}

async fn two() -> Two {
    let network = MemoryNetwork::new();
    let (here, there) = (in_memory(), in_memory());
    let alice = here.create_user("alice", None).unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let room = alice.create_database(demo()).unwrap();
    push(&room, "first");
    let (sync, bobs) = (here.enable_sync().unwrap(), there.enable_sync().unwrap());
    sync.register_transport("wires", network.transport("alice"));
    within("serving", sync.accept_connections()).await.unwrap();
    bobs.register_transport("wires", network.transport("bob"));
    Two { here, alice, room, sync, bob, bobs, _there: there }
}

/// Waits until a room holds a text.
async fn hears(database: &Database, expected: &str) {
    let mut watch = database.watch(Filter::all());
    within(&format!("hearing {expected}"), async {
        while !texts(database).iter().any(|heard| heard == expected) {
            watch.next().await.expect("the instance is open");
        }
    })
    .await;
}

#[tokio::test]
async fn p33_a_database_that_was_removed_is_not_served_until_somebody_adds_it_again() {
    let two = two().await;
    let id = two.room.id();
    assert!(two.alice.remove_database(&id).unwrap());
    let refused = within("asking", two.bobs.sync_with_peer("memory:alice", Some(id))).await;
    assert!(matches!(refused, Err(SyncError::DatabaseUnknown { .. })), "{refused:?}");
    let all = within("asking for all", two.bobs.sync_with_peer("memory:alice", None)).await;
    assert!(all.is_ok() && two.bob.open_database(&id).is_err());
    // As unknown as one that was never there.
    let other = DatabaseId::from_bytes([9; 32]);
    let unknown = within("asking", two.bobs.sync_with_peer("memory:alice", Some(other))).await;
    assert!(matches!(unknown, Err(SyncError::DatabaseUnknown { .. })), "{unknown:?}");
    two.alice.add_database(DatabasePreferences::new(id)).unwrap();
    // An answer to what was asked before may still be on its way: then it is asked again.
    let asked = async {
        loop {
            match two.bobs.sync_with_peer("memory:alice", Some(id)).await {
                Err(SyncError::DatabaseUnknown { .. }) => {}
                answer => return answer,
            }
        }
    };
    within("syncing", asked).await.unwrap();
    assert_eq!(texts(&two.bob.open_database(&id).unwrap()), ["first"]);
}

#[tokio::test]
async fn p32_p37_a_database_with_sync_disabled_goes_in_neither_direction_and_on_when_enabled() {
    let two = two().await;
    let id = two.room.id();
    let ticket = two.sync.ticket(&two.room);
    let joined = within("joining", two.bobs.join(&two.bob, &ticket)).await.unwrap();
    two.bob.set_prefs(wanting(id, off())).unwrap();
    let peer = two.here.device_key();
    let refused = within("syncing", two.bobs.sync_database_with_peer(peer, id)).await;
    assert!(matches!(refused, Err(SyncError::NotSynced { .. })), "{refused:?}");
    push(&joined, "unsent");
    push(&two.room, "unheard");
    // Whatever alice asks for, bob's device does not know it.
    let back = two.sync.list_peers().into_iter().next().unwrap().record.key;
    let refused = within("asking back", two.sync.sync_database_with_peer(back, id)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!((texts(&joined).len(), texts(&two.room).len()), (2, 2));
    // Wishes are one thing, what happens another: the status of the last success stays.
    assert!(!two.bob.database_prefs(&id).unwrap().unwrap().sync_settings.sync_enabled);
    assert!(two.bobs.status(&id).contains_key(&peer));
    two.bob.set_prefs(DatabasePreferences::new(id)).unwrap();
    hears(&joined, "unheard").await;
    hears(&two.room, "unsent").await;
}

#[tokio::test]
async fn p30_without_sync_on_commit_entries_go_when_the_interval_has_passed() {
    let two = two().await;
    let id = two.room.id();
    let ticket = two.sync.ticket(&two.room);
    let joined = within("joining", two.bobs.join(&two.bob, &ticket)).await.unwrap();
    let settings = SyncSettings {
        sync_on_commit: false,
        interval_seconds: Some(1),
        ..SyncSettings::default()
    };
    two.bob.set_prefs(wanting(id, settings)).unwrap();
    push(&joined, "in a while");
    hears(&two.room, "in a while").await;
    push(&joined, "and again");
    hears(&two.room, "and again").await;
}

#[test]
fn a_handle_of_a_user_who_was_deleted_reads_nothing_of_one_who_has_the_name_later() {
    let instance = in_memory();
    let before = instance.create_user("alice", None).unwrap();
    instance.delete_user("alice", None).unwrap();
    let after = instance.create_user("alice", Some("secret")).unwrap();
    let room = after.create_database(demo()).unwrap().id();
    let gone = |error: Error| assert!(error.to_string().contains("no user"), "{error}");
    gone(before.databases().unwrap_err());
    gone(before.list_database_prefs().unwrap_err());
    gone(before.database_prefs(&room).unwrap_err());
    assert!(matches!(before.has_password(), Err(UserError::Unknown { .. })));
    assert!(before.change_password(Some("secret"), None).is_err());
    assert_eq!(after.databases().unwrap().len(), 1);
}

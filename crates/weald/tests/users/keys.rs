//! Several keys of one user: which is used where, and how they come and go.

use weald::{
    DatabaseSettings, Error, KeyPhrase, Level, PhraseError, Subject, USER_KEYS_MAX, UserError,
};

use super::{demo, in_memory, open};
use crate::common::{Message, bring, message, push, texts};

#[test]
fn p34_p35_the_key_that_may_do_most_is_found_and_opens_the_database() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    let work = bob.add_private_key(Some("work")).unwrap();
    let both = DatabaseSettings::named("Both")
        .grant(bob.default_key(), Level::Write(3), None)
        .grant(work, Level::Admin(5), None);
    let both = alice.create_database(both).unwrap().id();
    assert_eq!(bob.best_key_for(&both).unwrap(), work);
    assert_eq!(bob.open_database(&both).unwrap().key(), work);
    // What anyone may is nothing that a key has by itself: the default stays.
    let open = alice.create_database(demo()).unwrap().id();
    assert_eq!(bob.open_database(&open).unwrap().key(), bob.default_key());
    // A grant later on, and what is taken away, are followed.
    let room = alice.create_database(DatabaseSettings::named("Late")).unwrap();
    assert_eq!(bob.best_key_for(&room.id()).unwrap(), bob.default_key());
    room.settings().grant(Subject::Key(work), Level::Read, None).unwrap();
    assert_eq!(bob.best_key_for(&room.id()).unwrap(), work);
    let own = DatabaseSettings::named("Own").created_by(work);
    let own = bob.create_database(own).unwrap().id();
    assert_eq!(bob.best_key_for(&own).unwrap(), work);
    bob.hand_over_key(&work, &bob.default_key()).unwrap();
    assert_eq!(bob.open_database(&own).unwrap().key(), bob.default_key());
    // A choice that the user has made stands.
    let mut preferences = bob.database_prefs(&own).unwrap().unwrap();
    preferences.key_id = Some(work);
    bob.set_prefs(preferences).unwrap();
    assert_eq!(bob.open_database(&own).unwrap().key(), work);
}

#[test]
fn p38_a_transaction_is_signed_by_the_key_that_was_chosen() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let backup = alice.add_private_key(Some("backup")).unwrap();
    let room = alice.create_database(demo()).unwrap();
    push(&room, "by the default");
    let with_backup = alice.open_database_with(&room.id(), &backup).unwrap();
    push(&with_backup, "by the backup");
    let authors: Vec<_> = room.log::<Message>("messages").unwrap().tail(9).unwrap();
    let authors: Vec<_> = authors.into_iter().map(|item| item.author).collect();
    assert_eq!(authors, [alice.default_key(), backup]);
    // The default changes for all handles, and after a restart; open databases keep theirs.
    let other = instance.login_user("alice", None).unwrap();
    alice.set_default_key(&backup).unwrap();
    alice.rename_key(&backup, Some("main")).unwrap();
    assert_eq!(other.default_key(), backup);
    let named = other.keys().into_iter().find(|own| own.key == backup).unwrap();
    assert_eq!(named.name.as_deref(), Some("main"));
    assert_ne!(room.key(), backup);
    let foreign = alice.set_default_key(&instance.device_key());
    assert!(matches!(foreign, Err(UserError::NoKey { .. })));
    assert!(matches!(alice.rename_key(&backup, Some("a\nb")), Err(UserError::Name)));
}

#[test]
fn a_rotated_key_hands_over_what_it_may_and_says_where_it_cannot() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    let old = alice.default_key();
    let own = alice.create_database(DatabaseSettings::named("Own")).unwrap();
    push(&own, "before");
    let bobs = DatabaseSettings::named("Bobs").grant(old, Level::Write(3), Some("alice"));
    let bobs = bob.create_database(bobs).unwrap();
    let open = bob.create_database(demo()).unwrap();
    let rotation = alice.rotate_key(&old).unwrap();
    let (new, report) = (rotation.key, rotation.hand_over);
    assert_eq!((alice.default_key(), report.done), (new, vec![own.id()]));
    assert_eq!(report.needs_administrator, [bobs.id()]);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let settings = own.settings();
    assert_eq!(settings.permission_of(&new).unwrap(), Some(Level::Admin(0)));
    assert_eq!(settings.permission_of(&old).unwrap(), None);
    let refused = own.write(|tx| Ok(tx.log("messages")?.push(&message("by the old"))?));
    assert!(matches!(refused, Err(Error::Commit(_))), "{refused:?}");
    let own = alice.open_database(&own.id()).unwrap();
    assert_eq!(own.key(), new);
    push(&own, "after");
    assert_eq!(texts(&own), ["before", "after"]);
    // The old key is still there for the database where it is needed.
    assert_eq!(alice.open_database(&bobs.id()).unwrap().key(), old);
    assert_eq!(alice.open_database(&open.id()).unwrap().key(), new);
    let needed = alice.delete_key(&old).unwrap_err();
    let UserError::LosesDatabases { databases, .. } = needed else { panic!("{needed}") };
    assert_eq!(databases, [bobs.id()]);
    bobs.settings().grant(Subject::Key(new), Level::Write(3), None).unwrap();
    alice.delete_key(&old).unwrap();
    assert_eq!(alice.keys().len(), 1);
    // Again, nothing is left to hand over.
    let again = alice.hand_over_key(&old, &new);
    assert!(matches!(again, Err(UserError::NoKey { .. })));
}

#[test]
fn what_is_handed_over_lasts_as_long_and_is_what_the_preferences_name() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let (old, new) = (alice.default_key(), alice.add_private_key(None).unwrap());
    let room = alice.create_database(DatabaseSettings::named("Own")).unwrap();
    let end = now_millis() + 300;
    room.settings().grant_until(Subject::Key(new), Level::Admin(0), None, end).unwrap();
    let mut preferences = alice.database_prefs(&room.id()).unwrap().unwrap();
    preferences.key_id = Some(old);
    alice.set_prefs(preferences).unwrap();
    assert_eq!(alice.hand_over_key(&old, &new).unwrap().done, [room.id()]);
    while now_millis() <= end {
        std::thread::yield_now();
    }
    let room = alice.open_database(&room.id()).unwrap();
    assert_eq!((room.key(), room.my_permission().unwrap()), (new, Some(Level::Admin(0))));
    room.settings().set("topic", "tea").unwrap();
}

#[test]
fn a_key_gives_up_nothing_where_the_other_cannot_take_over() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    let (old, revoked) = (bob.default_key(), bob.add_private_key(None).unwrap());
    let settings = DatabaseSettings::named("Demo").grant(old, Level::Admin(5), None);
    let room = alice.create_database(settings).unwrap();
    room.settings().grant(Subject::Key(revoked), Level::Write(9), None).unwrap();
    room.settings().revoke(Subject::Key(revoked)).unwrap();
    let report = bob.hand_over_key(&old, &revoked).unwrap();
    assert_eq!(report.done, []);
    assert_eq!(report.failed.len(), 1);
    assert!(matches!(&report.failed[0], (id, Error::Settings(_)) if *id == room.id()));
    assert_eq!(room.settings().permission_of(&old).unwrap(), Some(Level::Admin(5)));
    // Nor is a key good for nothing because another may do as much for a while.
    let third = bob.add_private_key(None).unwrap();
    let soon = now_millis() + 3_600_000;
    room.settings().grant_until(Subject::Key(third), Level::Admin(1), None, soon).unwrap();
    bob.set_default_key(&third).unwrap();
    assert!(matches!(bob.delete_key(&old), Err(UserError::LosesDatabases { .. })));
}

fn now_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[test]
fn a_key_that_is_needed_is_not_deleted_by_accident() {
    let instance = in_memory();
    let alice = instance.create_user("alice", None).unwrap();
    let other = instance.login_user("alice", None).unwrap();
    let default = alice.default_key();
    assert!(matches!(alice.delete_key(&default), Err(UserError::DefaultKey { .. })));
    assert!(matches!(alice.delete_key(&instance.device_key()), Err(UserError::NoKey { .. })));
    let second = alice.add_private_key(None).unwrap();
    let own = DatabaseSettings::named("Second").created_by(second);
    let own = alice.create_database(own).unwrap().id();
    let refused = alice.delete_key(&second).unwrap_err();
    assert!(matches!(&refused, UserError::LosesDatabases { databases, .. } if *databases == [own]));
    assert_eq!(other.keys().len(), 2);
    other.delete_key_with_its_access(&second).unwrap();
    assert_eq!(alice.keys().len(), 1);
    assert_eq!(alice.open_database(&own).unwrap().settings().my_permission().unwrap(), None);
    for _ in 1..USER_KEYS_MAX {
        alice.add_private_key(None).unwrap();
    }
    assert!(matches!(alice.add_private_key(None), Err(UserError::TooManyKeys)));
}

#[test]
fn an_exported_key_is_imported_elsewhere_with_its_password_and_no_other() {
    let (here, dir) = (in_memory(), tempfile::tempdir().unwrap());
    let alice = here.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Demo")).unwrap();
    let key = alice.default_key();
    let exported = alice.export_key(&key, "travel").unwrap();
    assert!(exported.starts_with("wealdsealed1") && exported.is_ascii());
    assert_ne!(exported, alice.export_key(&key, "travel").unwrap());

    let there = open(dir.path());
    let bob = there.create_user("bob", Some("secret")).unwrap();
    let import = |text: &str, password| bob.import_key(text, password, Some("travelled"));
    assert!(matches!(import(&exported, Some("train")), Err(UserError::WrongExportPassword)));
    assert!(matches!(import(&exported, None), Err(UserError::ExportPasswordNeeded)));
    let cut = import(&exported[..40], Some("travel"));
    assert!(matches!(cut, Err(UserError::Phrase(PhraseError::Length { .. }))), "{cut:?}");
    let other = if exported.ends_with('a') { 'b' } else { 'a' };
    let slip = format!("{}{other}", &exported[..exported.len() - 1]);
    let slip = import(&slip, Some("travel"));
    assert!(matches!(slip, Err(UserError::Phrase(PhraseError::Checksum))), "{slip:?}");
    assert!(matches!(
        import("not a key", None),
        Err(UserError::Phrase(PhraseError::WordCount { found: 3 }))
    ));
    assert_eq!(bob.keys().len(), 1, "nothing was taken");
    assert_eq!(import(&format!(" {exported}\n"), Some("travel")).unwrap(), key);
    assert!(matches!(import(&exported, Some("travel")), Err(UserError::KeyExists { .. })));

    // The key opens at bob's what it opens at alice's, also after a restart.
    bring(&room, &there);
    there.mark_complete(room.id()).unwrap();
    drop((bob, there));
    let there = open(dir.path());
    let bob = there.login_user("bob", Some("secret")).unwrap();
    let joined = bob.open_database(&room.id()).unwrap();
    assert_eq!(joined.key(), key);
    push(&joined, "from afar");
}

#[test]
fn a_key_in_the_clear_is_read_back_from_words_and_from_text() {
    let (here, there) = (in_memory(), in_memory());
    let alice = here.create_user("alice", None).unwrap();
    let phrase = alice.export_key_clear(&alice.default_key()).unwrap();
    assert_eq!(phrase.words().split(' ').count(), 24);
    assert_eq!(phrase.text().parse::<KeyPhrase>().unwrap().public(), alice.default_key());
    let bob = there.create_user("bob", None).unwrap();
    let sealed = bob.import_key(&phrase.words(), Some("secret"), None);
    assert!(matches!(sealed, Err(UserError::NotSealed)));
    assert_eq!(bob.import_key(&phrase.words(), None, None).unwrap(), alice.default_key());
    let carol = there.create_user("carol", None).unwrap();
    assert_eq!(carol.import_key(&phrase.text(), None, None).unwrap(), alice.default_key());
}

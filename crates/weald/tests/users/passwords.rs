//! Logging in, and changing what it takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use weald::{DatabasePreferences, Instance, PASSWORD_MAX, PasswordError, UserError};

use super::{demo, in_memory, open};
use crate::common::{push, texts};

fn login(instance: &Instance, name: &str, password: Option<&str>) -> Result<(), UserError> {
    instance.login_user(name, password).map(drop)
}

#[test]
fn p9_a_user_with_a_password_comes_back_with_it_and_only_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(dir.path());
    let alice = instance.create_user("alice", Some("correct horse")).unwrap();
    assert!(alice.has_password().unwrap());
    let room = alice.create_database(demo()).unwrap();
    let (id, key) = (room.id(), alice.default_key());
    drop((room, alice, instance));
    let instance = open(dir.path());
    assert!(instance.unlocked_keys().is_empty());
    let wrong = login(&instance, "alice", Some("correct horsf"));
    assert!(matches!(wrong, Err(UserError::WrongPassword { .. })), "{wrong:?}");
    let none = login(&instance, "alice", None);
    assert!(matches!(none, Err(UserError::PasswordNeeded { .. })), "{none:?}");
    assert!(instance.unlocked_keys().is_empty(), "nothing was unlocked by trying");
    let alice = instance.login_user("alice", Some("correct horse")).unwrap();
    assert_eq!(alice.default_key(), key);
    let room = alice.open_database(&id).unwrap();
    push(&room, "hello");
    assert_eq!(texts(&room), ["hello"]);
}

#[test]
fn what_cannot_be_a_login_is_a_typed_error_that_says_what_to_do() {
    let instance = in_memory();
    instance.create_user("alice", Some("secret")).unwrap();
    instance.create_user("bob", None).unwrap();
    let long = "x".repeat(PASSWORD_MAX + 1);
    let refused = |name, password| login(&instance, name, password).unwrap_err();
    assert!(matches!(refused("carol", Some("secret")), UserError::Unknown { .. }));
    assert!(matches!(refused("carol", None), UserError::Unknown { .. }));
    assert!(matches!(refused("bob", Some("secret")), UserError::NoPassword { .. }));
    for password in ["", &long] {
        let refused = refused("alice", Some(password));
        assert!(matches!(refused, UserError::Password(PasswordError::Length)), "{refused:?}");
    }
    let exists = instance.create_user("alice", Some("other")).map(drop).unwrap_err();
    assert!(matches!(exists, UserError::Exists { .. }));
    login(&instance, "alice", Some("secret")).unwrap();
}

#[test]
fn a_password_is_changed_set_and_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(dir.path());
    let alice = instance.create_user("alice", Some("old")).unwrap();
    let backup = alice.add_private_key(Some("backup")).unwrap();
    let wrong = alice.change_password(Some("older"), Some("new"));
    assert!(matches!(wrong, Err(UserError::WrongPassword { .. })));
    let needed = alice.change_password(None, Some("new"));
    assert!(matches!(needed, Err(UserError::PasswordNeeded { .. })));
    let unusable = alice.change_password(Some("old"), Some(""));
    assert!(matches!(unusable, Err(UserError::Password(PasswordError::Length))));
    login(&instance, "alice", Some("old")).unwrap();
    alice.change_password(Some("old"), Some("new")).unwrap();
    assert!(matches!(login(&instance, "alice", Some("old")), Err(UserError::WrongPassword { .. })));
    // A key that is made after the change is sealed as the others are.
    let later = alice.add_private_key(Some("later")).unwrap();
    drop((alice, instance));
    let instance = open(dir.path());
    let alice = instance.login_user("alice", Some("new")).unwrap();
    let keys: Vec<_> = alice.keys().into_iter().map(|own| own.key).collect();
    assert!(keys.len() == 3 && keys.contains(&backup) && keys.contains(&later));
    alice.change_password(Some("new"), None).unwrap();
    assert!(!alice.has_password().unwrap());
    drop((alice, instance));
    let instance = open(dir.path());
    let alice = instance.login_user("alice", None).unwrap();
    assert_eq!(alice.keys().len(), 3);
    alice.change_password(None, Some("again")).unwrap();
    assert!(matches!(login(&instance, "alice", None), Err(UserError::PasswordNeeded { .. })));
    login(&instance, "alice", Some("again")).unwrap();
}

#[test]
fn while_a_password_is_changed_one_of_both_works_at_every_moment() {
    let instance = in_memory();
    let alice = instance.create_user("alice", Some("a")).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let trying = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // Between the two tries the password may have been changed back, so some rounds find
                // neither; a user who is damaged or gone is never found.
                for password in ["a", "b"] {
                    match login(&instance, "alice", Some(password)) {
                        Ok(()) | Err(UserError::WrongPassword { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        for _ in 0..20 {
            alice.change_password(Some("a"), Some("b")).unwrap();
            login(&instance, "alice", Some("b")).unwrap();
            alice.change_password(Some("b"), Some("a")).unwrap();
            login(&instance, "alice", Some("a")).unwrap();
        }
        done.store(true, Ordering::Release);
        trying.join().unwrap();
    });
}

#[test]
fn a_disabled_user_has_no_keys_until_it_is_enabled_and_logs_in_again() {
    let instance = in_memory();
    let alice = instance.create_user("alice", Some("secret")).unwrap();
    let other = instance.login_user("alice", Some("secret")).unwrap();
    let key = alice.default_key();
    let room = alice.create_database(demo()).unwrap();
    instance.disable_user("alice").unwrap();
    for handle in [&alice, &other] {
        assert!(handle.keys().is_empty());
        let refused = handle.add_private_key(None).unwrap_err();
        assert!(matches!(refused, UserError::Disabled { .. }));
        assert!(handle.open_database(&room.id()).is_err());
    }
    push(&room, "what is open stays so");
    let refused = login(&instance, "alice", Some("secret"));
    assert!(matches!(refused, Err(UserError::Disabled { .. })));
    let wrong = login(&instance, "alice", Some("wrong"));
    assert!(matches!(wrong, Err(UserError::WrongPassword { .. })));
    instance.enable_user("alice").unwrap();
    assert!(alice.keys().is_empty(), "it has to log in");
    let again = instance.login_user("alice", Some("secret")).unwrap();
    assert_eq!(again.default_key(), key);
    assert!(matches!(instance.disable_user("bob"), Err(UserError::Unknown { .. })));
}

#[test]
fn a_deleted_user_is_gone_with_keys_and_preferences() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(dir.path());
    let alice = instance.create_user("alice", Some("secret")).unwrap();
    let room = alice.create_database(demo()).unwrap();
    let (id, key) = (room.id(), alice.default_key());
    drop(room);
    let wrong = instance.delete_user("alice", Some("wrong"));
    assert!(matches!(wrong, Err(UserError::WrongPassword { .. })));
    instance.delete_user("alice", Some("secret")).unwrap();
    assert!(alice.keys().is_empty() && instance.users().unwrap().is_empty());
    assert!(matches!(alice.add_private_key(None), Err(UserError::Unknown { .. })));
    assert!(alice.add_database(DatabasePreferences::new(id)).is_err());
    assert!(instance.unlocked_keys().is_empty());
    let unknown = login(&instance, "alice", Some("secret"));
    assert!(matches!(unknown, Err(UserError::Unknown { .. })));
    assert!(!instance.sync_settings(&id).unwrap().sync_enabled, "nobody wants it any more");
    let again = instance.create_user("alice", None).unwrap();
    assert_ne!(again.default_key(), key);
    assert!(again.databases().unwrap().is_empty());
    assert_eq!(alice.keys().len(), 0, "the old handle is of the old user");
    assert!(instance.verify().unwrap().is_sound());
    drop((again, alice, instance));
    assert_eq!(open(dir.path()).login_user("alice", None).unwrap().keys().len(), 1);
}

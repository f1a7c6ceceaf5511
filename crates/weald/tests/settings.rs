//! Settings: granting, limiting, leaving; what is refused before it does harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{message, texts};
use weald::{
    Action, CommitError, Database, DatabaseSettings, Error, Instance, Level, SettingsError,
    Subject, User,
};

/// One instance with these users, and a database of the first one's.
fn people<const N: usize>(names: [&str; N]) -> (Instance, [User; N], Database) {
    let instance = Instance::in_memory().unwrap();
    let users = names.map(|name| instance.create_user(name, None).unwrap());
    let database = users[0].create_database(DatabaseSettings::named("Demo")).unwrap();
    (instance, users, database)
}

fn key(user: &User) -> Subject {
    Subject::Key(user.default_key())
}

fn by(user: &User, database: &Database) -> Database {
    user.open_database(&database.id()).unwrap()
}

fn level_of(database: &Database, user: &User) -> Option<Level> {
    database.settings().permission_of(&user.default_key()).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> SettingsError {
    match result {
        Err(Error::Settings(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn can_write(database: &Database) -> bool {
    match database.write(|tx| Ok(tx.log("messages")?.push(&message("x"))?)) {
        Ok(_) => true,
        Err(Error::Commit(CommitError::NotPermitted { .. })) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn name_description_and_settings_are_read_as_they_were_set_last() {
    let (_instance, _, room) = people(["alice"]);
    let settings = room.settings();
    assert_eq!(settings.description().unwrap(), None);
    let receipt = settings.set_description("where we talk").unwrap();
    assert!(room.contains(&receipt.entry.unwrap()).unwrap());
    settings.set("topic", "tea").unwrap();
    settings.set("topic", "cake").unwrap();
    assert_eq!(settings.description().unwrap().as_deref(), Some("where we talk"));
    let all = settings.all().unwrap();
    let all: Vec<_> = all.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [("description", "where we talk"), ("name", "Demo"), ("topic", "cake")];
    assert_eq!(all, expected);
    let long = refused(settings.set("x", &"y".repeat(10_000_000)));
    assert!(matches!(long, SettingsError::Operations(_)), "{long}");
}

#[test]
fn p49_what_is_granted_can_be_taken_and_given_again() {
    let (_instance, [alice, bob], room) = people(["alice", "bob"]);
    let his = by(&bob, &room);
    assert!(!can_write(&his) && !room.can(&bob.default_key(), Action::Read).unwrap());
    room.settings().grant(key(&bob), Level::Write(10), Some("Bob")).unwrap();
    assert!(can_write(&his) && room.can(&bob.default_key(), Action::Write).unwrap());
    assert_eq!(his.my_permission().unwrap(), Some(Level::Write(10)));
    let told = room.settings().preview_limit(key(&bob), Some(Level::Read)).unwrap();
    assert_eq!((told.entries_hidden, told.entries_shown), (0, 0));
    assert_eq!(told.members.len(), 1);
    assert_eq!(told.members[0].name.as_deref(), Some("Bob"));
    assert_eq!(told.members[0].before, Some(Level::Write(10)));
    assert_eq!(told.members[0].after, Some(Level::Read));
    assert_eq!(level_of(&room, &bob), Some(Level::Write(10)), "a preview changes nothing");
    let receipt = room.settings().limit(key(&bob), Some(Level::Read)).unwrap();
    assert_eq!((receipt.appeared, receipt.vanished), (0, 0));
    assert!(!can_write(&his) && room.can(&bob.default_key(), Action::Read).unwrap());
    let revoked = room.settings().revoke(key(&bob)).unwrap();
    assert_eq!(level_of(&room, &bob), None);
    let limits = room.settings().limits_on(&bob.default_key()).unwrap();
    assert!(limits.iter().any(|limit| Some(limit.entry) == revoked.entry && limit.to.is_none()));
    assert!(limits.iter().all(|limit| limit.by == alice.default_key()));
    assert_eq!(room.settings().members().unwrap().len(), 1);
    assert_eq!(texts(&room).len(), 1, "what he wrote before stays");
    room.settings().grant(key(&bob), Level::Write(20), Some("Bob again")).unwrap();
    assert!(can_write(&his));
    let members = room.settings().members().unwrap();
    let granter = members.iter().find(|member| member.subject == key(&bob)).unwrap().granted_by;
    assert_eq!(granter, alice.default_key());
}

#[test]
fn the_last_administrator_cannot_leave_nor_step_down() {
    let (_instance, [alice, bob], room) = people(["alice", "bob"]);
    let settings = room.settings();
    assert!(matches!(refused(settings.leave()), SettingsError::LastAdministrator));
    let stepped = settings.limit(key(&alice), Some(Level::Write(0)));
    assert!(matches!(refused(stepped), SettingsError::LastAdministrator));
    settings.grant(key(&bob), Level::Write(0), None).unwrap();
    assert!(matches!(refused(settings.leave()), SettingsError::LastAdministrator));
    // An administrator for an hour is not one to leave a database to.
    let soon = u64::try_from(now_millis() + 3_600_000).unwrap();
    settings.grant_until(key(&bob), Level::Admin(5), None, soon).unwrap();
    assert!(matches!(refused(settings.leave()), SettingsError::LastAdministrator));
    settings.grant(key(&bob), Level::Admin(5), None).unwrap();
    settings.leave().unwrap();
    assert_eq!(level_of(&room, &alice), None);
    assert!(matches!(refused(settings.leave()), SettingsError::NotAMember { .. }));
    assert!(!can_write(&room));
    let his = by(&bob, &room);
    assert!(matches!(refused(his.settings().leave()), SettingsError::LastAdministrator));
}

#[test]
fn of_two_administrators_of_one_instance_who_leave_at_once_one_stays() {
    let (_instance, [alice, bob], room) = people(["alice", "bob"]);
    room.settings().grant(key(&bob), Level::Admin(0), None).unwrap();
    let his = by(&bob, &room);
    let left = std::thread::scope(|scope| {
        let leaving = [&room, &his].map(|one| scope.spawn(|| one.settings().leave().is_ok()));
        leaving.map(|thread| thread.join().unwrap())
    });
    assert_eq!(left.iter().filter(|left| **left).count(), 1, "{left:?}");
    assert_ne!(level_of(&room, &alice).is_some(), level_of(&room, &bob).is_some());
}

#[test]
fn p50_nobody_gives_or_takes_more_than_its_rank_allows() {
    let (_instance, [alice, bob, carol], room) = people(["alice", "bob", "carol"]);
    room.settings().grant(key(&bob), Level::Admin(5), Some("Bob")).unwrap();
    let his = by(&bob, &room).settings();
    let above = refused(his.grant(key(&carol), Level::Write(2), None));
    let SettingsError::AboveOwnRank { wanted: Level::Write(2), held: Level::Admin(5) } = above
    else {
        panic!("{above}")
    };
    let everybody = refused(his.grant_anyone(Level::Admin(9)));
    assert!(matches!(everybody, SettingsError::AdminForAnyone { .. }));
    let ended = refused(his.grant_until(key(&carol), Level::Read, None, 5));
    assert!(matches!(ended, SettingsError::AlreadyEnded { expires: 5 }));
    let upwards = refused(his.revoke(key(&alice)));
    assert!(matches!(upwards, SettingsError::OutranksNobody { .. }), "{upwards}");
    let stranger = refused(his.revoke(key(&carol)));
    assert!(matches!(stranger, SettingsError::NotAMember { .. }), "{stranger}");
    // What the stronger has revoked the weaker cannot give.
    room.settings().grant(key(&carol), Level::Write(7), None).unwrap();
    let revoked = room.settings().revoke(key(&carol)).unwrap().entry.unwrap();
    let again = refused(his.grant(key(&carol), Level::Write(7), None));
    let SettingsError::LimitedByStronger { by: limit, .. } = again else { panic!("{again}") };
    assert_eq!(limit, revoked);
    // What two have given, one cannot take alone.
    room.settings().grant(key(&carol), Level::Read, None).unwrap();
    room.settings().grant(key(&carol), Level::Write(3), None).unwrap();
    his.grant(key(&carol), Level::Write(6), None).unwrap();
    let left = refused(his.limit(key(&carol), Some(Level::Write(9))));
    assert!(matches!(
        left,
        SettingsError::OutranksNobody { .. } | SettingsError::StillHolds { .. }
    ));
    assert_eq!(room.entry_count().unwrap(), 7, "what was refused wrote nothing");
    for error in [left, stranger, upwards] {
        let said = error.to_string();
        assert!(said.contains("ask") || said.contains("look"), "{said}");
    }
}

#[test]
fn a_branch_of_grants_falls_in_one_entry_and_others_stay() {
    let (_instance, [_, bob, carol, dave, erin], room) =
        people(["alice", "bob", "carol", "dave", "erin"]);
    room.settings().grant(key(&bob), Level::Admin(1), Some("Bob")).unwrap();
    room.settings().grant(key(&erin), Level::Write(9), Some("Erin")).unwrap();
    let his = by(&bob, &room).settings();
    his.grant(key(&carol), Level::Admin(2), Some("Carol")).unwrap();
    by(&carol, &room).settings().grant(key(&dave), Level::Write(3), Some("Dave")).unwrap();
    his.grant(key(&erin), Level::Write(20), None).unwrap();
    let count = room.entry_count().unwrap();
    let told = room.settings().preview_revoke_with_granted(key(&bob)).unwrap();
    let mut names: Vec<_> = told.members.iter().filter_map(|one| one.name.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Bob", "Carol", "Dave"]);
    room.settings().revoke_with_granted(key(&bob)).unwrap();
    assert_eq!(room.entry_count().unwrap(), count + 1);
    assert_eq!([&bob, &carol, &dave].map(|user| level_of(&room, user)), [None; 3]);
    assert_eq!(level_of(&room, &erin), Some(Level::Write(9)));
}

#[test]
fn revoking_somebody_leaves_those_it_has_let_in() {
    let (_instance, [_, bob, carol], room) = people(["alice", "bob", "carol"]);
    room.settings().grant(key(&bob), Level::Admin(1), None).unwrap();
    by(&bob, &room).settings().grant(key(&carol), Level::Write(3), None).unwrap();
    room.settings().revoke(key(&bob)).unwrap();
    assert_eq!(level_of(&room, &carol), Some(Level::Write(3)));
}

#[test]
fn what_anyone_may_do_is_set_up_and_down() {
    let (_instance, [_, bob, carol], room) = people(["alice", "bob", "carol"]);
    let settings = room.settings();
    let his = by(&carol, &room);
    assert_eq!(settings.set_anyone(None).unwrap().entry, None, "there is nothing to change");
    for level in [
        Some(Level::Read),
        Some(Level::Write(10)),
        Some(Level::Write(20)),
        Some(Level::Write(5)),
        Some(Level::Read),
        None,
        Some(Level::Write(7)),
        Some(Level::Write(7)),
    ] {
        let before = settings.anyone().unwrap();
        let receipt = settings.set_anyone(level).unwrap();
        assert_eq!(settings.anyone().unwrap(), level);
        assert_eq!(receipt.entry.is_none(), before == level, "{level:?}");
        assert_eq!(can_write(&his), matches!(level, Some(Level::Write(_))));
    }
    settings.grant(key(&bob), Level::Admin(8), None).unwrap();
    let weaker = refused(by(&bob, &room).settings().set_anyone(None));
    assert!(matches!(weaker, SettingsError::OutranksNobody { .. }), "{weaker}");
    let raised = refused(by(&bob, &room).settings().set_anyone(Some(Level::Write(2))));
    assert!(matches!(raised, SettingsError::AboveOwnRank { .. }), "{raised}");
    // One of everybody can be kept out.
    settings.revoke(key(&carol)).unwrap();
    assert!(!can_write(&his));
    assert_eq!(settings.anyone().unwrap(), Some(Level::Write(7)));
}

#[test]
fn a_device_key_is_as_strong_and_can_be_taken_back_when_it_is_lost() {
    let (_instance, [alice, phone, bob], room) = people(["alice", "phone", "bob"]);
    room.settings().grant_device(phone.default_key(), Some("alice's phone")).unwrap();
    let lost = by(&phone, &room);
    assert_eq!(lost.my_permission().unwrap(), Some(Level::Admin(0)));
    lost.settings().grant(key(&bob), Level::Write(1), None).unwrap();
    let upwards = refused(lost.settings().revoke(key(&alice)));
    assert!(matches!(upwards, SettingsError::OutranksNobody { .. }));
    let members = room.settings().members().unwrap();
    let device = members.iter().find(|member| member.subject == key(&phone)).unwrap();
    assert_eq!(device.granted_by, alice.default_key());
    room.settings().revoke(key(&phone)).unwrap();
    assert!(!can_write(&lost));
    assert_eq!(level_of(&room, &bob), Some(Level::Write(1)), "what it saw stays");
    let writer = by(&bob, &room).settings().grant_device(phone.default_key(), None);
    assert!(matches!(writer, Err(Error::Commit(CommitError::NotPermitted { .. }))), "{writer:?}");
}

#[test]
fn a_device_key_of_an_administrator_for_a_while_ends_with_it() {
    let (_instance, [_, bob, phone], room) = people(["alice", "bob", "phone"]);
    let soon = u64::try_from(now_millis()).unwrap() + 3_600_000;
    room.settings().grant(key(&bob), Level::Admin(8), None).unwrap();
    room.settings().grant_until(key(&bob), Level::Admin(5), None, soon).unwrap();
    by(&bob, &room).settings().grant_device(phone.default_key(), Some("bob's phone")).unwrap();
    let members = room.settings().members().unwrap();
    let device = members.iter().find(|member| member.subject == key(&phone)).unwrap();
    assert_eq!((device.level, device.expires), (Level::Admin(5), Some(soon)));
    // What lasts of it is handed on, too.
    room.settings().limit(key(&phone), Some(Level::Admin(8))).unwrap();
    assert_eq!(level_of(&room, &phone), Some(Level::Admin(8)));
}

#[test]
fn what_has_ended_can_be_taken_so_that_no_earlier_time_uses_it() {
    let (_instance, [_, bob, carol], room) = people(["alice", "bob", "carol"]);
    room.settings().grant(key(&bob), Level::Admin(5), None).unwrap();
    let his = by(&bob, &room).settings();
    let end = u64::try_from(now_millis()).unwrap() + 300;
    his.grant_until(key(&carol), Level::Write(9), None, end).unwrap();
    room.settings().revoke(key(&bob)).unwrap();
    while u64::try_from(now_millis()).unwrap() <= end {
        std::thread::yield_now();
    }
    assert_eq!(level_of(&room, &carol), None);
    room.settings().revoke(key(&carol)).unwrap();
    let again = refused(room.settings().revoke(key(&carol)));
    assert!(matches!(again, SettingsError::NotAMember { .. }), "{again}");
}

#[test]
fn a_limit_that_would_leave_a_stronger_one_all_it_has_is_refused_too() {
    let (_instance, [alice, bob], room) = people(["alice", "bob"]);
    room.settings().grant(key(&bob), Level::Admin(5), None).unwrap();
    let vain = refused(by(&bob, &room).settings().limit(key(&alice), Some(Level::Admin(0))));
    assert!(matches!(vain, SettingsError::OutranksNobody { .. }), "{vain}");
}

#[test]
fn what_anyone_may_for_a_while_is_set_for_good() {
    let (_instance, [_, bob], room) = people(["alice", "bob"]);
    let settings = room.settings();
    let soon = u64::try_from(now_millis()).unwrap() + 300;
    settings.grant_until(Subject::Anyone, Level::Write(10), None, soon).unwrap();
    assert!(settings.set_anyone(Some(Level::Write(10))).unwrap().entry.is_some());
    assert!(settings.set_anyone(Some(Level::Write(10))).unwrap().entry.is_none());
    while u64::try_from(now_millis()).unwrap() <= soon {
        std::thread::yield_now();
    }
    assert_eq!(settings.anyone().unwrap(), Some(Level::Write(10)));
    // What a stronger one has taken from everybody a weaker one cannot give, and is told why.
    settings.grant(key(&bob), Level::Admin(5), None).unwrap();
    let taken = settings.set_anyone(None).unwrap().entry;
    let vain = refused(by(&bob, &room).settings().set_anyone(Some(Level::Write(12))));
    let SettingsError::LimitedByStronger { subject: Subject::Anyone, by } = vain else {
        panic!("{vain}")
    };
    assert_eq!(Some(by), taken);
}

#[test]
fn why_somebody_may_not_do_something_is_told_in_words() {
    let (_instance, [alice, bob, carol], room) = people(["alice", "bob", "carol"]);
    let why = |user: &User, action| {
        room.why_not(&user.default_key(), action).unwrap().map(|why| why.to_string())
    };
    assert_eq!(why(&alice, Action::Administer), None);
    let stranger = why(&bob, Action::Read).unwrap();
    assert!(
        stranger.contains(&bob.default_key().short()) && stranger.contains("ask"),
        "{stranger}"
    );
    room.settings().grant(key(&bob), Level::Read, Some("Bob")).unwrap();
    assert_eq!(why(&bob, Action::Read), None);
    let weak = why(&bob, Action::Write).unwrap();
    assert!(weak.contains("Bob") && weak.contains("holds Read"), "{weak}");
    let revoked = room.settings().revoke(key(&bob)).unwrap().entry.unwrap();
    for action in [Action::Read, Action::Write, Action::Administer] {
        if action == Action::Read {
            let said = why(&bob, action).unwrap();
            let expected = ["Bob", &revoked.short(), "of alice", "grant"];
            assert!(expected.iter().all(|part| said.contains(part)), "{said}");
        }
        assert!(why(&bob, action).is_some());
    }
    assert!(why(&carol, Action::Write).unwrap().contains("writing needs Write"));
}

fn now_millis() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

//! Settings that change on devices apart: what vanishes and comes back, who is told, what is due.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Instant;

use common::{DEADLINE, Message, bring, message, push, texts};
use weald::{
    Action, AuthRefusal, ChangeKind, CommitError, Database, DatabaseError, DatabaseSettings, Error,
    Event, Filter, Instance, KeyPhrase, Level, Parcel, PublicKey, Reason, SettingsError,
    SettingsOperation, Subject, User, Verdict,
};
use weald_auth::encode_operations;
use weald_dag::{Clock, EntryId, Fields, SecretKey, Section, Time, Verified};

/// A device with one user.
struct Device {
    instance: Instance,
    user: User,
}

fn device(name: &str) -> Device {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user(name, None).unwrap();
    Device { instance, user }
}

impl Device {
    fn subject(&self) -> Subject {
        Subject::Key(self.user.default_key())
    }

    /// Takes all of a database, and opens it.
    fn join(&self, from: &Database) -> Database {
        bring(from, &self.instance);
        self.instance.mark_complete(from.id()).unwrap();
        self.user.open_database(&from.id()).unwrap()
    }
}

/// Alice's database, and Bob's copy in which he may write.
fn alice_and_bob() -> ((Device, Database), (Device, Database)) {
    let (alice, bob) = (device("alice"), device("bob"));
    let room = alice.user.create_database(DatabaseSettings::named("Demo")).unwrap();
    room.settings().grant(bob.subject(), Level::Write(10), Some("Bob")).unwrap();
    push(&room, "hello");
    let his = bob.join(&room);
    ((alice, room), (bob, his))
}

fn exchange(one: (&Device, &Database), other: (&Device, &Database)) {
    bring(one.1, &other.0.instance);
    bring(other.1, &one.0.instance);
}

fn assert_equal(one: &Database, other: &Database) {
    assert_eq!(one.tips().unwrap(), other.tips().unwrap());
    assert_eq!(one.state_digest().unwrap(), other.state_digest().unwrap());
    assert_eq!(one.entry_count().unwrap(), other.entry_count().unwrap());
}

fn events_of(watch: &mut weald::Watch, end: &Database) -> Vec<Event> {
    // What was committed before is told before this.
    let last = end.settings().set("end", "of the test").unwrap().entry.unwrap();
    let mut events = Vec::new();
    loop {
        match watch.recv_timeout(DEADLINE).unwrap() {
            Event::Settings { entry, .. } | Event::Entry { entry, .. } if entry == last => {
                return events;
            }
            event => events.push(event),
        }
    }
}

#[test]
fn p50_what_was_written_beside_a_revocation_is_hidden_and_told_with_the_reason() {
    let ((alice, room), (bob, his)) = alice_and_bob();
    for number in 0..3 {
        push(&his, &format!("beside {number}"));
    }
    let beside = his.tips().unwrap();
    let revoked = room.settings().revoke(bob.subject()).unwrap().entry.unwrap();
    let (mut hers, mut rows) = (room.watch(Filter::all()), his.watch(Filter::all().values()));
    let mut store = his.watch(Filter::all().store("messages").kind(ChangeKind::Removed));
    let mut entries = his.watch(Filter::all().entries());
    exchange((&alice, &room), (&bob, &his));
    assert_equal(&room, &his);
    assert_eq!((texts(&room), texts(&his)), (vec!["hello".to_owned()], vec!["hello".to_owned()]));
    assert_eq!(
        room.parcels(0, usize::MAX).unwrap().len(),
        his.parcels(0, usize::MAX).unwrap().len()
    );
    assert!(!his.contains(&beside[0]).unwrap() && his.contains(&revoked).unwrap());
    // Alice has never seen them, so there is nothing to tell her.
    assert!(events_of(&mut hers, &room).is_empty());
    let Event::Settings { entry, .. } = rows.recv_timeout(DEADLINE).unwrap() else { panic!() };
    assert_eq!(entry, revoked);
    let shifted = rows.recv_timeout(DEADLINE).unwrap();
    let Event::Shifted { by, author, appeared: 0, vanished: 3, authors, changes, .. } = shifted
    else {
        panic!("{shifted:?}")
    };
    assert_eq!((by, author), (revoked, alice.user.default_key()));
    assert_eq!((authors, changes), (vec![bob.user.default_key()], Vec::new()));
    for _ in 0..3 {
        let event = rows.recv_timeout(DEADLINE).unwrap();
        let Event::Changed { kind: ChangeKind::Removed, entry, old, new, shifted: true, .. } =
            event
        else {
            panic!("{event:?}")
        };
        assert_eq!((entry, old.is_some(), new), (revoked, true, None));
        assert!(matches!(store.recv_timeout(DEADLINE), Some(Event::Changed { shifted: true, .. })));
    }
    assert!(matches!(entries.recv_timeout(DEADLINE), Some(Event::Entry { settings: true, .. })));
    let event = entries.recv_timeout(DEADLINE).unwrap();
    let Event::Shifted { vanished: 3, changes, .. } = event else { panic!("{event:?}") };
    assert_eq!(changes.len(), 3);

    let why = his.why_hidden(&beside[0]).unwrap().unwrap();
    assert!(matches!(why.reason, Reason::Hidden(AuthRefusal::Limited { .. })), "{why:?}");
    let said = why.to_string();
    let expected =
        [&beside[0].short(), "of Bob", "is hidden", &revoked.short(), "of alice", "grant"];
    assert!(expected.iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(his.why_hidden(&revoked).unwrap(), None);
    let unknown = his.why_hidden(&EntryId::from_bytes([7; 32]));
    assert!(matches!(unknown, Err(DatabaseError::UnknownEntry { .. })));

    let records: Vec<_> = his.audit().map(Result::unwrap).collect();
    let hidden: Vec<_> = records.iter().filter(|record| !record.is_visible).collect();
    assert_eq!(hidden.len(), 3, "an audit tells of what is hidden");
    assert!(hidden.iter().all(|record| record.hidden.as_ref().unwrap().by == Some(author)));
    assert_eq!(his.history().unwrap().count(), 1, "history does not");
    let refused = his.write(|tx| Ok(tx.log("messages")?.push(&message("after"))?));
    assert!(matches!(refused, Err(Error::Commit(CommitError::NotPermitted { .. }))), "{refused:?}");
}

#[test]
fn a_stronger_administrator_brings_back_what_a_weaker_one_hid() {
    let ((alice, room), (bob, his)) = alice_and_bob();
    let carol = device("carol");
    room.settings().grant(carol.subject(), Level::Admin(20), Some("Carol")).unwrap();
    room.settings().grant(bob.subject(), Level::Write(30), None).unwrap();
    room.settings().limit(bob.subject(), Some(Level::Write(30))).unwrap();
    let hers = carol.join(&room);
    bring(&room, &bob.instance);
    hers.settings().revoke(bob.subject()).unwrap();
    push(&his, "beside");
    exchange((&carol, &hers), (&bob, &his));
    assert_eq!(texts(&his), ["hello"]);
    // Alice, who has heard of nothing, limits Carol: what Carol did beside that does not count.
    room.settings().revoke(carol.subject()).unwrap();
    let mut watch = his.watch(Filter::all());
    let mut by_author = his.watch(Filter::all().author(bob.user.default_key()).store("messages"));
    bring(&room, &bob.instance);
    assert_eq!(texts(&his), ["hello", "beside"]);
    let (appeared, vanished, authors) = loop {
        let event = watch.recv_timeout(DEADLINE).unwrap();
        if let Event::Shifted { appeared, vanished, authors, .. } = event {
            break (appeared, vanished, authors);
        }
    };
    assert_eq!((appeared, vanished), (1, 1), "Bob's comes back and Carol's goes");
    assert!(authors.contains(&bob.user.default_key()));
    let created = by_author.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(created, Event::Changed { kind: ChangeKind::Created, shifted: true, .. }));
    bring(&his, &alice.instance);
    bring(&his, &carol.instance);
    bring(&room, &carol.instance);
    assert_equal(&room, &his);
    assert_equal(&room, &hers);
    assert_eq!(texts(&hers), ["hello", "beside"]);
}

#[test]
fn a_stronger_administrator_takes_back_a_limit_that_it_has_heard_of() {
    let ((alice, room), (bob, his)) = alice_and_bob();
    let carol = device("carol");
    room.settings().grant(carol.subject(), Level::Admin(20), Some("Carol")).unwrap();
    room.settings().grant(bob.subject(), Level::Write(30), None).unwrap();
    room.settings().limit(bob.subject(), Some(Level::Write(30))).unwrap();
    let hers = carol.join(&room);
    bring(&room, &bob.instance);
    let bad = hers.settings().revoke(bob.subject()).unwrap().entry.unwrap();
    push(&hers, "Carol writes on");
    push(&his, "beside");
    // Alice hears of both before Bob hears of the revocation: who hides an entry does not send it.
    bring(&hers, &alice.instance);
    bring(&his, &alice.instance);
    exchange((&carol, &hers), (&bob, &his));
    push(&room, "on top of all that");
    assert_eq!(texts(&room), ["hello", "Carol writes on", "on top of all that"]);

    let settings = room.settings();
    let refused = settings.take_back(&bad, Some(Level::Admin(30))).unwrap_err();
    assert!(matches!(refused, Error::Settings(SettingsError::StillAdministrator { .. })));
    let other = settings.set("topic", "limits").unwrap().entry.unwrap();
    let refused = settings.take_back(&other, None).unwrap_err();
    assert!(matches!(refused, Error::Settings(SettingsError::NotALimit { .. })), "{refused}");
    let refused = hers.settings().take_back(&bad, None).unwrap_err();
    assert!(matches!(refused, Error::Settings(SettingsError::OutranksNobody { .. })), "{refused}");

    let receipt = settings.take_back(&bad, Some(Level::Write(20))).unwrap();
    assert_eq!((receipt.appeared, receipt.vanished), (1, 1), "Bob's comes back, the limit goes");
    let mut shown = texts(&room);
    shown.sort();
    assert_eq!(shown, ["Carol writes on", "beside", "hello", "on top of all that"]);
    bring(&room, &bob.instance);
    bring(&room, &carol.instance);
    assert_equal(&room, &his);
    assert_equal(&room, &hers);
    push(&his, "Bob again");
    assert_eq!(hers.my_permission().unwrap(), Some(Level::Write(20)));
    settings.grant(carol.subject(), Level::Admin(20), None).unwrap();
    bring(&room, &carol.instance);
    assert_eq!(hers.my_permission().unwrap(), Some(Level::Admin(20)));
}

#[test]
fn two_administrators_who_leave_apart_leave_nobody_and_the_recovery_key_helps() {
    let (alice, bob, carol) = (device("alice"), device("bob"), device("carol"));
    let settings = DatabaseSettings::named("Demo");
    let (room, recovery) = alice.user.create_database_with_recovery(settings).unwrap();
    room.settings().grant(bob.subject(), Level::Admin(0), None).unwrap();
    let his = bob.join(&room);
    his.settings().leave().unwrap();
    room.settings().leave().unwrap();
    exchange((&alice, &room), (&bob, &his));
    assert_equal(&room, &his);
    assert_eq!((room.my_permission().unwrap(), his.my_permission().unwrap()), (None, None));
    let here = carol.join(&room);
    assert!(here.settings().set("name", "Mine").is_err());
    // On paper it is words; they are read back as the same key.
    let paper = recovery.words();
    let recovery: KeyPhrase = paper.parse().unwrap();
    let recovered = carol.user.recover_database(&room.id(), &recovery, &[]).unwrap();
    assert_eq!(recovered.my_permission().unwrap(), Some(Level::Admin(0)));
    // Alice has left as somebody stronger than Carol is: only the recovery key brings her back.
    let vain = recovered.settings().grant(alice.subject(), Level::Admin(1), None);
    assert!(matches!(vain, Err(Error::Settings(SettingsError::LimitedByStronger { .. }))));
    bring(&recovered, &alice.instance);
    alice.user.recover_database(&room.id(), &recovery, &[]).unwrap();
    assert_eq!(room.my_permission().unwrap(), Some(Level::Admin(0)));
}

#[test]
fn a_stolen_creator_key_loses_to_the_recovery_key() {
    let (alice, thief, new) = (device("alice"), device("mallory"), device("alice again"));
    let settings = DatabaseSettings::named("Demo");
    let (room, recovery) = alice.user.create_database_with_recovery(settings).unwrap();
    push(&room, "hello");
    let hers = new.join(&room);
    // The thief has the device, and with it the creator's key.
    let stolen = alice.user.default_key();
    room.settings().grant(thief.subject(), Level::Admin(0), None).unwrap();
    push(&room, "by the thief");
    let vain = room.settings().revoke(Subject::Key(recovery.public()));
    assert!(matches!(vain, Err(Error::Settings(SettingsError::OutranksNobody { .. }))), "{vain:?}");
    let left = room.settings().preview_limit(Subject::Key(stolen), None).unwrap();
    assert_eq!(left.members[0].after, None);

    let own = new.user.recover_database(&room.id(), &recovery, &[new.user.default_key()]);
    assert!(matches!(own, Err(Error::Settings(SettingsError::StolenKey { .. }))), "{own:?}");
    let wrong = new.user.create_database_with_recovery(DatabaseSettings::named("Other")).unwrap().1;
    let wrong = new.user.recover_database(&room.id(), &wrong, &[]);
    assert!(matches!(wrong, Err(Error::Settings(SettingsError::NotTheRecoveryKey { .. }))));
    let away = thief.user.recover_database(&room.id(), &recovery, &[]);
    assert!(matches!(away, Err(Error::Database(DatabaseError::NotHere { .. }))), "{away:?}");

    let recovered = new.user.recover_database(&room.id(), &recovery, &[stolen]).unwrap();
    assert_eq!(recovered.my_permission().unwrap(), Some(Level::Admin(0)));
    exchange((&alice, &room), (&new, &hers));
    assert_equal(&room, &hers);
    assert_eq!(
        texts(&room),
        ["hello"],
        "what the thief wrote beside is gone on its own device too"
    );
    assert_eq!(room.my_permission().unwrap(), None);
    assert_eq!(hers.settings().permission_of(&thief.user.default_key()).unwrap(), None);
    let again = room.settings().grant(thief.subject(), Level::Read, None);
    assert!(matches!(again, Err(Error::Commit(CommitError::NotPermitted { .. }))), "{again:?}");
}

#[test]
fn who_was_granted_by_an_entry_that_is_hidden_is_told_which() {
    let ((alice, room), (bob, his)) = alice_and_bob();
    room.settings().grant(bob.subject(), Level::Admin(5), Some("Bob")).unwrap();
    bring(&room, &bob.instance);
    room.settings().revoke(bob.subject()).unwrap();
    let carol = device("carol");
    let granted = his.settings().grant(carol.subject(), Level::Write(9), Some("Carol")).unwrap();
    let hers = carol.join(&his);
    push(&hers, "by Carol");
    let last = hers.tips().unwrap()[0];
    bring(&hers, &alice.instance);
    exchange((&alice, &room), (&bob, &his));
    bring(&room, &carol.instance);
    assert_equal(&room, &his);
    assert_equal(&room, &hers);
    let said = hers.why_hidden(&last).unwrap().unwrap().to_string();
    let by = granted.entry.unwrap().short();
    assert!(said.contains(&by) && said.contains("of Bob") && said.contains("ask"), "{said}");
    let said = hers.why_hidden(&granted.entry.unwrap()).unwrap().unwrap().to_string();
    assert!(said.contains("of alice") && said.contains("Bob"), "{said}");
    assert!(hers.why_not(&carol.user.default_key(), Action::Write).unwrap().is_some());
}

#[cfg(feature = "text")]
#[test]
fn a_text_that_is_kept_in_memory_loses_and_regains_what_is_hidden_and_shown() {
    let ((alice, room), (bob, his)) = alice_and_bob();
    let carol = device("carol");
    room.settings().grant(carol.subject(), Level::Admin(5), Some("Carol")).unwrap();
    room.write(|tx| Ok(tx.text("page")?.push("Hello")?)).unwrap();
    bring(&room, &bob.instance);
    let hers = carol.join(&room);
    hers.settings().revoke(bob.subject()).unwrap();
    his.write(|tx| Ok(tx.text("page")?.push(", world")?)).unwrap();
    let read = |of: &Database| of.text("page").unwrap().read().unwrap();
    assert_eq!(read(&his), "Hello, world");
    bring(&hers, &bob.instance);
    assert_eq!(read(&his), "Hello");
    room.settings().revoke(carol.subject()).unwrap();
    exchange((&alice, &room), (&bob, &his));
    assert_eq!((read(&room), read(&his)), ("Hello, world".to_owned(), "Hello, world".to_owned()));
    room.write(|tx| Ok(tx.text("page")?.push("!")?)).unwrap();
    bring(&room, &bob.instance);
    assert_eq!(read(&his), "Hello, world!");
    assert_equal(&room, &his);
}

/// An entry of a key that no instance holds, on top of what a database says.
fn crafted(
    on: &Database,
    parents: Option<Vec<EntryId>>,
    key: &SecretKey,
    seq: u64,
    says: &[SettingsOperation],
) -> Parcel {
    let mut parents = parents.unwrap_or_else(|| on.tips().unwrap());
    parents.sort_unstable();
    let times = parents.iter().map(|parent| on.time_of(parent).unwrap().unwrap());
    let after = times.max().unwrap_or(Time::ZERO);
    let time = Clock::after(after).tick(now_millis(), after).unwrap();
    let payload = encode_operations(says).unwrap();
    let sections = vec![Section::of("_settings", &payload)];
    let fields = Fields { parents, time, author: key.public(), seq, sections, nonce: None };
    Verified::sign(fields, vec![payload], key).unwrap().into_parcel()
}

fn now_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn grant(key: PublicKey, level: Level) -> SettingsOperation {
    SettingsOperation::Grant { subject: Subject::Key(key), level, name: None, expires: None }
}

/// Waits until a limit on a key is there, and returns who has made it.
fn limited(database: &Database, key: &PublicKey) -> Vec<PublicKey> {
    let begun = Instant::now();
    loop {
        let limits = database.settings().limits_on(key).unwrap();
        if !limits.is_empty() {
            return limits.into_iter().map(|limit| limit.by).collect();
        }
        assert!(begun.elapsed() < DEADLINE);
        std::thread::yield_now();
    }
}

#[test]
fn the_first_administrator_ends_an_invite_that_is_used_up_and_nobody_does_it_twice() {
    let (alice, bob) = (device("alice"), device("bob"));
    let outside = SecretKey::from_seed(&[3; 32]);
    let invite = SecretKey::from_seed(&[4; 32]);
    let settings = DatabaseSettings::named("Demo").grant(outside.public(), Level::Admin(5), None);
    let (room, recovery) = alice.user.create_database_with_recovery(settings).unwrap();
    room.settings().grant(bob.subject(), Level::Admin(4), None).unwrap();
    let his = bob.join(&room);
    let made = SettingsOperation::Invite {
        key: invite.public(),
        gives: Level::Write(9),
        uses: 1,
        expires: None,
    };
    let made = crafted(&room, None, &outside, 0, &[made]);
    let guest = SecretKey::from_seed(&[5; 32]).public();
    alice.instance.ingest(common::peer(), room.id(), vec![made.clone()]).unwrap();
    assert_eq!(room.settings().invites().unwrap().len(), 1);
    let used = crafted(&room, None, &invite, 0, &[grant(guest, Level::Write(9))]);
    let late = SecretKey::from_seed(&[6; 32]).public();
    let backdated = crafted(&room, None, &invite, 0, &[grant(late, Level::Write(9))]);
    // Bob's device knows that it is used up, and leaves the limit to the first administrator's.
    let count = bob.instance.ingest(common::peer(), room.id(), vec![made, used.clone()]).unwrap();
    assert!(count.iter().all(|(_, verdict)| matches!(verdict, Verdict::Stored(_))));
    bob.user.open_database(&room.id()).unwrap();
    his.settings().set("topic", "tea").unwrap();
    his.settings().set("topic", "cake").unwrap();
    assert!(his.settings().limits_on(&invite.public()).unwrap().is_empty());
    alice.instance.ingest(common::peer(), room.id(), vec![used]).unwrap();
    assert_eq!(limited(&room, &invite.public()), [alice.user.default_key()]);
    assert!(room.settings().invites().unwrap().is_empty());
    for _ in 0..3 {
        exchange((&alice, &room), (&bob, &his));
        alice.user.open_database(&room.id()).unwrap();
        bob.user.open_database(&room.id()).unwrap();
    }
    // What is in the queue is done before this.
    room.settings().set("topic", "end").unwrap();
    his.settings().set("topic", "end").unwrap();
    exchange((&alice, &room), (&bob, &his));
    assert_equal(&room, &his);
    assert_eq!(limited(&his, &invite.public()).len(), 1);
    assert!(room.can(&guest, Action::Write).unwrap());
    // A use of the leaked ticket on the old parents takes no seat any more.
    alice.instance.ingest(common::peer(), room.id(), vec![backdated]).unwrap();
    assert!(!room.can(&late, Action::Read).unwrap() && room.can(&guest, Action::Write).unwrap());
    drop(recovery);
}

#[test]
fn a_grant_that_has_ended_is_limited_and_what_is_left_stays() {
    let ((_alice, room), (bob, _)) = alice_and_bob();
    let settings = room.settings();
    settings.set_anyone(Some(Level::Read)).unwrap();
    let guest = SecretKey::from_seed(&[5; 32]).public();
    let end = now_millis() + 300;
    settings.grant_until(bob.subject(), Level::Write(2), None, end).unwrap();
    settings.grant_until(Subject::Key(guest), Level::Write(2), Some("guest"), end).unwrap();
    while now_millis() <= end {
        std::thread::yield_now();
    }
    settings.set("topic", "tea").unwrap();
    limited(&room, &guest);
    limited(&room, &bob.user.default_key());
    assert_eq!(settings.permission_of(&bob.user.default_key()).unwrap(), Some(Level::Write(10)));
    assert_eq!(settings.permission_of(&guest).unwrap(), Some(Level::Read), "as anyone");
    let count = room.entry_count().unwrap();
    settings.set("topic", "cake").unwrap();
    settings.set("topic", "coffee").unwrap();
    assert_eq!(room.entry_count().unwrap(), count + 2, "once is enough");
}

#[test]
fn what_has_ended_of_an_administrator_keeps_it_from_no_other_limit() {
    let ((_alice, room), (bob, his)) = alice_and_bob();
    let (settings, end) = (room.settings(), now_millis() + 500);
    settings.grant(bob.subject(), Level::Admin(5), Some("Bob")).unwrap();
    settings.grant_until(bob.subject(), Level::Admin(3), None, end).unwrap();
    let guest = SecretKey::from_seed(&[5; 32]).public();
    settings.grant_until(Subject::Key(guest), Level::Write(9), Some("guest"), end).unwrap();
    // Bob is the first administrator once she has left.
    settings.leave().unwrap();
    bring(&room, &bob.instance);
    while now_millis() <= end {
        std::thread::yield_now();
    }
    his.settings().set("topic", "tea").unwrap();
    assert_eq!(limited(&his, &guest), [bob.user.default_key()]);
    assert_eq!(his.my_permission().unwrap(), Some(Level::Admin(5)));
}

#[test]
fn what_is_hidden_is_neither_taken_back_nor_told_and_an_archive_brings_it_to_the_same_end() {
    let ((alice, room), (bob, his)) = alice_and_bob();
    let write = |of: &Database, said: &str| {
        let committed = of.write(|tx| {
            tx.table::<Message>("tasks")?.put("one", &message(said))?;
            tx.log("messages")?.push(&message(said))?;
            tx.doc("notes")?.set(["title"], said)?;
            tx.counter("count")?.add("one", 3)?;
            tx.set::<String>("names")?.add(&said.to_owned())?;
            Ok(())
        });
        committed.unwrap().id.unwrap()
    };
    write(&room, "first");
    bring(&room, &bob.instance);
    let mut archive_before = Vec::new();
    let mut stack = weald::UndoStack::new(&his);
    let beside = write(&his, "beside");
    stack.record("beside", beside).unwrap();
    write(&his, "on top");
    his.export_archive(&mut archive_before).unwrap();
    room.settings().revoke(bob.subject()).unwrap();
    // Who knows of the revocation takes an archive that does not, and the other way round.
    let taken = alice.user.import_archive(archive_before.as_slice()).unwrap();
    assert_eq!((taken.stored, texts(&room)), (2, vec!["hello".to_owned(), "first".to_owned()]));
    let mut archive = Vec::new();
    room.export_archive(&mut archive).unwrap();
    bob.user.import_archive(archive.as_slice()).unwrap();
    assert_equal(&room, &his);
    for one in [&room, &his] {
        assert!(!one.contains(&beside).unwrap() && one.time_of(&beside).unwrap().is_some());
        let told = one.history().unwrap().map(Result::unwrap);
        assert!(told.into_iter().all(|revision| revision.author != bob.user.default_key()));
        let row = one.table::<Message>("tasks").unwrap().history("one").unwrap();
        assert_eq!(row.map(Result::unwrap).count(), 1);
        let past = one.at(&[beside]).unwrap();
        assert_eq!(
            past.table::<Message>("tasks").unwrap().get("one").unwrap(),
            Some(message("first"))
        );
    }
    let digest = room.state_digest().unwrap();
    let reverted = room.revert(beside).unwrap();
    assert_eq!((reverted.entries, room.state_digest().unwrap()), (Vec::new(), digest));
    // Let in again, he takes back nothing of what others do not see.
    room.settings().grant(bob.subject(), Level::Write(10), None).unwrap();
    bring(&room, &bob.instance);
    let undone = stack.undo().unwrap().unwrap();
    assert_eq!(undone.entries, []);
    assert_eq!(his.counter("count").unwrap().value("one").unwrap(), 3);
    exchange((&alice, &room), (&bob, &his));
    assert_equal(&room, &his);
}

#[test]
fn taking_back_locks_nobody_out_of_its_own_database() {
    let ((_alice, room), (bob, his)) = alice_and_bob();
    let settings = room.settings();
    let own = settings.limit(bob.subject(), Some(Level::Read)).unwrap().entry.unwrap();
    let vain = settings.take_back(&own, None);
    assert!(matches!(vain, Err(Error::Settings(SettingsError::OutranksNobody { .. }))), "{vain:?}");
    assert_eq!(room.my_permission().unwrap(), Some(Level::Admin(0)));
    // An administrator for a while does not take the last one that stays.
    let carol = device("carol");
    settings.grant_until(carol.subject(), Level::Admin(1), None, now_millis() + 3_600_000).unwrap();
    settings.grant(bob.subject(), Level::Admin(5), Some("Bob")).unwrap();
    settings.leave().unwrap();
    bring(&room, &bob.instance);
    let limit = his.settings().set_anyone(Some(Level::Read)).unwrap().entry.unwrap();
    let limit = his.settings().set_anyone(None).unwrap().entry.unwrap_or(limit);
    let hers = carol.join(&his);
    let vain = hers.settings().take_back(&limit, None);
    assert!(matches!(vain, Err(Error::Settings(SettingsError::LastAdministrator))), "{vain:?}");
}

#[test]
fn a_refused_entry_is_remembered_with_who_sent_it_and_what_builds_on_it() {
    let ((alice, room), _) = alice_and_bob();
    let stranger = SecretKey::from_seed(&[9; 32]);
    let bad = crafted(&room, None, &stranger, 0, &[grant(stranger.public(), Level::Admin(0))]);
    let first = bad.entry.id();
    let fields = Fields {
        parents: vec![first],
        time: Time::from_millis(now_millis() + 5),
        author: stranger.public(),
        seq: 1,
        sections: vec![Section::of("notes", b"x")],
        nonce: None,
    };
    let after = Verified::sign(fields, vec![b"x".to_vec()], &stranger).unwrap().into_parcel();
    let second = after.entry.id();
    for _ in 0..2 {
        let verdicts =
            alice.instance.ingest(common::peer(), room.id(), vec![bad.clone(), after.clone()]);
        let verdicts = verdicts.unwrap();
        assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Refused(_))));
    }
    let refusals = room.refusals();
    assert_eq!(
        refusals.iter().map(|one| (one.entry, one.times)).collect::<Vec<_>>(),
        [(first, 2), (second, 2)]
    );
    assert!(
        refusals.iter().all(|one| one.author == stranger.public() && one.from == common::peer())
    );
    let said = room.why_refused(&first).unwrap().unwrap().to_string();
    assert!(said.contains("was refused") && said.contains("administrator"), "{said}");
    let said = room.why_refused(&second).unwrap().unwrap().to_string();
    assert!(said.contains(&first.short()) && said.contains("builds on"), "{said}");
    assert_eq!(room.why_refused(&room.tips().unwrap()[0]).unwrap(), None);
}

#[test]
fn an_audit_says_in_words_what_was_changed_in_the_settings() {
    let ((_, room), (bob, _)) = alice_and_bob();
    let settings = room.settings();
    settings.limit(bob.subject(), Some(Level::Read)).unwrap();
    settings.revoke(bob.subject()).unwrap();
    settings.set_anyone(Some(Level::Write(7))).unwrap();
    settings.set("topic", &"tea ".repeat(100)).unwrap();
    let records = room.audit().store("_settings").map(Result::unwrap);
    let said: Vec<_> = records.flat_map(|record| record.stores[0].settings.clone()).collect();
    let short = bob.user.default_key().short();
    let words: Vec<_> = said.iter().map(|said| said.words.as_str()).collect();
    assert!(words[0].starts_with("grants Admin(0) to alice ("), "{words:?}");
    assert_eq!(words[1], "sets \"name\" to \"Demo\"");
    assert_eq!(words[2], format!("grants Write(10) to Bob ({short})"));
    assert_eq!(words[3], format!("leaves Bob ({short}) at most Read"));
    assert_eq!(words[4], format!("takes everything from Bob ({short})"));
    assert_eq!(words[5], "grants Write(7) to anyone");
    assert!(words[6].starts_with("sets \"topic\" to \"tea tea") && words[6].ends_with("…\""));
    let mut lines = Vec::new();
    room.audit().write_json_lines(&mut lines).unwrap();
    assert!(String::from_utf8(lines).unwrap().contains("leaves Bob"));
}

//! Requests for access, over real links: policy, queue, decisions, restarts and floods.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{push, settle, texts, within};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    AccessEvent, AccessOptions, AccessRequest, CommitError, Database, DatabaseError,
    DatabasePreferences, DatabaseSettings, Error, Instance, Level, PeerSync, REQUEST_NAME_MAX,
    REQUESTS_PER_DEVICE_MAX, RequestError, RequestPolicy, RequestRefusal, RequestStatus,
    SettingsError, Subject, SyncError, SyncEvent, SyncSettings, Ticket, User,
};

/// An instance in memory that listens, with one user.
struct Place {
    user: User,
    sync: PeerSync,
}

async fn place(network: &MemoryNetwork, name: &str) -> Place {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user(name, None).unwrap();
    let sync = instance.enable_sync().unwrap();
    sync.register_transport("wires", network.transport(name));
    within("serving", sync.accept_connections()).await.unwrap();
    Place { user, sync }
}

fn private(user: &User) -> Database {
    user.create_database(DatabaseSettings::named("Private")).unwrap()
}

fn wanted(place: &Place, level: Level) -> AccessOptions {
    AccessOptions::new(place.user.default_key(), level).name(place.user.name()).note("please")
}

async fn ask(place: &Place, ticket: &Ticket, level: Level) -> AccessRequest {
    within("asking", place.sync.request_access(ticket, &wanted(place, level))).await.unwrap()
}

/// Waits until a database is here and as expected.
async fn has(place: &Place, database: &Database, expected: &[&str]) -> Database {
    let mut events = place.sync.events();
    within("the bootstrap", async {
        while !place.user.open_database(&database.id()).is_ok_and(|d| d.is_complete().unwrap()) {
            events.next().await.unwrap();
        }
    })
    .await;
    let here = place.user.open_database(&database.id()).unwrap();
    settle(&here, |here| texts(here) == expected).await;
    here
}

#[tokio::test]
async fn p45_p48_a_request_is_queued_compared_approved_and_the_database_comes_by_itself() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let room = private(&alice.user);
    push(&room, "first");
    let requests = alice.sync.requests();
    requests.set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let ticket = alice.sync.ticket(&room);
    let asked = ask(&bob, &ticket, Level::Write(15)).await;
    let pending = requests.pending();
    assert_eq!(pending.len(), 1);
    let request = &pending[0];
    assert_eq!((request.name.as_str(), request.note.as_str()), ("bob", "please"));
    assert_eq!((request.key, request.wanted), (bob.user.default_key(), Level::Write(15)));
    assert_eq!(asked.short_code().as_ref(), Some(&request.short_code), "both see the same");
    assert_eq!(request.id, asked.id());
    assert!(bob.user.open_database(&room.id()).is_err());

    requests.approve(&request.id, None).unwrap();
    assert_eq!(within("the answer", asked.wait()).await.unwrap(), RequestStatus::Approved);
    let at_bob = has(&bob, &room, &["first"]).await;
    push(&at_bob, "hello from bob");
    settle(&room, |room| texts(room).len() == 2).await;
    let members = room.settings().members().unwrap();
    let member = members.iter().find(|m| m.subject == Subject::Key(bob.user.default_key()));
    let member = member.unwrap();
    assert_eq!((member.name.as_deref(), member.level), (Some("bob"), Level::Write(15)));
    assert_eq!((requests.pending().len(), requests.approved().len()), (0, 1));
    let again = requests.approve(&request.id, None);
    assert!(matches!(again, Err(Error::Request(RequestError::Decided { .. }))), "{again:?}");
}

#[tokio::test]
async fn p45_who_has_asked_for_a_database_tracks_it_and_says_how_it_is_synced() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let room = private(&alice.user);
    alice.sync.requests().set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let (key, level) = (bob.user.default_key(), Level::Write(10));
    let asked = bob.sync.sync_with_peer_for_bootstrap("memory:alice", room.id(), key, level);
    let asked = within("asking", asked).await.unwrap();
    let tracked = bob.user.databases().unwrap();
    assert_eq!(
        tracked.iter().map(|of| (of.id, of.complete)).collect::<Vec<_>>(),
        [(room.id(), false)]
    );
    let sync_settings = SyncSettings { interval_seconds: Some(7), ..SyncSettings::default() };
    let wanted = DatabasePreferences { sync_settings, ..DatabasePreferences::new(room.id()) };
    bob.user.set_prefs(wanted.clone()).unwrap();
    alice.sync.requests().approve(&asked.id(), None).unwrap();
    has(&bob, &room, &[]).await;
    assert_eq!(bob.user.database_prefs(&room.id()).unwrap(), Some(wanted), "it stays");
}

#[tokio::test]
async fn p48_who_waits_for_a_request_learns_that_it_was_withdrawn_or_has_expired() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let room = private(&alice.user);
    alice.sync.requests().set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let ticket = alice.sync.ticket(&room);
    let asked = ask(&bob, &ticket, Level::Read).await;
    let waiting = tokio::spawn({
        let asked = asked.clone();
        async move { asked.wait().await }
    });
    asked.withdraw().unwrap();
    let withdrawn = within("waiting", waiting).await.unwrap();
    assert!(
        matches!(withdrawn, Err(Error::Request(RequestError::Unknown { .. }))),
        "{withdrawn:?}"
    );
    let soon = wanted(&bob, Level::Read).expires_in(std::time::Duration::from_secs(2));
    let asked = within("asking", bob.sync.request_access(&ticket, &soon)).await.unwrap();
    assert_eq!(within("waiting", asked.wait()).await.unwrap(), RequestStatus::Expired);
}

#[tokio::test]
async fn p46_requests_are_refused_by_default_as_if_the_database_were_not_there() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let room = private(&alice.user);
    let asked = ask(&bob, &alice.sync.ticket(&room), Level::Read).await;
    assert_eq!(asked.status().unwrap(), RequestStatus::Unavailable);
    let unknown = Ticket::new(bob_of(&bob)).with_address("memory:alice".parse().unwrap());
    let unknown = ask(&bob, &unknown, Level::Read).await;
    assert_eq!(unknown.status().unwrap(), RequestStatus::Unavailable);
    assert!(alice.sync.requests().pending().is_empty());
    // Also one that anyone may read, where the device is told to refuse all.
    let open = DatabaseSettings::named("Open").grant_anyone(Level::Write(10));
    let open = alice.user.create_database(open).unwrap();
    alice.sync.requests().set_policy(open.id(), RequestPolicy::Refuse).unwrap();
    let asked = ask(&bob, &alice.sync.ticket(&open), Level::Read).await;
    assert_eq!(asked.status().unwrap(), RequestStatus::Unavailable);
}

#[tokio::test]
async fn p46_a_database_whose_sync_is_off_answers_as_if_it_were_not_there() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let open = DatabaseSettings::named("Open").grant_anyone(Level::Write(10));
    let room = alice.user.create_database(open).unwrap();
    let requests = alice.sync.requests();
    requests.set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let off = SyncSettings { sync_enabled: false, ..SyncSettings::default() };
    let off = DatabasePreferences { sync_settings: off, ..DatabasePreferences::new(room.id()) };
    alice.user.set_prefs(off).unwrap();
    for level in [Level::Read, Level::Write(1)] {
        let asked = ask(&bob, &alice.sync.ticket(&room), level).await;
        assert_eq!(asked.status().unwrap(), RequestStatus::Unavailable);
    }
    assert!(requests.pending().is_empty());
    alice.user.set_prefs(DatabasePreferences::new(room.id())).unwrap();
    let asked = ask(&bob, &alice.sync.ticket(&room), Level::Read).await;
    assert_eq!(asked.status().unwrap(), RequestStatus::Approved);
}

/// A database that nobody but this place has.
fn bob_of(place: &Place) -> weald::DatabaseId {
    private(&place.user).id()
}

#[tokio::test]
async fn p12_p47_what_anyone_holds_is_approved_at_once_and_not_more() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let open = DatabaseSettings::named("Open").grant_anyone(Level::Write(10));
    let room = alice.user.create_database(open).unwrap();
    push(&room, "first");
    let entries = room.entry_count().unwrap();
    let key = bob.user.default_key();
    let (sync, id) = (&bob.sync, room.id());
    let asked = sync.sync_with_peer_for_bootstrap("memory:alice", id, key, Level::Write(15));
    let asked = within("the bootstrap", asked).await.unwrap();
    assert_eq!(asked.status().unwrap(), RequestStatus::Approved);
    let at_bob = bob.user.open_database(&id).unwrap();
    assert_eq!(texts(&at_bob), ["first"]);
    push(&at_bob, "written at once");
    settle(&room, |room| texts(room).len() == 2).await;
    assert_eq!(room.entry_count().unwrap(), entries + 1, "there was nothing to grant");

    let carol = place(&network, "carol").await;
    let ticket = alice.sync.ticket(&room);
    let stronger = ask(&carol, &ticket, Level::Write(5)).await;
    assert_eq!(stronger.status().unwrap(), RequestStatus::Unavailable);
    alice.sync.requests().set_policy(id, RequestPolicy::Queue).unwrap();
    let stronger = ask(&carol, &ticket, Level::Write(5)).await;
    assert!(matches!(stronger.status().unwrap(), RequestStatus::Pending { .. }));
}

#[tokio::test]
async fn p48_a_rejection_is_told_with_its_reason_and_stands() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let room = private(&alice.user);
    let requests = alice.sync.requests();
    requests.set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let ticket = alice.sync.ticket(&room);
    let asked = ask(&bob, &ticket, Level::Write(15)).await;
    let long = requests.reject(&asked.id(), &"x".repeat(1_000));
    assert!(matches!(long, Err(Error::Request(RequestError::LongReason))), "{long:?}");
    requests.reject(&asked.id(), "I do not know you").unwrap();
    let rejected = RequestStatus::Rejected { reason: "I do not know you".into() };
    assert_eq!(within("the answer", asked.wait()).await.unwrap(), rejected);
    let again = ask(&bob, &ticket, Level::Write(15)).await;
    assert_eq!(again.status().unwrap(), rejected);
    let replaced = asked.status();
    assert!(matches!(replaced, Err(RequestError::Unknown { .. })), "{replaced:?}");
    assert_eq!((requests.pending().len(), requests.rejected().len()), (0, 1));
    assert!(bob.user.open_database(&room.id()).is_err());
    // An administrator who changes its mind grants the key, and both sync at once.
    room.settings().grant(Subject::Key(bob.user.default_key()), Level::Read, None).unwrap();
    has(&bob, &room, &[]).await;
}

#[tokio::test]
async fn p48_only_an_administrator_who_is_strong_enough_approves() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (place(&network, "alice").await, place(&network, "bob").await);
    let carol = place(&network, "carol").await;
    let settings = DatabaseSettings::named("Private");
    let settings = settings.grant(bob.user.default_key(), Level::Admin(5), None);
    let room = alice.user.create_database(settings).unwrap();
    within("joining", bob.sync.join(&bob.user, &alice.sync.ticket(&room))).await.unwrap();
    let at_bob = bob.user.open_database(&room.id()).unwrap();
    let requests = bob.sync.requests();
    requests.set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let ticket = bob.sync.ticket(&at_bob);
    let asked = ask(&carol, &ticket, Level::Write(1)).await;
    let failed = requests.approve(&asked.id(), None);
    assert!(
        matches!(failed, Err(Error::Settings(SettingsError::AboveOwnRank { .. }))),
        "{failed:?}"
    );
    let unknown = requests.approve(&weald::RequestId::of(b"none"), None);
    assert!(matches!(unknown, Err(Error::Request(RequestError::Unknown { .. }))), "{unknown:?}");
    // Less may be given than was asked for.
    requests.approve(&asked.id(), Some(Level::Read)).unwrap();
    assert_eq!(within("the answer", asked.wait()).await.unwrap(), RequestStatus::Approved);
    let at_carol = has(&carol, &room, &[]).await;
    assert_eq!(at_carol.settings().my_permission().unwrap(), Some(Level::Read));
    let written = at_carol.write(|tx| Ok(tx.log("messages")?.push(&1)?));
    assert!(matches!(written, Err(Error::Commit(CommitError::NotPermitted { .. }))));

    // A reader serves too, and nobody at it can decide.
    carol.sync.requests().set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let dan = place(&network, "dan").await;
    let asked = ask(&dan, &carol.sync.ticket(&at_carol), Level::Read).await;
    let failed = carol.sync.requests().approve(&asked.id(), None);
    let none = matches!(failed, Err(Error::Request(RequestError::NoAdministrator { .. })));
    assert!(none, "{failed:?}");
    // It is granted elsewhere, and comes to dan by carol.
    room.settings().grant(Subject::Key(dan.user.default_key()), Level::Read, None).unwrap();
    has(&dan, &room, &[]).await;
}

#[tokio::test]
async fn p45_a_request_and_its_outcome_survive_restarts_of_both_sides() {
    let (at_alice, at_bob) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let http = |sync: &PeerSync, bind: &str| {
        sync.register_transport("web", HttpTransport::builder().bind(bind).build().unwrap());
    };
    let here = Instance::open(at_alice.path()).unwrap();
    let alice = here.create_user("alice", None).unwrap();
    let room = private(&alice);
    push(&room, "first");
    let sync = here.enable_sync().unwrap();
    sync.requests().set_policy(room.id(), RequestPolicy::Queue).unwrap();
    http(&sync, "127.0.0.1:0");
    within("serving", sync.accept_connections()).await.unwrap();
    let (address, ticket, id) = (sync.server_address().unwrap(), sync.ticket(&room), room.id());

    let there = Instance::open(at_bob.path()).unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let bobs = there.enable_sync().unwrap();
    http(&bobs, "127.0.0.1:0");
    let options = AccessOptions::new(bob.default_key(), Level::Write(15)).name("bob");
    let asked = within("asking", bobs.request_access(&ticket, &options)).await.unwrap();
    let code = asked.short_code().unwrap();
    // Bob goes, alice starts again, decides, and starts once more.
    drop((asked, bobs, bob, there));
    drop((room, sync, alice, here));
    let here = Instance::open(at_alice.path()).unwrap();
    let sync = here.enable_sync().unwrap();
    let pending = sync.requests().pending();
    assert_eq!((pending.len(), pending[0].short_code.as_str()), (1, code.as_str()));
    let failed = sync.requests().approve(&pending[0].id, None);
    let none = matches!(failed, Err(Error::Request(RequestError::NoAdministrator { .. })));
    assert!(none, "alice is not logged in: {failed:?}");
    let alice = here.login_user("alice", None).unwrap();
    sync.requests().approve(&pending[0].id, None).unwrap();
    drop((sync, alice, here));
    let here = Instance::open(at_alice.path()).unwrap();
    let sync = here.enable_sync().unwrap();
    assert_eq!(sync.requests().approved().len(), 1);
    http(&sync, address.text());
    within("serving", sync.accept_connections()).await.unwrap();

    // Bob comes back and learns it by itself.
    let there = Instance::open(at_bob.path()).unwrap();
    let bob = there.login_user("bob", None).unwrap();
    let bobs = there.enable_sync().unwrap();
    let asked = bobs.requests_made().pop().unwrap();
    assert_eq!(asked.short_code(), Some(code));
    let mut events = bobs.events();
    http(&bobs, "127.0.0.1:0");
    assert_eq!(within("the answer", asked.wait()).await.unwrap(), RequestStatus::Approved);
    within("the bootstrap", async {
        while !there.databases().unwrap().contains(&id)
            || !bob.open_database(&id).is_ok_and(|at_bob| at_bob.is_complete().unwrap())
        {
            events.next().await.unwrap();
        }
    })
    .await;
    let at_bob = bob.open_database(&id).unwrap();
    assert_eq!(texts(&at_bob), ["first"]);
    push(&at_bob, "hello");
}

#[tokio::test]
async fn what_cannot_be_asked_says_so_before_anybody_is_dialled() {
    let network = MemoryNetwork::new();
    let bob = place(&network, "bob").await;
    let ticket = Ticket::new(bob_of(&bob)).with_address("memory:nobody".parse().unwrap());
    let stranger = weald_dag::SecretKey::from_seed(&[9; 32]).public();
    let strange = AccessOptions::new(stranger, Level::Read);
    let failed = within("asking", bob.sync.request_access(&ticket, &strange)).await;
    assert!(matches!(failed, Err(Error::Database(DatabaseError::NoKey { .. }))), "{failed:?}");
    let long = wanted(&bob, Level::Read).name("x".repeat(REQUEST_NAME_MAX + 1));
    let failed = within("asking", bob.sync.request_access(&ticket, &long)).await;
    let refused = RequestRefusal::TooLong { what: "name" };
    let is_refused =
        matches!(&failed, Err(Error::Request(RequestError::Refused(why))) if *why == refused);
    assert!(is_refused, "{failed:?}");
    let fine = wanted(&bob, Level::Read);
    let failed = within("asking", bob.sync.request_access(&ticket, &fine)).await;
    assert!(matches!(failed, Err(Error::Sync(SyncError::Dial(_)))), "{failed:?}");
    assert!(bob.sync.requests_made().is_empty());
}

#[tokio::test]
async fn p48_one_device_with_many_keys_fills_no_queue_and_real_ones_get_in() {
    let network = MemoryNetwork::new();
    let (alice, mallory) = (place(&network, "alice").await, place(&network, "mallory").await);
    let room = private(&alice.user);
    let requests = alice.sync.requests();
    requests.set_policy(room.id(), RequestPolicy::Queue).unwrap();
    let ticket = alice.sync.ticket(&room);
    let mut not_now = 0;
    for _ in 0..20 {
        let key = mallory.user.add_private_key(None).unwrap();
        let options = AccessOptions::new(key, Level::Read);
        let asked = within("asking", mallory.sync.request_access(&ticket, &options)).await.unwrap();
        not_now += usize::from(asked.status().unwrap() == RequestStatus::NotNow);
    }
    assert_eq!(not_now, 20 - REQUESTS_PER_DEVICE_MAX);
    assert_eq!(requests.pending().len(), REQUESTS_PER_DEVICE_MAX);
    let bob = place(&network, "bob").await;
    let mut events = alice.sync.events();
    let asked = ask(&bob, &ticket, Level::Read).await;
    assert!(matches!(asked.status().unwrap(), RequestStatus::Pending { .. }));
    let is_told = |event: SyncEvent| matches!(event, SyncEvent::Access(AccessEvent::Requested { request, .. }) if request == asked.id());
    within("the event", async { while !is_told(events.next().await.unwrap()) {} }).await;
    assert!(asked.withdraw().unwrap());
}

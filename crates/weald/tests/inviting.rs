//! Tickets with invites: joined with no administrator at hand, over real links.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{push, settle, texts, within};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    AccessEvent, CommitError, Database, DatabaseSettings, Error, Instance, InviteError,
    InviteOptions, Level, PeerSync, SettingsError, Subject, SyncError, SyncEvent, Ticket, User,
};

const WRITE: Level = Level::Write(20);

fn open(path: &Path, user: &str) -> (Instance, User) {
    let instance = Instance::open(path).unwrap();
    let user = match instance.login_user(user, None) {
        Ok(user) => user,
        Err(_) => instance.create_user(user, None).unwrap(),
    };
    (instance, user)
}

/// An instance in memory that listens.
async fn listening(network: &MemoryNetwork, name: &str) -> (Instance, User, PeerSync) {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user(name, None).unwrap();
    let sync = instance.enable_sync().unwrap();
    sync.register_transport("wires", network.transport(name));
    within("serving", sync.accept_connections()).await.unwrap();
    (instance, user, sync)
}

fn private(user: &User) -> Database {
    user.create_database(DatabaseSettings::named("Private")).unwrap()
}

#[tokio::test]
async fn an_invite_lets_its_bearer_in_and_write_with_no_administrator_at_hand() {
    let network = MemoryNetwork::new();
    let (_here, alice, _alices) = listening(&network, "alice").await;
    let room = private(&alice);
    push(&room, "first");
    let ticket = room.invite(&InviteOptions::new(WRITE).uses(2)).unwrap();
    let (there, bob, bobs) = listening(&network, "bob").await;
    let at_bob = within("joining", bobs.join(&bob, &ticket)).await.unwrap();
    assert_eq!(at_bob.settings().my_permission().unwrap(), Some(WRITE));
    push(&at_bob, "hello from bob");
    settle(&room, |room| texts(room).len() == 2).await;

    // Alice is gone: carol comes in by bob, who is no administrator.
    drop((room, _alices, alice, _here));
    let (_elsewhere, carol, carols) = listening(&network, "carol").await;
    let by_bob = Ticket::with_peer(ticket, there.device_key());
    let by_bob = by_bob.with_address("memory:bob".parse().unwrap());
    let at_carol = within("joining", carols.join(&carol, &by_bob)).await.unwrap();
    push(&at_carol, "hello from carol");
    settle(&at_bob, |room| texts(room).len() == 3).await;
    assert!(at_bob.invites().unwrap().iter().all(|invite| invite.used == 2 && !invite.is_open()));
    let members = at_bob.settings().members().unwrap();
    let names: Vec<_> = members.iter().map(|member| member.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
}

#[tokio::test]
async fn an_invite_works_over_http_and_its_use_is_taken_up_after_a_restart() {
    let (at_alice, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let http = |sync: &PeerSync, bind: &str| {
        sync.register_transport("web", HttpTransport::builder().bind(bind).build().unwrap());
    };
    let (here, alice) = open(at_alice.path(), "alice");
    let room = private(&alice);
    push(&room, "first");
    let sync = here.enable_sync().unwrap();
    http(&sync, "127.0.0.1:0");
    within("serving", sync.accept_connections()).await.unwrap();
    let address = sync.server_address().unwrap();
    let text = room.invite(&InviteOptions::new(WRITE)).unwrap().to_string();
    let id = room.id();
    drop((room, sync, alice, here));

    // Nobody answers yet; bob's program ends, and starts again without anybody joining or logging in.
    let ticket: Ticket = text.parse().unwrap();
    let (there, bob) = open(directory.path(), "bob");
    let bobs = there.enable_sync().unwrap();
    http(&bobs, "127.0.0.1:0");
    let failed = within("joining", bobs.join(&bob, &ticket)).await;
    assert!(matches!(failed, Err(Error::Sync(SyncError::Dial(_)))), "{failed:?}");
    let key = bob.default_key();
    drop((bobs, bob, there));
    let there = Instance::open(directory.path()).unwrap();
    let bobs = there.enable_sync().unwrap();
    let mut events = bobs.events();
    http(&bobs, "127.0.0.1:0");

    let (here, alice) = open(at_alice.path(), "alice");
    let room = alice.open_database(&id).unwrap();
    let sync = here.enable_sync().unwrap();
    http(&sync, address.text());
    within("serving", sync.accept_connections()).await.unwrap();
    within("the invite's use", async {
        let joined = AccessEvent::Joined { database: id, key };
        while !matches!(events.next().await, Some(SyncEvent::Access(event)) if event == joined) {}
    })
    .await;
    settle(&room, |room| room.settings().permission_of(&key).unwrap() == Some(WRITE)).await;
    let bob = there.login_user("bob", None).unwrap();
    let at_bob = bob.open_database(&id).unwrap();
    push(&at_bob, "here at last");
    settle(&room, |room| texts(room) == ["first", "here at last"]).await;
    // The secret rests sealed, not as it stands in the ticket or as bytes.
    let secret = text.split("invite=").nth(1).unwrap().to_owned();
    let seed = data_encoding::BASE32_NOPAD.decode(secret.to_uppercase().as_bytes()).unwrap();
    drop((at_bob, bob, bobs, events, there));
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for clear in [secret.as_bytes(), &seed[..16]] {
            assert!(!bytes.windows(clear.len()).any(|part| part == clear));
        }
    }
}

#[tokio::test]
async fn a_member_uses_nothing_and_a_single_use_is_not_used_twice() {
    let network = MemoryNetwork::new();
    let (_here, alice, _alices) = listening(&network, "alice").await;
    let room = private(&alice);
    let ticket = room.invite(&InviteOptions::new(WRITE)).unwrap();
    let (_there, bob, bobs) = listening(&network, "bob").await;
    room.settings().grant(Subject::Key(bob.default_key()), WRITE, None).unwrap();
    within("joining", bobs.join(&bob, &ticket)).await.unwrap();
    assert_eq!(room.invites().unwrap()[0].used, 0);
    let (_elsewhere, carol, carols) = listening(&network, "carol").await;
    within("joining", carols.join(&carol, &ticket)).await.unwrap();
    within("joining", carols.join(&carol, &ticket)).await.unwrap();
    settle(&room, |room| room.settings().permission_of(&carol.default_key()).unwrap().is_some())
        .await;
    assert!(room.invites().unwrap().iter().all(|invite| !invite.is_open()));
    let (_beyond, dan, dans) = listening(&network, "dan").await;
    let failed = within("joining", dans.join(&dan, &ticket)).await;
    assert!(matches!(failed, Err(Error::Invite(InviteError::Spent { .. }))), "{failed:?}");
}

#[tokio::test]
async fn an_invite_that_was_made_since_is_fetched_before_it_is_used() {
    let network = MemoryNetwork::new();
    let (here, alice, _alices) = listening(&network, "alice").await;
    let room = private(&alice);
    let (there, bob, bobs) = listening(&network, "bob").await;
    room.settings().grant(Subject::Key(bob.default_key()), Level::Read, None).unwrap();
    let parcels = room.parcels(0, usize::MAX).unwrap();
    there.ingest(here.device_key(), room.id(), parcels).unwrap();
    there.mark_complete(room.id()).unwrap();
    let ticket = room.invite(&InviteOptions::new(WRITE)).unwrap();
    let at_bob = within("joining", bobs.join(&bob, &ticket)).await.unwrap();
    assert_eq!(at_bob.settings().my_permission().unwrap(), Some(WRITE));
    settle(&room, |room| room.invites().unwrap().iter().all(|invite| !invite.is_open())).await;
}

#[tokio::test]
async fn who_was_revoked_uses_up_no_invite_that_would_give_it_nothing() {
    let network = MemoryNetwork::new();
    let (here, alice, _alices) = listening(&network, "alice").await;
    let room = private(&alice);
    let (there, bob, bobs) = listening(&network, "bob").await;
    room.settings().grant(Subject::Key(bob.default_key()), WRITE, None).unwrap();
    room.settings().revoke(Subject::Key(bob.default_key())).unwrap();
    let ticket = room.invite(&InviteOptions::new(WRITE)).unwrap();
    let parcels = room.parcels(0, usize::MAX).unwrap();
    there.ingest(here.device_key(), room.id(), parcels).unwrap();
    there.mark_complete(room.id()).unwrap();
    let failed = within("joining", bobs.join(&bob, &ticket)).await;
    assert!(matches!(failed, Err(Error::Invite(InviteError::KeyLimited { .. }))), "{failed:?}");
    assert!(room.invites().unwrap().iter().all(|invite| invite.used == 0 && invite.is_open()));
}

#[tokio::test]
async fn of_two_who_use_a_single_invite_at_once_one_falls_and_is_told() {
    let network = MemoryNetwork::new();
    let (here, alice, alices) = listening(&network, "alice").await;
    let room = private(&alice);
    let ticket = room.invite(&InviteOptions::new(WRITE)).unwrap();
    let (_there, bob, bobs) = listening(&network, "bob").await;
    let (_elsewhere, carol, carols) = listening(&network, "carol").await;
    // Both hold the database and neither hears of the other's use.
    let parcels = room.parcels(0, usize::MAX).unwrap();
    for (instance, user) in [(&_there, &bob), (&_elsewhere, &carol)] {
        instance.ingest(here.device_key(), room.id(), parcels.clone()).unwrap();
        instance.mark_complete(room.id()).unwrap();
        user.track(room.id()).unwrap();
    }
    let nobody = ticket.to_string();
    let offline: Ticket = nobody.replace("memory:alice", "memory:nobody").parse().unwrap();
    let (mut of_bob, mut of_carol) = (bobs.events(), carols.events());
    let mut rooms = Vec::new();
    for (sync, user) in [(&bobs, &bob), (&carols, &carol)] {
        rooms.push(within("joining", sync.join(user, &offline)).await.unwrap());
        assert_eq!(rooms[rooms.len() - 1].settings().my_permission().unwrap(), Some(WRITE));
    }
    let id = Some(room.id());
    within("syncing", bobs.sync_with_peer("memory:alice", id)).await.unwrap();
    // Who came second may be refused to read, or may be the one that counts: then the other falls.
    let second = within("syncing", carols.sync_with_peer("memory:alice", id)).await;
    within("a fall", async {
        loop {
            let fell = |event| matches!(event, Some(SyncEvent::Access(AccessEvent::Fell { .. })));
            let told = tokio::select! {
                event = of_bob.next() => event,
                event = of_carol.next() => event,
            };
            if fell(told) {
                return;
            }
        }
    })
    .await;
    drop((second, alices));
    let hold = |room: &Database| room.settings().my_permission().unwrap().is_some();
    assert_eq!(rooms.iter().filter(|room| hold(room)).count(), 1);
}

#[tokio::test]
async fn an_invite_that_ended_or_was_taken_back_gives_nothing_and_says_so() {
    let network = MemoryNetwork::new();
    let (here, alice, _alices) = listening(&network, "alice").await;
    let room = private(&alice);
    let ended = room.invite(&InviteOptions::new(WRITE).expires_in(Duration::ZERO)).unwrap();
    let revoked = room.invite(&InviteOptions::new(Level::Read)).unwrap();
    room.revoke_invite(&revoked.invite_key().unwrap()).unwrap();
    let unknown = room.revoke_invite(&alice.default_key());
    assert!(matches!(unknown, Err(Error::Invite(InviteError::Unknown { .. }))), "{unknown:?}");
    let admin = room.invite(&InviteOptions::new(Level::Admin(1)));
    assert!(matches!(admin, Err(Error::Settings(SettingsError::Operations(_)))), "{admin:?}");
    let never = room.invite(&InviteOptions::new(WRITE).uses(0));
    assert!(matches!(never, Err(Error::Settings(SettingsError::Operations(_)))), "{never:?}");
    // What has ended is taken back by itself, sooner or later.
    assert!(room.invites().unwrap().iter().all(|invite| !invite.is_open()));

    let (there, bob, bobs) = listening(&network, "bob").await;
    there.ingest(here.device_key(), room.id(), room.parcels(0, 9).unwrap()).unwrap();
    there.mark_complete(room.id()).unwrap();
    let failed = within("joining", bobs.join(&bob, &ended)).await;
    assert!(
        matches!(
            failed,
            Err(Error::Invite(InviteError::Expired { .. } | InviteError::Revoked { .. }))
        ),
        "{failed:?}"
    );
    let failed = within("joining", bobs.join(&bob, &revoked)).await;
    assert!(matches!(failed, Err(Error::Invite(InviteError::Revoked { .. }))), "{failed:?}");
    let at_bob = bob.open_database(&room.id()).unwrap();
    let failed = at_bob.invite(&InviteOptions::new(Level::Read));
    assert!(matches!(failed, Err(Error::Commit(CommitError::NotPermitted { .. }))), "{failed:?}");
}

#[test]
fn a_ticket_shows_its_secret_as_text_and_not_in_debug() {
    let instance = Instance::in_memory().unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let room = private(&alice);
    let ticket = room.invite(&InviteOptions::new(WRITE)).unwrap();
    let text = ticket.to_string();
    let secret = text.split("invite=").nth(1).unwrap();
    assert_eq!(text.parse::<Ticket>().unwrap(), ticket);
    assert!(!format!("{ticket:?}").contains(secret), "{ticket:?}");
    assert!(!format!("{:?}", instance).contains(secret));
    let bare = ticket.without_invite();
    assert!(!bare.to_string().contains("invite") && bare.invite_key().is_none());
}

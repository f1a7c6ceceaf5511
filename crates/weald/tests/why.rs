//! Why two devices do not hold the same entries: each cause with real instances, as an app asks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use common::{push, within};
use weald::transport::memory::MemoryNetwork;
use weald::transport::{BoxFuture, DialError, Link, ListenError, Listener, Transport};
use weald::{
    Address, Cause, Database, DatabaseId, DatabasePreferences, DatabaseSettings, Instance, Level,
    PeerRecord, PeerSync, PublicKey, Subject, SyncSettings, User, Why,
};

/// A device with a user.
struct Device {
    instance: Instance,
    user: User,
    sync: PeerSync,
}

impl Device {
    fn new(network: &MemoryNetwork, name: &str) -> Self {
        let instance = Instance::in_memory().unwrap();
        let user = instance.create_user(name, None).unwrap();
        let sync = instance.enable_sync().unwrap();
        sync.register_transport("wires", network.transport(name));
        Self { instance, user, sync }
    }

    async fn listening(network: &MemoryNetwork, name: &str) -> Self {
        let device = Self::new(network, name);
        within("serving", device.sync.accept_connections()).await.unwrap();
        device
    }

    fn key(&self) -> PublicKey {
        self.instance.device_key()
    }

    fn register(&self, peer: PublicKey, address: Option<&str>, database: Option<DatabaseId>) {
        let mut record = PeerRecord::new(peer);
        record.addresses.extend(address.map(|address| address.parse::<Address>().unwrap()));
        record.databases.extend(database);
        self.sync.register_peer(record);
    }

    /// Asks until the answer has this cause in front.
    async fn why(
        &self,
        database: DatabaseId,
        peer: PublicKey,
        is_so: impl Fn(&Cause) -> bool,
    ) -> Why {
        let mut last = None;
        let asked = async {
            loop {
                let why = self.sync.why(&database, &peer).unwrap();
                if is_so(&why.causes[0]) {
                    return why;
                }
                last = Some(why);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(common::DEADLINE, asked).await {
            Ok(why) => why,
            Err(_) => panic!("the answer stays: {}", last.unwrap()),
        }
    }
}

fn public() -> DatabaseSettings {
    DatabaseSettings::named("Demo").grant_anyone(Level::Write(10))
}

fn made_up() -> DatabaseId {
    DatabaseId::from_bytes([9; 32])
}

fn somebody(seed: u8) -> PublicKey {
    weald_dag::SecretKey::from_seed(&[seed; 32]).public()
}

async fn two(settings: DatabaseSettings) -> (MemoryNetwork, Device, Device, Database) {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Device::listening(&network, "alice").await, Device::new(&network, "bob"));
    let room = alice.user.create_database(settings).unwrap();
    (network, alice, bob, room)
}

#[tokio::test]
async fn p54_who_is_not_known_not_reachable_or_this_device_itself() {
    let network = MemoryNetwork::new();
    let device = Device::new(&network, "here");
    let room = device.user.create_database(public()).unwrap().id();
    let why = device.sync.why(&room, &somebody(1)).unwrap();
    assert!(matches!(why.causes[..], [Cause::PeerUnknown]), "{why}");
    assert!(!why.is_well() && why.to_string().contains("connect to its address"), "{why}");
    let why = device.sync.why(&room, &device.key()).unwrap();
    assert!(matches!(why.causes[..], [Cause::Ourselves]), "{why}");

    device.register(somebody(2), None, Some(room));
    let is_so = |cause: &Cause| matches!(cause, Cause::NoAddress { listening: false });
    let why = device.why(room, somebody(2), is_so).await;
    assert!(why.to_string().contains("accept connections here"), "{why}");
    within("serving", device.sync.accept_connections()).await.unwrap();
    let is_so = |cause: &Cause| matches!(cause, Cause::NoAddress { listening: true });
    device.why(room, somebody(2), is_so).await;

    device.register(somebody(3), Some("192.0.2.1:8088"), Some(room));
    let is_so = |cause: &Cause| matches!(cause, Cause::NoTransport { kinds } if kinds == &["http"]);
    let why = device.why(room, somebody(3), is_so).await;
    assert!(why.to_string().contains("register one of kind http"), "{why}");

    device.register(somebody(4), Some("memory:nobody"), Some(room));
    let is_so = |cause: &Cause| matches!(cause, Cause::Waiting { error: Some(_), .. });
    let why = device.why(room, somebody(4), is_so).await;
    assert!(why.to_string().contains("nobody listens at memory:nobody"), "{why}");
}

/// A transport whose dials never end.
struct Slow;

impl Transport for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    fn dial<'a>(&'a self, _: &'a Address) -> BoxFuture<'a, Result<Link, DialError>> {
        Box::pin(std::future::pending())
    }

    fn listen(&self) -> BoxFuture<'_, Result<Listener, ListenError>> {
        Box::pin(std::future::ready(Err(ListenError::NoAddress { kind: "slow" })))
    }
}

#[tokio::test]
async fn p54_a_peer_that_is_being_dialled_and_one_with_another_key() {
    let (_network, alice, bob, room) = two(public()).await;
    bob.sync.register_transport("slow", Slow);
    bob.register(somebody(5), Some("slow://far"), Some(room.id()));
    bob.user.track(room.id()).unwrap();
    let why = bob.why(room.id(), somebody(5), |cause| matches!(cause, Cause::Dialling)).await;
    assert!(why.causes.iter().any(|cause| matches!(cause, Cause::NotHere)), "{why}");

    bob.register(somebody(6), Some("memory:alice"), Some(room.id()));
    let why = bob.why(room.id(), somebody(6), |cause| matches!(cause, Cause::WrongPeer)).await;
    assert!(why.to_string().contains("check the address"), "{why}");
    drop(alice);
}

#[tokio::test]
async fn p54_a_peer_of_another_protocol_version() {
    let (network, _alice, bob, room) = two(public()).await;
    let transport = network.transport("future");
    let mut listener = transport.listen().await.unwrap();
    let answering = tokio::spawn(async move {
        while let Some(mut link) = listener.accept().await {
            let _ = link.recv().await;
            // The mark of a hello, and {"versions": [900, 900]}.
            let hello = [&[0u8, 0xa1, 0x68][..], b"versions", &[0x82, 0x19, 3, 132, 0x19, 3, 132]];
            let _ = link.send(hello.concat().into()).await;
            while let Ok(Some(_)) = link.recv().await {}
        }
    });
    bob.register(somebody(7), Some("memory:future"), Some(room.id()));
    let is_so = |cause: &Cause| matches!(cause, Cause::ProtocolVersion { .. });
    let why = bob.why(room.id(), somebody(7), is_so).await;
    assert!(why.to_string().contains("900") && why.to_string().contains("update"), "{why}");
    answering.abort();
}

#[tokio::test]
async fn p54_all_is_well_and_then_nothing_is_related_or_wanted() {
    let (_network, alice, bob, room) = two(public()).await;
    push(&room, "first");
    let (id, ticket) = (room.id(), alice.sync.ticket(&room));
    within("joining", bob.sync.join(&bob.user, &ticket)).await.unwrap();
    for (device, peer) in [(&bob, alice.key()), (&alice, bob.key())] {
        let why = device.why(id, peer, |cause| matches!(cause, Cause::Equal { .. })).await;
        assert!(why.is_well(), "{why}");
        assert!(why.to_string().contains("both held the same"), "{why}");
    }
    let other = bob.user.create_database(public()).unwrap();
    let why = bob.why(other.id(), alice.key(), |cause| matches!(cause, Cause::NotRelated)).await;
    assert!(why.to_string().contains("sync it with the peer once"), "{why}");

    let late = SyncSettings { sync_on_commit: false, ..SyncSettings::default() };
    let preferences = DatabasePreferences { sync_settings: late, ..DatabasePreferences::new(id) };
    bob.user.set_prefs(preferences).unwrap();
    let why = bob.sync.why(&id, &alice.key()).unwrap();
    let late = |cause: &Cause| matches!(cause, Cause::NotOnCommit { interval: Some(_) });
    assert!(why.causes.iter().any(late) && why.is_well(), "{why}");

    let off = SyncSettings { sync_enabled: false, ..SyncSettings::default() };
    let preferences = DatabasePreferences { sync_settings: off, ..DatabasePreferences::new(id) };
    bob.user.set_prefs(preferences).unwrap();
    let why = bob.why(id, alice.key(), |cause| matches!(cause, Cause::SyncDisabled)).await;
    assert!(why.to_string().contains("preferences"), "{why}");
    assert!(!why.to_string().contains("moving entries"), "no round is waited for: {why}");
    let why = alice.why(id, bob.key(), |cause| matches!(cause, Cause::LeftThere)).await;
    assert!(why.to_string().contains("does not sync the database any more"), "{why}");
}

#[tokio::test]
async fn p54_a_peer_that_gives_nothing_of_it() {
    let (_network, alice, bob, room) = two(DatabaseSettings::named("Private")).await;
    for database in [room.id(), made_up()] {
        let failed = bob.sync.sync_with_peer("memory:alice", Some(database));
        within("syncing", failed).await.unwrap_err();
        let why = bob.why(database, alice.key(), |cause| matches!(cause, Cause::DeniedThere)).await;
        assert!(why.to_string().contains("ask its owner for access"), "{why}");
        assert!(why.causes.iter().any(|cause| matches!(cause, Cause::NotHere)), "{why}");
    }
}

#[tokio::test]
async fn p54_access_that_was_taken_away_is_named_on_both_sides() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Device::listening(&network, "alice").await, Device::new(&network, "bob"));
    let key = bob.user.default_key();
    let settings = DatabaseSettings::named("Private").grant(key, Level::Write(10), Some("bob"));
    let room = alice.user.create_database(settings).unwrap();
    let (id, ticket) = (room.id(), alice.sync.ticket(&room));
    let at_bob = within("joining", bob.sync.join(&bob.user, &ticket)).await.unwrap();
    room.settings().revoke(Subject::Key(key)).unwrap();
    let why = alice.why(id, bob.key(), |cause| matches!(cause, Cause::PeerMayNotRead)).await;
    assert!(why.to_string().contains("grant a key of it access"), "{why}");
    let why = bob.why(id, alice.key(), |cause| matches!(cause, Cause::Revoked { .. })).await;
    let Cause::Revoked { by } = &why.causes[0] else { panic!("{why}") };
    if !by.is_empty() {
        assert!(why.to_string().contains(&by.last().unwrap().short().to_string()), "{why}");
    }
    assert!(at_bob.entry_count().unwrap() >= 1);
}

#[tokio::test]
async fn p54_a_database_of_which_only_a_part_is_here() {
    let (_network, alice, bob, room) = two(public()).await;
    (0..5).for_each(|n| push(&room, &format!("message {n}")));
    let parcels = room.parcels(0, 3).unwrap();
    bob.instance.ingest(alice.key(), room.id(), parcels).unwrap();
    bob.user.track(room.id()).unwrap();
    let why = bob.sync.why(&room.id(), &somebody(1)).unwrap();
    let part = |cause: &Cause| matches!(cause, Cause::Incomplete { entries: 3 });
    assert!(why.causes.iter().any(part), "{why}");
    assert!(why.to_string().contains("3 entries and not all yet"), "{why}");
    let joined = bob.sync.sync_with_peer("memory:alice", Some(room.id()));
    within("syncing", joined).await.unwrap();
    bob.why(room.id(), alice.key(), |cause| matches!(cause, Cause::Equal { .. })).await;
}

#[tokio::test]
async fn p54_a_link_that_was_lost_names_the_error_and_the_next_attempt() {
    let (_network, alice, bob, room) = two(public()).await;
    let (id, key, ticket) = (room.id(), alice.key(), alice.sync.ticket(&room));
    within("joining", bob.sync.join(&bob.user, &ticket)).await.unwrap();
    drop((room, alice));
    let is_so = |cause: &Cause| matches!(cause, Cause::Waiting { error: Some(_), .. });
    let why = bob.why(id, key, is_so).await;
    assert!(!why.is_well() && why.to_string().contains("tried again in"), "{why}");
    let status = bob.sync.status(&id).remove(&key).unwrap();
    assert!(status.session.is_none() && status.last_success.is_some() && status.has_local_data);
}

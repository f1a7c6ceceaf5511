//! Presence as an app uses it: heard along chains of peers, by who may read, and stored by nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{DEADLINE, push, room, texts};
use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabaseSettings, Filter, Heard, Instance, Level, PRESENCE_WATCH_QUEUE, PeerSync,
    PresenceError, PresenceWatch, Subject, User,
};

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

/// Says something again and again until it is heard: presence may be dropped, and links may still be opening.
async fn hears(speaker: &Database, watch: &mut PresenceWatch, topic: &str, what: &str) -> Heard {
    within(&format!("hearing {what}"), async {
        loop {
            speaker.presence().publish(topic, what).unwrap();
            let wait = tokio::time::timeout(Duration::from_millis(200), async {
                loop {
                    let heard = watch.next().await.expect("the instance is open");
                    if heard.value::<String>().is_ok_and(|said| said == what) {
                        return heard;
                    }
                }
            });
            if let Ok(heard) = wait.await {
                return heard;
            }
        }
    })
    .await
}

/// Waits until a room is seen to be as it should.
async fn comes(database: &Database, what: &str, is_so: impl Fn(&Database) -> bool) {
    let mut watch = database.watch(Filter::all());
    within(what, async {
        while !is_so(database) {
            watch.next().await.expect("the instance is open");
        }
    })
    .await;
}

struct Site {
    _instance: Instance,
    user: User,
    sync: PeerSync,
}

impl Site {
    fn new(name: &str, network: Option<&MemoryNetwork>, at: Option<&Path>) -> Self {
        let instance = match at {
            Some(path) => Instance::open(path).unwrap(),
            None => Instance::in_memory().unwrap(),
        };
        let user = instance.create_user(name, None).unwrap();
        let sync = instance.enable_sync().unwrap();
        match network {
            Some(network) => sync.register_transport("wires", network.transport(name)),
            None => {
                let transport = HttpTransport::builder().bind("127.0.0.1:0").build().unwrap();
                sync.register_transport("web", transport);
            }
        }
        Self { _instance: instance, user, sync }
    }

    async fn join(&self, other: &Self, room: &Database) -> Database {
        other.sync.accept_connections().await.unwrap();
        let ticket = other.sync.ticket(room);
        within("joining", self.sync.join(&self.user, &ticket)).await.unwrap()
    }
}

/// Three in a row, each of which knows its neighbours only.
async fn chain(sites: [&Site; 3], settings: DatabaseSettings) -> [Database; 3] {
    let [a, b, c] = sites;
    let at_a = a.user.create_database(settings).unwrap();
    let at_b = b.join(a, &at_a).await;
    let at_c = c.join(b, &at_b).await;
    [at_a, at_b, at_c]
}

#[test]
fn what_is_said_is_heard_by_other_handles_of_the_instance_without_sync() {
    let (instance, alice, here) = room();
    let bob = instance.create_user("bob", None).unwrap();
    bob.track(here.id()).unwrap();
    let there = bob.open_database(&here.id()).unwrap();
    let mut watch = here.presence().watch("typing").unwrap();
    let mut other = here.presence().watch("cursor").unwrap();
    there.presence().publish("typing", &7_u64).unwrap();
    let heard = watch.try_next().unwrap();
    assert_eq!((heard.author(), heard.value::<u64>().unwrap()), (bob.default_key(), 7));
    assert!(other.try_next().is_none(), "another topic");
    here.presence().publish_bytes("typing", vec![0xff]).unwrap();
    let heard = watch.recv_timeout(DEADLINE).unwrap();
    assert_eq!(heard.body(), [0xff]);
    assert!(matches!(heard.value::<u64>(), Err(PresenceError::NoValue(_))));
    let who: Vec<_> = here.presence().who("typing").iter().map(Heard::author).collect();
    assert_eq!(who, [alice.default_key(), bob.default_key()]);
    assert!(here.presence().who_within("typing", Duration::ZERO).is_empty());
    assert!(here.presence().who("cursor").is_empty());
}

#[test]
fn what_cannot_be_said_is_told() {
    let (instance, alice, _room) = room();
    let diary = alice.create_database(DatabaseSettings::named("Diary")).unwrap();
    for topic in ["", &"t".repeat(65)] {
        let said = diary.presence().publish(topic, &1);
        assert!(matches!(said, Err(PresenceError::Topic { found }) if found == topic.len()));
        assert!(matches!(diary.presence().watch(topic), Err(PresenceError::Topic { .. })));
    }
    let said = diary.presence().publish_bytes("typing", vec![0; 4_097]);
    assert!(matches!(said, Err(PresenceError::TooLong { found: 4_097 })));
    let bob = instance.create_user("bob", None).unwrap();
    let at_bob = bob.open_database(&diary.id()).unwrap();
    let said = at_bob.presence().publish("typing", &1);
    assert!(matches!(said, Err(PresenceError::MayNotRead { key }) if key == bob.default_key()));
}

#[test]
fn who_reads_too_slowly_misses_the_oldest_and_closing_ends_a_watch() {
    let (instance, _, room) = room();
    let mut watch = room.presence().watch("cursor").unwrap();
    let all = PRESENCE_WATCH_QUEUE as u64 + 10;
    (0..all).for_each(|n| room.presence().publish("cursor", &n).unwrap());
    assert_eq!((watch.missed(), watch.recv().unwrap().value::<u64>().unwrap()), (10, 10));
    let mut left = PRESENCE_WATCH_QUEUE - 1;
    instance.close();
    while watch.recv().is_some() {
        left -= 1;
    }
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_one_says_is_heard_along_a_chain_once_and_back() {
    let network = MemoryNetwork::new();
    let [a, b, c] = ["alice", "bob", "carol"].map(|name| Site::new(name, Some(&network), None));
    let anyone = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
    let [at_a, at_b, at_c] = chain([&a, &b, &c], anyone).await;
    let mut at_ends = [&at_a, &at_c].map(|room| room.presence().watch("typing").unwrap());
    let heard = hears(&at_a, &mut at_ends[1], "typing", "alice is typing").await;
    assert_eq!((heard.author(), heard.topic()), (at_a.key(), "typing"));
    let heard = hears(&at_c, &mut at_ends[0], "typing", "carol is typing").await;
    assert_eq!(heard.author(), at_c.key());
    // The links are open now: what is said once is heard once, in order.
    let mut in_the_middle = at_b.presence().watch("count").unwrap();
    let mut at_the_end = at_a.presence().watch("count").unwrap();
    for n in 0..20_u64 {
        at_c.presence().publish("count", &n).unwrap();
    }
    for watch in [&mut in_the_middle, &mut at_the_end] {
        for n in 0..20_u64 {
            let heard = within("counting", watch.next()).await.unwrap();
            assert_eq!(heard.value::<u64>().unwrap(), n);
        }
        assert!(watch.try_next().is_none());
    }
    let mut who: Vec<_> = at_b.presence().who("typing").iter().map(Heard::author).collect();
    who.sort_unstable();
    let mut both = [at_a.key(), at_c.key()];
    both.sort_unstable();
    assert_eq!(who, both);
}

#[tokio::test]
async fn nothing_that_is_said_is_stored() {
    let network = MemoryNetwork::new();
    let folder = tempfile::tempdir().unwrap();
    let a = Site::new("alice", Some(&network), None);
    let b = Site::new("bob", Some(&network), Some(folder.path()));
    let settings = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
    let at_a = a.user.create_database(settings).unwrap();
    push(&at_a, "stored");
    let at_b = b.join(&a, &at_a).await;
    let state = |room: &Database| (room.entry_count().unwrap(), room.state_digest().unwrap());
    let before = [state(&at_a), state(&at_b)];
    let mut watch = at_b.presence().watch("typing").unwrap();
    let marker = "a-marker-that-nobody-stores";
    hears(&at_a, &mut watch, "typing", marker).await;
    at_b.presence().publish("typing", marker).unwrap();
    assert_eq!([state(&at_a), state(&at_b)], before);
    // What was stored is found by the same search.
    at_b.write(|tx| Ok(tx.log("messages")?.push(&common::message("found-again"))?)).unwrap();
    let contains = |what: &str| {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        let files = files.filter(|path| path.is_file());
        files
            .map(|path| std::fs::read(path).unwrap())
            .any(|bytes| bytes.windows(what.len()).any(|window| window == what.as_bytes()))
    };
    assert!(contains("found-again") && !contains(marker));
    assert_eq!(texts(&at_b).len(), 2);
}

#[tokio::test]
async fn who_is_revoked_is_not_here_any_more() {
    let network = MemoryNetwork::new();
    let (a, b) = (Site::new("alice", Some(&network), None), Site::new("bob", Some(&network), None));
    let dave = b._instance.create_user("dave", None).unwrap();
    let settings = DatabaseSettings::named("Friends")
        .grant(b.user.default_key(), Level::Write(5), None)
        .grant(dave.default_key(), Level::Write(5), None);
    let at_a = a.user.create_database(settings).unwrap();
    let at_b = b.join(&a, &at_a).await;
    dave.track(at_a.id()).unwrap();
    let at_dave = dave.open_database(&at_a.id()).unwrap();
    let mut watch = at_a.presence().watch("here").unwrap();
    hears(&at_dave, &mut watch, "here", "dave is here").await;
    hears(&at_b, &mut watch, "here", "bob is here").await;
    assert_eq!(at_a.presence().who("here").len(), 2);
    at_a.settings().revoke(Subject::Key(dave.default_key())).unwrap();
    let who: Vec<_> = at_a.presence().who("here").iter().map(Heard::author).collect();
    assert_eq!(who, [at_b.key()]);
    let tips = at_a.tips().unwrap();
    comes(&at_b, "the revocation", |room| room.tips().unwrap() == tips).await;
    let said = at_dave.presence().publish("here", "still here");
    assert!(matches!(said, Err(PresenceError::MayNotRead { .. })), "{said:?}");
    hears(&at_b, &mut watch, "here", "bob is still here").await;
}

#[tokio::test]
async fn presence_goes_over_http_as_over_anything() {
    let (a, b) = (Site::new("alice", None, None), Site::new("bob", None, None));
    let settings = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
    let at_a = a.user.create_database(settings).unwrap();
    let at_b = b.join(&a, &at_a).await;
    let mut at_ends = [&at_a, &at_b].map(|room| room.presence().watch("typing").unwrap());
    hears(&at_a, &mut at_ends[1], "typing", "alice is typing").await;
    hears(&at_b, &mut at_ends[0], "typing", "bob is typing").await;
}

//! What the tests of this folder share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weald::{Database, DatabaseSettings, Filter, Instance, Level, User};

/// How long a test waits for what must come.
pub const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub text: String,
}

pub fn message(text: &str) -> Message {
    Message { text: text.to_owned() }
}

/// An instance in memory with one user and a room that anyone may write to.
pub fn room() -> (Instance, User, Database) {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user("alice", None).unwrap();
    let settings = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
    let database = user.create_database(settings).unwrap();
    (instance, user, database)
}

pub fn push(database: &Database, text: &str) {
    database.write(|tx| Ok(tx.log("messages")?.push(&message(text))?)).unwrap();
}

pub fn texts(database: &Database) -> Vec<String> {
    let items = database.log::<Message>("messages").unwrap().tail(1_000).unwrap();
    items.into_iter().map(|item| item.value.unwrap().text).collect()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Awaits what must come before the deadline.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

/// Waits until a database is as expected; it is looked at whenever something happens in it.
pub async fn settle(database: &Database, is_so: impl Fn(&Database) -> bool) {
    let mut watch = database.watch(Filter::all());
    within("what must come", async {
        while !is_so(database) {
            watch.next().await.unwrap();
        }
    })
    .await;
}

/// Another instance with a user of its own that has this database.
pub fn replica(of: &Database) -> (Instance, Database) {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user("bob", None).unwrap();
    bring(of, &instance);
    instance.mark_complete(of.id()).unwrap();
    let database = user.open_database(&of.id()).unwrap();
    (instance, database)
}

/// Brings all entries of a database to another instance; its device key is made up.
pub fn bring(from: &Database, to: &Instance) {
    let parcels = from.parcels(0, usize::MAX).unwrap();
    to.ingest(peer(), from.id(), parcels).unwrap();
}

/// The device key that [`bring`] says it is from.
pub fn peer() -> weald::PublicKey {
    weald_dag::SecretKey::from_seed(&[7; 32]).public()
}

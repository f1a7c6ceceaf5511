//! What the tests of this folder share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weald::{Database, DatabaseSettings, Instance, Level, User};

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

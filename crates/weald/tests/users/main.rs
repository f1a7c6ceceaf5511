//! Users: their passwords, keys and preferences, and that no secret of theirs is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod keys;
mod passwords;
mod preferences;
mod secrets;
mod system;

use std::future::Future;
use std::path::Path;

use common::DEADLINE;
use weald::{DatabaseSettings, Instance, InstanceBuilder, Level, PasswordCost};

/// Passwords that cost next to nothing.
fn light(builder: InstanceBuilder) -> Instance {
    builder.password_cost(PasswordCost::new(8, 1).unwrap()).open().unwrap()
}

fn in_memory() -> Instance {
    light(Instance::in_memory_builder())
}

fn open(path: &Path) -> Instance {
    light(Instance::builder(path))
}

fn demo() -> DatabaseSettings {
    DatabaseSettings::named("Demo").grant_anyone(Level::Write(10))
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

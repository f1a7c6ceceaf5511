//! What users were promised of sync, one test for each line that no other file shows, through the public API alone.
//!
//! Invariant: the name of a test begins with the numbers of the promises that it shows; the guide's table of
//! promises names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod catching_up;
mod configs;
mod engine;
mod handles;
mod peers;
mod starting;

use std::path::Path;

use common::{settle, texts, within};
use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabaseId, DatabasePreferences, DatabaseSettings, Instance, Level, PeerSync,
    SyncSettings, Ticket, User,
};

/// An instance that syncs over a network in memory, with one user.
struct Place {
    instance: Instance,
    user: User,
    sync: PeerSync,
}

impl Place {
    /// In memory, listening at `memory:NAME`.
    async fn listening(network: &MemoryNetwork, name: &str) -> Self {
        let place = Self::on(Instance::in_memory().unwrap(), name);
        place.sync.register_transport("wires", network.transport(name));
        within("serving", place.sync.accept_connections()).await.unwrap();
        place
    }

    /// In a directory, with no transport yet.
    fn at(path: &Path, name: &str) -> Self {
        Self::on(Instance::open(path).unwrap(), name)
    }

    fn on(instance: Instance, name: &str) -> Self {
        let user = match instance.login_user(name, None) {
            Ok(user) => user,
            Err(_) => instance.create_user(name, None).unwrap(),
        };
        let sync = instance.enable_sync().unwrap();
        Self { instance, user, sync }
    }

    /// In memory, with no transport yet.
    fn at_rest(name: &str) -> Self {
        Self::on(Instance::in_memory().unwrap(), name)
    }

    async fn joins(&self, ticket: &Ticket) -> Database {
        within("joining", self.sync.join(&self.user, ticket)).await.unwrap()
    }

    fn room(&self) -> Database {
        self.user.create_database(demo()).unwrap()
    }

    fn private(&self) -> Database {
        self.user.create_database(DatabaseSettings::named("Private")).unwrap()
    }

    /// Has the user want a database synced otherwise than by default.
    fn wants(&self, id: DatabaseId, sync_settings: SyncSettings) {
        let wanted = DatabasePreferences { sync_settings, ..DatabasePreferences::new(id) };
        self.user.add_database(wanted).unwrap();
    }
}

fn demo() -> DatabaseSettings {
    DatabaseSettings::named("Demo").grant_anyone(Level::Write(10))
}

/// Nothing goes by itself: neither at a commit nor from time to time.
fn only_when_asked() -> SyncSettings {
    SyncSettings { sync_on_commit: false, interval_seconds: None, ..SyncSettings::default() }
}

/// Waits until a room holds a text.
async fn hears(room: &Database, text: &str) {
    settle(room, |room| texts(room).iter().any(|heard| heard == text)).await;
}

//! What is noted of peers, at rest: rows of this device alone, outside of all databases.
//!
//! Invariant: a peer has one row, written in place, so that nothing grows with the number of syncs.

use std::ops::ControlFlow;

use weald_dag::{KeyRange, Order, PublicKey, Snapshot, Space, StoreError};

use crate::desk::OwnRow;

const NOTES: Space = Space::new("peer-notes", 0);

/// Reads the notes of all peers; rows that belong to no key are left out.
pub(super) fn load(rows: &dyn Snapshot) -> Result<Vec<(PublicKey, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    rows.range(NOTES, KeyRange::all(), Order::Ascending, &mut |key, notes| {
        if let Some(peer) = key.try_into().ok().and_then(|key| PublicKey::from_bytes(key).ok()) {
            found.push((peer, notes.to_vec()));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Makes the rows that keep notes in place of those before.
pub(super) fn rows(notes: Vec<(PublicKey, Vec<u8>)>) -> Vec<OwnRow> {
    let row = |(peer, notes): (PublicKey, Vec<u8>)| (NOTES, peer.as_bytes().to_vec(), Some(notes));
    notes.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weald_dag::{DatabaseId, Graph};
    use weald_engine::all_held;
    use weald_transports::{MemoryNetwork, SyncOutcome};

    use super::*;
    use crate::instance::Instance;
    use crate::settings::DatabaseSettings;
    use crate::sync::PeerSync;

    /// How many entries each database has, those of the instance too, and how many rows notes have.
    fn stored(instance: &Instance) -> (BTreeMap<DatabaseId, u64>, usize) {
        let rows = instance.core().rows().unwrap();
        let count = |number| Graph::new(&rows, number).head().unwrap().map_or(0, |(n, _)| n.0 + 1);
        let held = all_held(&rows).unwrap().into_iter();
        let entries = held.map(|held| (held.id, count(held.number))).collect();
        (entries, load(&rows).unwrap().len())
    }

    async fn meet(sync: &PeerSync, room: DatabaseId, times: usize) {
        for n in 0..times {
            let address = ["memory:one", "memory:two"][n % 2];
            sync.sync_with_peer(address, Some(room)).await.unwrap();
            sync.connect_to_peer("memory:nobody").await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn p58_hundreds_of_connects_rounds_and_failures_leave_nothing_behind() {
        let network = MemoryNetwork::new();
        let at = tempfile::tempdir().unwrap();
        let (here, there) = (Instance::open(at.path()).unwrap(), Instance::in_memory().unwrap());
        let alice = there.create_user("alice", None).unwrap();
        let settings = DatabaseSettings::named("Demo").grant_anyone(weald_auth::Level::Read);
        let room = alice.create_database(settings).unwrap().id();
        let alices = there.enable_sync().unwrap();
        alices.register_transport("one", network.transport("one"));
        alices.register_transport("two", network.transport("two"));
        alices.accept_connections().await.unwrap();
        let bob = here.create_user("bob", None).unwrap();
        bob.track(room).unwrap();
        let bobs = here.enable_sync().unwrap();
        bobs.register_transport("wires", network.transport("bob"));
        meet(&bobs, room, 2).await;
        bobs.actor.stop().await;
        let peer = there.core().device.public();
        assert!(!bobs.history(&peer).is_empty());
        drop((bob, bobs, here));

        let here = Instance::open(at.path()).unwrap();
        let before = (stored(&here), stored(&there));
        drop(here);
        for _ in 0..2 {
            let here = Instance::open(at.path()).unwrap();
            let sync = here.enable_sync().unwrap();
            sync.register_transport("wires", network.transport("bob"));
            let kept = sync.history(&peer);
            assert!(!kept.is_empty(), "history outlives a restart");
            meet(&sync, room, 100).await;
            sync.actor.stop().await;
            assert_eq!((stored(&here), stored(&there)), before);
            let history = sync.history(&peer);
            assert!(history.len() <= weald_transports::HISTORY_MAX);
            let last = history.iter().rfind(|record| record.database.is_some()).unwrap();
            assert_eq!((&last.outcome, last.database), (&SyncOutcome::Equal, Some(room)));
        }
        assert_eq!(before.0.1, 1, "one row for the one peer");
    }
}

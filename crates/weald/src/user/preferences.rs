//! What a user wants of a database: its key there, and how it is synced.
//!
//! Invariant: wishes alone. What happens is told by the status of sync.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use weald_crdt::Timestamp;
use weald_dag::{DatabaseId, PublicKey};

use super::now;

/// How often a database is compared with peers although nothing seems to have happened, in seconds,
/// unless a user says otherwise.
pub const SYNC_INTERVAL_SECONDS: u64 = 300;

/// How a user wants a database synced. Where several users of a device want one, it is synced if
/// any wants it, as often as any wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// Whether it is synced at all, in either direction. True by default.
    pub sync_enabled: bool,
    /// Whether what is committed goes to linked peers at once. True by default.
    pub sync_on_commit: bool,
    /// How often it is compared with linked peers although nothing seems to have happened, in
    /// seconds, at least 1; `None` for never. [`SYNC_INTERVAL_SECONDS`] by default.
    pub interval_seconds: Option<u64>,
    /// What the app keeps here; Weald does not read it. Nothing by default.
    pub properties: BTreeMap<String, String>,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            sync_enabled: true,
            sync_on_commit: true,
            interval_seconds: Some(SYNC_INTERVAL_SECONDS),
            properties: BTreeMap::new(),
        }
    }
}

/// What a user wants of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePreferences {
    /// The database, here or not.
    pub database_id: DatabaseId,
    /// With which of its keys the user opens it; `None` for the one that may do most there, which
    /// is looked up each time.
    pub key_id: Option<PublicKey>,
    /// How it is synced.
    pub sync_settings: SyncSettings,
}

impl DatabasePreferences {
    /// Wants a database with the key that may do most there, and the default sync.
    pub fn new(database_id: DatabaseId) -> Self {
        Self { database_id, key_id: None, sync_settings: SyncSettings::default() }
    }
}

/// The preferences of a user for a database at rest; a row without them means the default.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TrackedRow {
    pub(super) since: Timestamp,
    #[serde(default)]
    key: Option<ByteBuf>,
    #[serde(default)]
    sync: Option<SyncRow>,
}

#[derive(Clone, Serialize, Deserialize)]
struct SyncRow {
    enabled: bool,
    on_commit: bool,
    interval: Option<i64>,
    properties: BTreeMap<String, String>,
}

impl TrackedRow {
    /// The row of a database that is tracked from now on, with the default preferences.
    pub(super) fn new() -> Self {
        Self { since: now(), key: None, sync: None }
    }

    pub(super) fn of(preferences: &DatabasePreferences, since: Timestamp) -> Self {
        let SyncSettings { sync_enabled, sync_on_commit, interval_seconds, properties } =
            preferences.sync_settings.clone();
        let interval = interval_seconds.map(|every| i64::try_from(every).unwrap_or(i64::MAX));
        let (enabled, on_commit) = (sync_enabled, sync_on_commit);
        let sync = Some(SyncRow { enabled, on_commit, interval, properties });
        let key = preferences.key_id.map(|key| ByteBuf::from(*key.as_bytes()));
        Self { since, key, sync }
    }

    pub(super) fn preferences(self, database_id: DatabaseId) -> DatabasePreferences {
        let key = self.key.and_then(|key| key.as_slice().try_into().ok());
        let key_id = key.and_then(|key| PublicKey::from_bytes(key).ok());
        let sync_settings = self.sync.map_or_else(SyncSettings::default, |row| SyncSettings {
            sync_enabled: row.enabled,
            sync_on_commit: row.on_commit,
            interval_seconds: row.interval.and_then(|every| u64::try_from(every).ok()),
            properties: row.properties,
        });
        DatabasePreferences { database_id, key_id, sync_settings }
    }
}

/// What is obeyed of the wishes of all users for one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Combined {
    pub(crate) enabled: bool,
    pub(crate) on_commit: bool,
    pub(crate) interval: Option<Duration>,
}

impl Combined {
    /// What is obeyed for a database for which nobody has a wish.
    pub(crate) fn unwished(removed: bool) -> Self {
        let every = Duration::from_secs(SYNC_INTERVAL_SECONDS);
        Self { enabled: !removed, on_commit: !removed, interval: Some(every).filter(|_| !removed) }
    }

    /// Combines wishes: synced if anybody wants it, as often as anybody wants it who wants it
    /// synced at all. `None` without any wish.
    pub(crate) fn of<'a>(wishes: impl Iterator<Item = &'a SyncSettings>) -> Option<Self> {
        let mut combined = None;
        for wish in wishes {
            let so_far =
                combined.get_or_insert(Self { enabled: false, on_commit: false, interval: None });
            if wish.sync_enabled {
                so_far.enabled = true;
                so_far.on_commit |= wish.sync_on_commit;
                let every = wish.interval_seconds.map(|every| Duration::from_secs(every.max(1)));
                so_far.interval = so_far.interval.into_iter().chain(every).min();
            }
        }
        combined
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(enabled: bool, on_commit: bool, interval: Option<u64>) -> SyncSettings {
        SyncSettings {
            sync_enabled: enabled,
            sync_on_commit: on_commit,
            interval_seconds: interval,
            ..SyncSettings::default()
        }
    }

    #[test]
    fn p31_of_several_users_the_shortest_interval_is_obeyed() {
        let of = |wishes: &[SyncSettings]| Combined::of(wishes.iter());
        let every = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(of(&[]), None);
        let both = of(&[wish(true, false, Some(60)), wish(true, true, Some(20))]).unwrap();
        assert_eq!(both, Combined { enabled: true, on_commit: true, interval: every(20) });
        // Who does not want it synced has no say in how often it is.
        let one = of(&[wish(false, true, Some(1)), wish(true, false, Some(60))]).unwrap();
        assert_eq!(one, Combined { enabled: true, on_commit: false, interval: every(60) });
        let never = of(&[wish(true, true, None)]).unwrap();
        assert_eq!(never.interval, None);
        assert!(!of(&[wish(false, true, None), wish(false, true, Some(5))]).unwrap().enabled);
    }

    proptest! {
        #[test]
        fn preferences_come_back_as_they_were_stored(
            seed in proptest::option::of(any::<[u8; 32]>()),
            enabled: bool, on_commit: bool,
            interval in proptest::option::of(1..i64::MAX as u64),
            properties in proptest::collection::btree_map(".*", ".*", 0..4),
        ) {
            let key_id = seed.map(|seed| weald_dag::SecretKey::from_seed(&seed).public());
            let sync_settings = SyncSettings { properties, ..wish(enabled, on_commit, interval) };
            let database_id = DatabaseId::from_bytes([3; 32]);
            let preferences = DatabasePreferences { database_id, key_id, sync_settings };
            let value =
                weald_crdt::Value::from_serde(&TrackedRow::of(&preferences, now())).unwrap();
            let row: TrackedRow = value.to_serde().unwrap();
            prop_assert_eq!(row.preferences(database_id), preferences);
        }

        #[test]
        fn the_order_of_users_changes_nothing(
            wishes in proptest::collection::vec(
                (any::<bool>(), any::<bool>(), proptest::option::of(1_u64..1000)), 0..5),
        ) {
            let wishes: Vec<_> = wishes.into_iter().map(|(a, b, c)| wish(a, b, c)).collect();
            prop_assert_eq!(Combined::of(wishes.iter()), Combined::of(wishes.iter().rev()));
        }
    }
}

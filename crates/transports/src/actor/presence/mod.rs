//! Presence between the links of an actor: what is said here goes to all of them, what comes on one to the others.
//!
//! Invariant: a message goes on once, and only when it is genuine, of now, and of one who may read; nothing of it
//! is stored, and nobody waits for it.

mod queue;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use weald_dag::{DatabaseId, PublicKey, StoreError};
use weald_sync::{Hearing, PresenceMessage, Reads, Unheard};

pub(crate) use queue::{PresenceQueue, Said};

/// Tells the links of an actor what is said. A cheap clone; it does not keep the actor alive.
#[derive(Debug, Clone, Default)]
pub struct PresenceFeed {
    links: Arc<RwLock<BTreeMap<u64, Listed>>>,
    hearing: Arc<Mutex<Hearing>>,
}

#[derive(Debug)]
struct Listed {
    peer: PublicKey,
    queue: Arc<PresenceQueue>,
}

impl PresenceFeed {
    /// Tells a message that was signed here to every linked peer that may read the database, as far as its link
    /// keeps up.
    ///
    /// Returns at once.
    pub fn tell(&self, database: DatabaseId, message: &Arc<PresenceMessage>) {
        // It may come back by a ring of peers.
        self.hearing().remember(&database, message, wall_millis());
        self.pass_on(database, message, None);
    }

    /// Takes a message that came on a link; whether it is to be listened to is known when this returns.
    pub(crate) fn hear(
        &self,
        reads: &dyn Reads,
        database: &DatabaseId,
        message: &PresenceMessage,
    ) -> Result<Result<(), Unheard>, StoreError> {
        let early = self.hearing().check(database, message, wall_millis());
        if early.is_err() {
            return Ok(early);
        }
        if !reads.may_read(database, &[message.author])? {
            return Ok(Err(Unheard::MayNotRead));
        }
        if !message.is_genuine(database) {
            return Ok(Err(Unheard::Forged));
        }
        // It may have come on another link meanwhile.
        let is_new = self.hearing().remember(database, message, wall_millis());
        Ok(if is_new { Ok(()) } else { Err(Unheard::Repeated) })
    }

    /// Tells a message to every link but those to the peer that it came from.
    pub(crate) fn pass_on(
        &self,
        database: DatabaseId,
        message: &Arc<PresenceMessage>,
        from: Option<PublicKey>,
    ) {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        for link in links.values().filter(|link| Some(link.peer) != from) {
            link.queue.push(Said { database, message: Arc::clone(message) });
        }
    }

    pub(crate) fn add(&self, link: u64, peer: PublicKey) -> Arc<PresenceQueue> {
        let queue = Arc::new(PresenceQueue::default());
        let listed = Listed { peer, queue: Arc::clone(&queue) };
        self.links.write().unwrap_or_else(PoisonError::into_inner).insert(link, listed);
        queue
    }

    pub(crate) fn remove(&self, link: u64) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).remove(&link);
    }

    fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use weald_dag::{EntryId, SecretKey, Snapshot};
    use weald_sync::LocalDatabase;
    use weald_sync::limits::PRESENCE_SKEW_MS;

    use super::*;

    /// Reads of who may read, and of nothing else.
    struct Readers(Vec<PublicKey>);

    impl Reads for Readers {
        fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
            Err(StoreError::Closed)
        }

        fn database(&self, _: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError> {
            Err(StoreError::Closed)
        }

        fn may_read(&self, _: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError> {
            Ok(keys.iter().any(|key| self.0.contains(key)))
        }

        fn known_to(&self, _: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError> {
            Err(StoreError::Closed)
        }

        fn taken_from(
            &self,
            _: &DatabaseId,
            _: &[PublicKey],
        ) -> Result<Option<Vec<EntryId>>, StoreError> {
            Err(StoreError::Closed)
        }

        fn keys_for(&self, _: &DatabaseId, _: &PublicKey) -> Result<Vec<SecretKey>, StoreError> {
            Err(StoreError::Closed)
        }
    }

    const ROOM: DatabaseId = DatabaseId::from_bytes([1; 32]);

    fn said(seed: u8, time: u64) -> PresenceMessage {
        let key = SecretKey::from_seed(&[seed; 32]);
        PresenceMessage::sign(&key, &ROOM, "typing".into(), vec![1], time, [seed; 16])
    }

    #[test]
    fn what_is_forged_old_repeated_or_of_who_may_not_read_is_not_heard() {
        let feed = PresenceFeed::default();
        let now = wall_millis();
        let good = said(1, now);
        let mut reads = Readers(vec![good.author]);
        let hear =
            |message: &PresenceMessage, reads: &Readers| feed.hear(reads, &ROOM, message).unwrap();
        let forged = PresenceMessage { body: vec![2], ..good.clone() };
        assert_eq!(hear(&forged, &reads), Err(Unheard::Forged));
        let stolen = PresenceMessage { author: good.author, ..said(2, now) };
        assert_eq!(hear(&stolen, &reads), Err(Unheard::Forged));
        assert_eq!(hear(&said(2, now), &reads), Err(Unheard::MayNotRead));
        for time in [0, now - PRESENCE_SKEW_MS - 60_000, now + PRESENCE_SKEW_MS + 60_000] {
            assert_eq!(hear(&said(1, time), &reads), Err(Unheard::NotOfNow));
        }
        assert_eq!(hear(&good, &reads), Ok(()), "a forgery before it does not stand in its way");
        assert_eq!(hear(&good, &reads), Err(Unheard::Repeated));
        reads.0.clear();
        assert_eq!(hear(&said(1, now + 1), &reads), Err(Unheard::MayNotRead), "revoked since");
    }

    #[test]
    fn what_comes_goes_to_all_links_but_back_and_what_was_said_here_is_not_heard_again() {
        let feed = PresenceFeed::default();
        let peer = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let (a, b) = (feed.add(1, peer(1)), feed.add(2, peer(2)));
        let message = Arc::new(said(3, wall_millis()));
        feed.pass_on(ROOM, &message, Some(peer(1)));
        assert!(a.take().is_none() && b.take().is_some_and(|said| said.database == ROOM));
        feed.tell(ROOM, &message);
        assert!(a.take().is_some() && b.take().is_some());
        let reads = Readers(vec![message.author]);
        assert_eq!(feed.hear(&reads, &ROOM, &message).unwrap(), Err(Unheard::Repeated));
        feed.remove(2);
        feed.tell(ROOM, &message);
        assert!(a.take().is_some() && b.take().is_none());
    }
}

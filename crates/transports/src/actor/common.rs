//! What each peer and this side held in common when a link between them ended: the next session begins from it.
//!
//! Invariant: it is in memory only and bounded; it is a hint, and whoever lost it finds the difference all the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weald_dag::{DatabaseId, EntryId, PublicKey};
use weald_sync::CommonTips;

use super::limits::COMMON_REMEMBERED_MAX;

#[derive(Debug, Default)]
struct Remembered {
    tips: BTreeMap<(PublicKey, DatabaseId), Vec<EntryId>>,
    /// The same, in the order in which they are forgotten.
    order: VecDeque<(PublicKey, DatabaseId)>,
}

/// Remembers, while the actor runs, what was held in common with its peers. After a restart nothing is remembered:
/// then sums over what is held tell where two histories part.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommonMemory(Arc<Mutex<Remembered>>);

impl CommonMemory {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was held in common with a peer.
    pub(crate) fn of(&self, peer: &PublicKey) -> CommonTips {
        let from = (*peer, DatabaseId::from_bytes([0; 32]));
        let remembered = self.lock();
        let of_peer = remembered.tips.range(from..).take_while(|((key, _), _)| key == peer);
        of_peer.map(|((_, database), tips)| (*database, tips.clone())).collect()
    }

    /// Remembers this of a peer, in place of what was remembered of the same databases. What was
    /// remembered first is forgotten where it is too much.
    pub(crate) fn remember(&self, peer: PublicKey, common: CommonTips) {
        let mut remembered = self.lock();
        let Remembered { tips, order } = &mut *remembered;
        for (database, ids) in common {
            let key = (peer, database);
            if tips.insert(key, ids).is_none() {
                order.push_back(key);
            }
        }
        while order.len() > COMMON_REMEMBERED_MAX
            && let Some(oldest) = order.pop_front()
        {
            tips.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    #[test]
    fn what_is_remembered_is_of_that_peer_is_the_last_and_is_bounded() {
        let memory = CommonMemory::default();
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let database = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            DatabaseId::from_bytes(bytes)
        };
        let one = |n, id| CommonTips::from([(database(n), vec![EntryId::from_bytes([id; 32])])]);
        memory.remember(key(1), one(1, 1));
        memory.remember(key(2), one(1, 2));
        memory.remember(key(1), one(1, 3));
        assert_eq!(memory.of(&key(1)), one(1, 3));
        assert_eq!(memory.of(&key(2)), one(1, 2));
        assert!(memory.of(&key(3)).is_empty());
        (0..COMMON_REMEMBERED_MAX - 1).for_each(|n| memory.remember(key(3), one(n, 4)));
        assert!(memory.of(&key(1)).is_empty());
        assert_eq!(memory.of(&key(2)), one(1, 2));
        assert_eq!(memory.of(&key(3)).len(), COMMON_REMEMBERED_MAX - 1);
    }
}

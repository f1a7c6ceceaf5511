//! What entries are called inside one round of one session, in eight bytes.
//!
//! Invariant: a short id depends on a key that neither side knew before the session began, so nobody can
//! make entries whose short ids collide; never on the id of the entry alone, which can be mined.

use std::fmt;

use siphasher::sip::SipHasher13;
use weald_dag::EntryId;

use crate::hello::derive;
use crate::naming::Name;

/// Half of what is derived: the key of one hash.
const KEY_LEN: usize = 16;

/// The short ids of one database in one round of one session; the same on both sides.
#[derive(Clone)]
pub(crate) struct ShortIds {
    ids: SipHasher13,
    checks: Checks,
}

/// A second hash of short ids, by which a sum of one is told from a sum of several.
#[derive(Clone)]
pub(crate) struct Checks(SipHasher13);

impl ShortIds {
    /// Makes those of a round. `transcript` is the digest of both Hellos, their nonces in it; `round`
    /// must be a number that both sides know and that no other round of this session has for
    /// this database.
    pub(crate) fn new(transcript: &[u8; 32], name: &Name, round: u64) -> Self {
        let parts: [&[u8]; 3] = [transcript, name.0.as_slice(), &round.to_le_bytes()];
        let keys = derive("weald 2026 sync short ids v1", &parts);
        let (mut id, mut check) = ([0; KEY_LEN], [0; KEY_LEN]);
        id.iter_mut().chain(&mut check).zip(keys).for_each(|(to, from)| *to = from);
        let checks = Checks(SipHasher13::new_with_key(&check));
        Self { ids: SipHasher13::new_with_key(&id), checks }
    }

    /// Returns the short id of an entry.
    pub(crate) fn short(&self, entry: &EntryId) -> u64 {
        let short = self.ids.hash(entry.as_bytes());
        #[cfg(feature = "testing")]
        let short = crate::testing::weakened(short);
        short
    }

    /// Returns the second hash of these short ids.
    pub(crate) const fn checks(&self) -> &Checks {
        &self.checks
    }
}

impl Checks {
    /// Returns the check of a short id.
    pub(crate) fn of(&self, short: u64) -> u64 {
        self.0.hash(&short.to_le_bytes())
    }
}

impl fmt::Debug for ShortIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortIds").finish_non_exhaustive()
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteArray;

    use super::*;

    #[test]
    fn short_ids_differ_by_session_database_and_round() {
        let entry = EntryId::from_bytes([7; 32]);
        let name = |byte| Name(ByteArray::new([byte; 16]));
        let of = |transcript: u8, database, round| {
            let ids = ShortIds::new(&[transcript; 32], &name(database), round);
            (ids.short(&entry), ids.checks().of(5))
        };

        assert_eq!(of(1, 1, 0), of(1, 1, 0));
        let mut all = vec![of(1, 1, 0), of(2, 1, 0), of(1, 2, 0), of(1, 1, 1)];
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }
}

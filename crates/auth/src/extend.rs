//! Resolutions that grow by one entry, without another pass.
//!
//! Invariant: what [`extend`] adds leaves a resolution as one pass over the grown set makes it.

use std::sync::Arc;

use crate::cache::{Cache, Known};
use crate::entries::{Entries, Kept};
use crate::epoch::Before;
use crate::holding::Strength;
use crate::operation::Subject;
use crate::past::Past;
use crate::rank::Rank;
use crate::resolve::resolve;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;
use crate::uses::{Asks, User};

/// How many entries a known resolution is extended by at most, before another pass is cheaper.
const EXTENDED_MAX: usize = 256;

/// What came of adding an entry to a resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extended {
    /// It is hidden, which changes nothing.
    Hidden,
    /// It counts, and all others as before.
    Counts,
    /// It counts and others may count otherwise; nothing was added, and a pass must tell.
    Moves,
}

/// Adds a settings entry to a resolved set that holds its past and nothing that descends from it.
pub(crate) fn extend(entries: &Entries, resolved: &mut Resolved, index: SettingsIndex) -> Extended {
    let Some(kept) = entries.get(index) else { return Extended::Hidden };
    let Some(rank) = rank_among(entries, resolved, index, &|_| true) else {
        return Extended::Hidden;
    };
    let invite = resolved.invite_at(kept, rank);
    // If there are as many uses as count without it, it takes the place of the last one.
    let displaces = invite.is_some_and(|held| match held.strength {
        Strength::Invite { uses, .. } => {
            u32::try_from(resolved.uses_of(held).count()).is_ok_and(|used| used >= uses)
        }
        Strength::Level(_) => false,
    });
    let past = entries.epochs.past_of_entry(index);
    // A limit acts on nothing in its past, and nothing here descends from what it gives.
    let acts_on = |user: &SettingsIndex| match resolved.rank(*user) {
        None => false,
        // On a use that is not weaker than itself a limit never acts, but a limit on oneself does.
        Some(used) if used == rank => {
            kept.is_own_limit() && !entries.get(*user).is_some_and(Kept::is_own_limit)
        }
        Some(used) => used > rank,
    };
    let mut limited = kept.limits().map(|(subject, _)| entries.users_of(subject));
    if displaces || limited.any(|users| any_beside(past, users, &acts_on)) {
        return Extended::Moves;
    }
    resolved.count(index, kept, rank);
    Extended::Counts
}

/// Returns whether a limit acts on any of these entries that is not in its past.
fn any_beside(
    past: Option<&Past>,
    users: &[SettingsIndex],
    acts_on: &dyn Fn(&SettingsIndex) -> bool,
) -> bool {
    let front = SettingsIndex(past.map_or(0, Past::front));
    let open = users.get(users.partition_point(|user| *user < front)..).unwrap_or_default();
    let is_known = |user: &SettingsIndex| past.is_some_and(|past| past.contains(*user));
    open.iter().any(|user| !is_known(user) && acts_on(user))
}

/// Returns the rank under which an entry counts by those limits and uses of a resolution that `sees`
/// tells of.
pub(crate) fn rank_among(
    entries: &Entries,
    resolved: &Resolved,
    index: SettingsIndex,
    sees: &Asks<'_>,
) -> Option<Rank> {
    let kept = entries.get(index)?;
    if kept.generation == 0 {
        return Some(Rank::ROOT);
    }
    let need = kept.need.as_ref()?;
    let user = User {
        author: Subject::Key(kept.author),
        millis: kept.time.millis(),
        place: (kept.generation, kept.id),
        limits_itself: need.is_own_limit(),
        knows: &|other| entries.precedes(other, index),
        sees,
        is_before: &|limit| limit == index || entries.precedes(index, limit),
        precedes: &|a, b| entries.precedes(a, b),
    };
    resolved.rank_of(need, user)
}

/// Returns what counts in the past of an entry: from the cache, or by the shortest way to it.
pub(crate) fn of_past(entries: &Entries, cache: &Cache, before: &Before) -> Arc<Resolved> {
    let tips = entries.epochs.tips_before(before);
    if let Some(known) = cache.get(tips) {
        return known;
    }
    let empty = Past::default();
    let past = entries.epochs.past(before).unwrap_or(&empty);
    let base = cache.greatest_within(past);
    let extended = base.and_then(|known| {
        let missing = past.without(&known.past, entries.count());
        extended(entries, known.resolved, &missing)
    });
    let resolved = extended.unwrap_or_else(|| Arc::new(resolve(entries, Some(past))));
    let (tips, past) = (tips.into(), past.clone());
    cache.put(Known { tips, past, resolved: Arc::clone(&resolved) });
    resolved
}

fn extended(
    entries: &Entries,
    base: Arc<Resolved>,
    missing: &[SettingsIndex],
) -> Option<Arc<Resolved>> {
    if missing.len() > EXTENDED_MAX {
        return None;
    }
    let mut resolved = Arc::unwrap_or_clone(base);
    let grows = |index| extend(entries, &mut resolved, index) != Extended::Moves;
    missing.iter().copied().all(grows).then(|| Arc::new(resolved))
}

#[cfg(test)]
mod tests {
    use weald_dag::{EntryId, PublicKey, SecretKey, Time};

    use super::*;
    use crate::epoch::EpochId;
    use crate::level::Level;
    use crate::need::Claim;
    use crate::operation::Operation;
    use crate::tables::Tables;

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    /// Adds an entry right after the root.
    fn add(tables: &mut Tables, place: u8, author: u8, operation: Operation) -> Extended {
        let epoch = match place {
            0 => EpochId::EMPTY,
            _ => tables.entries.epochs.intern(vec![SettingsIndex(0)]),
        };
        let claim = Claim {
            id: EntryId::from_bytes([place + 1; 32]),
            author: key(author),
            generation: u64::from(place > 0),
            time: Time::from_millis(1),
            writes_data: false,
            operations: Some(&[operation]),
        };
        tables.add(epoch, &claim).1
    }

    #[test]
    fn limits_of_one_key_on_itself_beside_each_other_make_no_pass() {
        let mut tables = Tables::new();
        let (subject, level) = (Subject::Key(key(1)), Level::Admin(0));
        let root = Operation::Grant { subject, level, name: None, expires: None };
        add(&mut tables, 0, 1, root);
        let leave = Operation::Limit { subject, to: None };
        let set = Operation::Set { key: "name".into(), value: "garden".into() };

        let made: Vec<_> = (1..9).map(|at| add(&mut tables, at, 1, leave.clone())).collect();
        assert_eq!(made, [Extended::Counts; 8]);
        assert_eq!(add(&mut tables, 9, 1, set), Extended::Hidden);
    }

    #[test]
    fn a_limit_on_oneself_makes_a_pass_for_what_it_takes_back() {
        let mut tables = Tables::new();
        let (subject, level) = (Subject::Key(key(1)), Level::Admin(0));
        let root = Operation::Grant { subject, level, name: None, expires: None };
        add(&mut tables, 0, 1, root);
        let set = Operation::Set { key: "name".into(), value: "garden".into() };
        let leave = Operation::Limit { subject, to: None };

        assert_eq!(add(&mut tables, 1, 1, set), Extended::Counts);
        assert_eq!(add(&mut tables, 2, 1, leave), Extended::Moves);
    }
}

//! Why two peers do not hold the same entries of a database, worked out when it is asked.
//!
//! Invariant: nothing is asked of a peer and nothing is kept; what is said is what is known here now.

mod cause;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weald_dag::limits::CLOCK_AHEAD_MAX_MS;
use weald_dag::{DatabaseId, EntryId, Graph, PublicKey};
use weald_engine::Held;
use weald_sync::{Classes, CloseReason, DatabaseState, DatabaseStatus, Farewell};
use weald_transports::{PeerState, PeerStatus, SyncError, SyncStatus};

pub use cause::Cause;

use super::PeerSync;
use crate::error::Error;

/// Why two peers do not hold the same entries of a database. Its [`Display`](fmt::Display) is for people.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Why {
    /// The database.
    pub database: DatabaseId,
    /// The peer.
    pub peer: PublicKey,
    /// All that is known to the point, what is to be mended first at the front; never empty.
    pub causes: Vec<Cause>,
}

impl Why {
    /// Returns whether nothing is known that keeps the two apart.
    pub fn is_well(&self) -> bool {
        !self.causes.iter().any(Cause::keeps_apart)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} and peer {}: ", self.database.short(), self.peer.short())?;
        for (place, cause) in self.causes.iter().enumerate() {
            let between = if place == 0 { "" } else { "; also, " };
            write!(f, "{between}{cause}")?;
        }
        Ok(())
    }
}

impl PeerSync {
    /// Tells why this device and a peer do not hold the same entries of a database, or that they do, from what
    /// is known here now: the preferences, the link, the last comparison, the settings of the database.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn why(&self, database: &DatabaseId, peer: &PublicKey) -> Result<Why, Error> {
        let mut causes = self.of_database(database)?;
        if *peer == self.core.device.public() {
            causes.push(Cause::Ourselves);
        } else {
            match self.actor.peer(peer) {
                None => causes.push(Cause::PeerUnknown),
                Some(status) if status.state == PeerState::Connected => {
                    causes.extend(self.of_session(database, &status)?);
                }
                Some(status) => causes.extend(self.of_link(database, &status)?),
            }
        }
        causes.extend(self.of_wishes(database));
        // What is synced with nobody needs no relation, and waits for no round.
        if causes.iter().any(|cause| matches!(cause, Cause::OwnDatabase | Cause::SyncDisabled)) {
            causes.retain(|cause| {
                !matches!(cause, Cause::NotRelated | Cause::RoundRunning { .. } | Cause::Dialling)
            });
        }
        // That nothing is here yet matters least where it is known why.
        causes.sort_by_key(|cause| {
            matches!(cause, Cause::NotHere | Cause::Incomplete { .. } | Cause::NotOnCommit { .. })
        });
        Ok(Why { database: *database, peer: *peer, causes })
    }

    /// What keeps the database from being synced with anybody.
    fn of_database(&self, database: &DatabaseId) -> Result<Vec<Cause>, Error> {
        let held = self.core.held(database)?;
        let mut causes = Vec::new();
        if held.as_ref().is_some_and(|held| held.system) {
            causes.push(Cause::OwnDatabase);
        } else if !self.core.wanted.combined(database).enabled {
            causes.push(Cause::SyncDisabled);
        }
        match held {
            None => causes.push(Cause::NotHere),
            Some(held) if !held.complete => {
                causes.push(Cause::Incomplete { entries: self.entries(&held)? });
            }
            Some(_) => {}
        }
        Ok(causes)
    }

    fn entries(&self, held: &Held) -> Result<u64, Error> {
        let rows = self.core.rows()?;
        let head = Graph::new(&rows, held.number).head()?;
        Ok(head.map_or(0, |(newest, _)| newest.0 + 1))
    }

    fn of_wishes(&self, database: &DatabaseId) -> Option<Cause> {
        let combined = self.core.wanted.combined(database);
        let late = combined.enabled && !combined.on_commit;
        late.then_some(Cause::NotOnCommit { interval: combined.interval })
    }

    /// What keeps a link from being open.
    fn of_link(&self, database: &DatabaseId, peer: &PeerStatus) -> Result<Vec<Cause>, Error> {
        let mut causes = Vec::new();
        let error = peer.last_error.clone();
        causes.extend(error.as_ref().and_then(lasting));
        match peer.state {
            PeerState::Connecting => causes.push(Cause::Dialling),
            PeerState::Waiting { next_retry } => causes.push(Cause::Waiting { error, next_retry }),
            _ if peer.record.addresses.is_empty() => {
                causes.push(Cause::NoAddress { listening: !self.actor.servers().is_empty() });
            }
            _ => causes.push(Cause::Unlinked { error }),
        }
        let kinds = self.actor.kinds();
        let mut unreached: Vec<_> =
            peer.record.addresses.iter().map(|address| address.kind().to_owned()).collect();
        unreached.sort();
        unreached.dedup();
        if !unreached.is_empty() && !unreached.iter().any(|kind| kinds.contains(kind)) {
            causes.insert(0, Cause::NoTransport { kinds: unreached });
        }
        if !peer.record.databases.contains(database) {
            causes.push(Cause::NotRelated);
        }
        if let Some(error) = peer.databases.get(database).and_then(|of| of.last_error.clone()) {
            causes.push(self.of_error(database, error)?);
        }
        Ok(causes)
    }

    /// What a session says of the database.
    fn of_session(&self, database: &DatabaseId, peer: &PeerStatus) -> Result<Vec<Cause>, Error> {
        let Some(status) = peer.databases.get(database) else {
            return Ok(vec![Cause::NotRelated]);
        };
        let Some(session) = &status.session else {
            if status.left {
                return Ok(vec![Cause::LeftThere]);
            }
            // What failed says more than that nobody here asked for it.
            return Ok(vec![match &status.last_error {
                Some(error) => self.of_error(database, error.clone())?,
                None if peer.record.databases.contains(database) => {
                    Cause::RoundRunning { pending_in: 0, pending_out: 0 }
                }
                None => Cause::NotRelated,
            }]);
        };
        let cause = match session.state {
            DatabaseState::Asked | DatabaseState::Comparing | DatabaseState::Transferring => {
                running(session)
            }
            DatabaseState::Denied => Cause::DeniedThere,
            DatabaseState::Revoked => Cause::Revoked { by: self.taken_by(database)? },
            DatabaseState::Ended => Cause::PeerMayNotRead,
            DatabaseState::Left => Cause::LeftThere,
            DatabaseState::Live => return self.of_round(database, status, session),
        };
        Ok(vec![cause])
    }

    /// What the last comparison has left.
    fn of_round(
        &self,
        database: &DatabaseId,
        status: &SyncStatus,
        session: &DatabaseStatus,
    ) -> Result<Vec<Cause>, Error> {
        let mut causes = session.classes.map(|classes| of_classes(&classes, status));
        let causes = causes.get_or_insert_default();
        if session.pending_in + session.pending_out > 0 {
            causes.push(running(session));
        }
        match (&status.last_error, status.last_success) {
            (Some(error), _) if causes.is_empty() => {
                causes.push(self.of_error(database, error.clone())?);
            }
            (None, Some(at)) if !causes.iter().any(Cause::keeps_apart) => {
                causes.push(Cause::Equal { at });
            }
            _ if causes.is_empty() => causes.push(running(session)),
            _ => {}
        }
        Ok(std::mem::take(causes))
    }

    fn of_error(&self, database: &DatabaseId, error: SyncError) -> Result<Cause, Error> {
        Ok(match error {
            SyncError::DatabaseUnknown { .. } => Cause::DeniedThere,
            SyncError::Revoked { .. } => Cause::Revoked { by: self.taken_by(database)? },
            SyncError::PeerMayNotRead { .. } => Cause::PeerMayNotRead,
            SyncError::NotSynced { .. } => Cause::SyncDisabled,
            other => Cause::Failed { error: other },
        })
    }

    /// The settings entries here that took access from the keys of this device.
    fn taken_by(&self, database: &DatabaseId) -> Result<Vec<EntryId>, Error> {
        let Some(held) = self.core.held(database)? else { return Ok(Vec::new()) };
        let authority = self.core.authority(&held)?;
        let current = authority.current();
        let unlocked = self.core.key_ring.unlocked();
        let own = unlocked.iter().map(|key| key.public()).chain([self.core.device.public()]);
        let limits = own.flat_map(|key| current.limits_on(&key));
        Ok(limits.map(|(entry, _)| entry).collect())
    }
}

const fn running(session: &DatabaseStatus) -> Cause {
    Cause::RoundRunning { pending_in: session.pending_in, pending_out: session.pending_out }
}

/// Returns what it is about a failure that trying again will not mend.
fn lasting(error: &SyncError) -> Option<Cause> {
    match error {
        SyncError::WrongPeer { .. } => Some(Cause::WrongPeer),
        SyncError::Session(CloseReason::Version { .. } | CloseReason::Told(Farewell::Version)) => {
            Some(Cause::ProtocolVersion { error: error.clone() })
        }
        _ => None,
    }
}

/// What became of the newest entries of both sides.
fn of_classes(classes: &Classes, status: &SyncStatus) -> Vec<Cause> {
    let (theirs, ours) = (&classes.theirs, &classes.ours);
    let mut causes = Vec::new();
    if theirs.held_back > 0 {
        let (entry, time) = status.held_back.unzip();
        let let_in = |time: weald_dag::Time| {
            let millis = time.millis().saturating_sub(CLOCK_AHEAD_MAX_MS);
            // The time is the peer's word: it may lie behind all that a clock tells.
            UNIX_EPOCH.checked_add(Duration::from_millis(millis))
        };
        let until: Option<SystemTime> = time.and_then(let_in);
        causes.push(Cause::HeldBackHere { entry, until });
    }
    let found = [
        (theirs.newer_version, Cause::NewerVersionHere),
        (ours.newer_version, Cause::NewerVersionThere),
        (ours.held_back, Cause::HeldBackThere { tips: ours.held_back }),
        (ours.withheld, Cause::PeerMayNotRead),
        (theirs.refused, Cause::RefusedHere { last: status.refused.clone() }),
        (ours.refused, Cause::RefusedThere { tips: ours.refused }),
        (theirs.unwanted, Cause::UnwantedHere { tips: theirs.unwanted }),
        (ours.unwanted, Cause::UnwantedThere { tips: ours.unwanted }),
        (
            theirs.missing + theirs.withheld + ours.missing,
            Cause::Missing { here: theirs.missing + theirs.withheld, there: ours.missing },
        ),
    ];
    causes.extend(found.into_iter().filter(|(tips, _)| *tips > 0).map(|(_, cause)| cause));
    causes
}

#[cfg(test)]
mod tests {
    use weald_dag::Time;
    use weald_sync::Tally;

    use super::*;

    fn said(classes: &Classes, status: &SyncStatus) -> Vec<String> {
        of_classes(classes, status).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn p54_what_became_of_the_newest_entries_is_said_of_each_side() {
        let one = |change: fn(&mut Tally)| {
            let mut tally = Tally::default();
            change(&mut tally);
            tally
        };
        for (change, here, there) in [
            (
                (|tally| tally.newer_version = 1) as fn(&mut Tally),
                "update this device",
                "update the peer",
            ),
            (|tally| tally.held_back = 1, "held back", "holds back"),
            (|tally| tally.refused = 1, "refused here", "has refused"),
            (|tally| tally.unwanted = 1, "hidden here", "hidden at the peer"),
            (|tally| tally.missing = 1, "missing here", "missing here and 1 there"),
        ] {
            let (theirs, ours) = (one(change), one(change));
            let status = SyncStatus::default();
            let at_us = said(&Classes { theirs, ours: Tally::default() }, &status);
            assert!(at_us.len() == 1 && at_us[0].contains(here), "{at_us:?}");
            let at_them = said(&Classes { theirs: Tally::default(), ours }, &status);
            assert!(at_them.len() == 1 && at_them[0].contains(there), "{at_them:?}");
        }
        assert!(said(&Classes::default(), &SyncStatus::default()).is_empty());
    }

    #[test]
    fn p54_an_entry_held_back_is_named_with_the_time_when_it_is_let_in() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = u64::try_from(now.as_millis()).unwrap();
        let entry = EntryId::from_bytes([7; 32]);
        let time = Time::from_millis(now + CLOCK_AHEAD_MAX_MS + 100_000);
        let mut status = SyncStatus::default();
        status.held_back = Some((entry, time));
        let mut classes = Classes::default();
        classes.theirs.held_back = 1;
        let words = said(&classes, &status).remove(0);
        assert!(words.contains(&entry.short().to_string()), "{words}");
        assert!(words.contains("taken in 99 s") || words.contains("taken in 100 s"), "{words}");
    }
}

//! One cause, as a sentence for people.
//!
//! Invariant: a sentence says what is so, and what can be done where something can be done.

use std::fmt;
use std::time::{Duration, SystemTime};

use weald_dag::{EntryId, Refusal};
use weald_transports::SyncError;

/// Why two peers do not hold the same entries of a database, or that they do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Cause {
    /// Both held the same when they compared last, and nothing has changed since that is known here.
    Equal {
        /// When they compared.
        at: SystemTime,
    },
    /// They are at it: comparing, or moving entries.
    RoundRunning {
        /// Batches and entries that came and are not stored yet.
        pending_in: u64,
        /// Entries still to be sent.
        pending_out: u64,
    },
    /// The peer is this device.
    Ourselves,
    /// Nothing is known of the peer.
    PeerUnknown,
    /// No address of the peer is known, so it has to come by itself.
    NoAddress {
        /// Whether this device listens, so that it can.
        listening: bool,
    },
    /// No registered transport reaches an address of the peer.
    NoTransport {
        /// The kinds of its addresses.
        kinds: Vec<String>,
    },
    /// The peer is being dialled.
    Dialling,
    /// Reaching the peer failed, and it is tried again.
    Waiting {
        /// Why it failed.
        error: Option<SyncError>,
        /// When it is tried again.
        next_retry: SystemTime,
    },
    /// The link was lost or could not be opened, and nothing has the peer dialled again.
    Unlinked {
        /// Why, if something failed.
        error: Option<SyncError>,
    },
    /// A link is open, and the database is not kept in sync with this peer.
    NotRelated,
    /// The preferences of this device's users say that the database is not synced.
    SyncDisabled,
    /// By the preferences, what is new is not sent at once.
    NotOnCommit {
        /// How often the database is compared; `None` for never.
        interval: Option<Duration>,
    },
    /// The database is the instance's own and never synced.
    OwnDatabase,
    /// Nothing of the database is here.
    NotHere,
    /// The first sync of the database has not brought all of it yet.
    Incomplete {
        /// How many entries are here.
        entries: u64,
    },
    /// The peer does not have the database, or gives it to none of this device's keys; it does not say which.
    DeniedThere,
    /// The peer says that this device's access was taken away.
    Revoked {
        /// The settings entries that took it, as far as they are here.
        by: Vec<EntryId>,
    },
    /// The peer may not read the database.
    PeerMayNotRead,
    /// The peer has stopped syncing the database.
    LeftThere,
    /// An entry of the peer is held back here, as its time lies ahead of this device's clock.
    HeldBackHere {
        /// The entry, if it came since the start.
        entry: Option<EntryId>,
        /// When it will be taken.
        until: Option<SystemTime>,
    },
    /// The peer holds entries back because their time lies ahead of its clock.
    HeldBackThere {
        /// How many of the newest.
        tips: u64,
    },
    /// The peer has entries of a newer version than this build reads.
    NewerVersionHere,
    /// Entries of this device are of a newer version than the peer reads.
    NewerVersionThere,
    /// Entries of the peer were refused here for good.
    RefusedHere {
        /// The last one and why, if it came since the start.
        last: Option<(EntryId, Refusal)>,
    },
    /// The peer has refused entries for good.
    RefusedThere {
        /// How many of the newest.
        tips: u64,
    },
    /// Entries of the peer would be hidden here: by what this device knows of who may do what, they do not stand.
    UnwantedHere {
        /// How many of the newest.
        tips: u64,
    },
    /// Entries of this device would be hidden at the peer: it knows otherwise of who may do what.
    UnwantedThere {
        /// How many of the newest.
        tips: u64,
    },
    /// Something has not come in the last comparison.
    Missing {
        /// How many of the peer's newest entries are not here.
        here: u64,
        /// How many of this device's newest entries are not there.
        there: u64,
    },
    /// Another device answers at the peer's address.
    WrongPeer,
    /// The two speak no common version of the protocol.
    ProtocolVersion {
        /// The error, which says who speaks what.
        error: SyncError,
    },
    /// The last sync of the database failed.
    Failed {
        /// Why.
        error: SyncError,
    },
}

impl Cause {
    /// Returns whether it keeps the two from holding the same; it may also be that nothing does, or that it is
    /// being seen to.
    pub const fn keeps_apart(&self) -> bool {
        !matches!(
            self,
            Self::Equal { .. }
                | Self::RoundRunning { .. }
                | Self::Dialling
                | Self::NotOnCommit { .. }
        )
    }
}

/// Writes how far a time is from now, in words.
fn far(f: &mut fmt::Formatter<'_>, at: SystemTime) -> fmt::Result {
    let now = SystemTime::now();
    match at.duration_since(now) {
        Ok(ahead) => write!(f, "in {} s", ahead.as_secs().max(1)),
        Err(_) => {
            write!(f, "{} s ago", now.duration_since(at).unwrap_or_default().as_secs())
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal { .. }
            | Self::RoundRunning { .. }
            | Self::Dialling
            | Self::Waiting { .. }
            | Self::Unlinked { .. } => self.of_link(f),
            Self::HeldBackHere { .. }
            | Self::HeldBackThere { .. }
            | Self::NewerVersionHere
            | Self::NewerVersionThere
            | Self::RefusedHere { .. }
            | Self::RefusedThere { .. }
            | Self::UnwantedHere { .. }
            | Self::UnwantedThere { .. }
            | Self::Missing { .. } => self.of_entries(f),
            _ => self.of_standing(f),
        }
    }
}

impl Cause {
    fn of_link(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal { at } => {
                f.write_str("both held the same when they compared last, ")?;
                far(f, *at)
            }
            Self::RoundRunning { pending_in, pending_out } => write!(
                f,
                "they are comparing or moving entries now ({pending_in} to be stored here, {pending_out} to be sent): wait for it"
            ),
            Self::Dialling => f.write_str("the peer is being dialled: wait for it"),
            Self::Waiting { error, next_retry } => {
                f.write_str("the peer was not reached and is tried again ")?;
                far(f, *next_retry)?;
                error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
            }
            Self::Unlinked { error: Some(error) } => {
                write!(f, "no link to the peer is open, and it is not dialled by itself: {error}")
            }
            _ => f.write_str(
                "no link to the peer is open: connect to it, or keep a database in sync with it",
            ),
        }
    }

    fn of_entries(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeldBackHere { entry, until } => {
                match entry {
                    Some(entry) => write!(f, "entry {} of the peer", entry.short())?,
                    None => f.write_str("an entry of the peer")?,
                }
                f.write_str(" says that it was made in the future and is held back: check the clocks of both devices")?;
                let Some(until) = until else { return Ok(()) };
                f.write_str("; by this clock it is taken ")?;
                far(f, *until)
            }
            Self::HeldBackThere { tips } => write!(
                f,
                "the peer holds back {tips} of the newest entries here, as their time lies ahead of its clock: check the clocks of both devices"
            ),
            Self::NewerVersionHere => f.write_str(
                "the peer has entries of a newer version than this build reads: update this device",
            ),
            Self::NewerVersionThere => f.write_str(
                "the peer does not read the version of entries that are here: update the peer",
            ),
            Self::RefusedHere { last: Some((entry, reason)) } => {
                write!(f, "entry {} of the peer was refused here: {reason}", entry.short())
            }
            Self::RefusedHere { last: None } => f.write_str(
                "entries of the peer are refused here for good: sync with another peer if that is a mistake",
            ),
            Self::RefusedThere { tips } => write!(
                f,
                "the peer has refused {tips} of the newest entries here for good: ask there why"
            ),
            Self::UnwantedHere { tips } => write!(
                f,
                "{tips} of the peer's newest entries would be hidden here, as their author may not write by what is known here: ask an administrator, or sync with whoever has newer settings"
            ),
            Self::UnwantedThere { tips } => write!(
                f,
                "{tips} of the newest entries here would be hidden at the peer, as their author may not write by what is known there: ask an administrator, or sync the settings first"
            ),
            Self::Missing { here, there } => write!(
                f,
                "the last comparison left {here} of the peer's newest entries missing here and {there} there: it is tried again; sync with another peer that has them"
            ),
            _ => Ok(()),
        }
    }

    fn of_standing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUnknown => f.write_str(
                "nothing is known of the peer: connect to its address, register it, or join by its ticket",
            ),
            Self::NoAddress { listening: true } => f.write_str(
                "no address of the peer is known, so it has to connect to this device: register an address of it",
            ),
            Self::NoAddress { listening: false } => f.write_str(
                "no address of the peer is known, and this device accepts no connections: register an address of the peer, or accept connections here",
            ),
            Self::NoTransport { kinds } => write!(
                f,
                "no transport reaches the peer's addresses: register one of kind {}",
                kinds.join(" or ")
            ),
            Self::NotRelated => f.write_str(
                "the database is not kept in sync with this peer: sync it with the peer once",
            ),
            Self::NotOnCommit { interval: Some(interval) } => write!(
                f,
                "by the preferences what is new is not sent at once but compared every {} s: sync now, or enable sync on commit",
                interval.as_secs()
            ),
            Self::DeniedThere => f.write_str(
                "the peer does not have the database, or lets no key of this device read it: check the id, and ask its owner for access",
            ),
            Self::Incomplete { entries } => write!(
                f,
                "the first sync has brought {entries} entries and not all yet; until it has, nothing written here is sent: leave it running, or sync with another peer that has all"
            ),
            Self::Revoked { by } => {
                f.write_str("this device's access was taken away")?;
                if let Some(by) = by.last() {
                    write!(f, " by entry {}", by.short())?;
                }
                f.write_str(": ask an administrator for access")
            }
            Self::ProtocolVersion { error } | Self::Failed { error } => write!(f, "{error}"),
            fixed => f.write_str(fixed.words()),
        }
    }

    const fn words(&self) -> &'static str {
        match self {
            Self::Ourselves => "the peer is this device itself: name another one",
            Self::SyncDisabled => {
                "the users of this device do not want the database synced: enable its sync in a user's preferences, or add it again"
            }
            Self::NotOnCommit { .. } => {
                "by the preferences what is new is sent neither at once nor from time to time: sync now, or change the preferences"
            }
            Self::OwnDatabase => "the database is the instance's own and never synced",
            Self::NotHere => {
                "nothing of the database is here: sync it with the peer, or join by a ticket"
            }
            Self::PeerMayNotRead => {
                "the peer may not read the database: grant a key of it access, or check that its user is logged in there"
            }
            Self::LeftThere => {
                "the peer does not sync the database any more: ask its user to enable it again"
            }
            Self::WrongPeer => {
                "another device answers at the peer's address: check the address or the ticket"
            }
            _ => "",
        }
    }
}

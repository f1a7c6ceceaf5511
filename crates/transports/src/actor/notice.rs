//! What links, dials and listeners tell the actor, and what it tells links.

use std::collections::BTreeSet;
use std::time::Duration;

use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_sync::{CloseReason, Farewell, PeerFault, RequestAnswer};

use super::discovering::DiscoveryReply;
use super::error::SyncError;
use super::host::HostError;
use super::limits::{DISTRUST, RETRY_MAX};
use super::wait::Waiter;
use crate::address::Address;
use crate::link::{Link, LinkError};

/// Names a link, a dial or a listener of an actor.
pub(crate) type Token = u64;

/// Something that the actor must know.
pub(crate) enum Notice {
    /// A peer has opened a link.
    Arrived(Link),
    /// A dial has ended.
    Dialled { dial: Token, outcome: Result<(Address, Link), SyncError> },
    /// The peer of a link is proven; the link waits for [`LinkCommand::Accept`].
    Proven { link: Token, peer: PublicKey, name: String },
    /// A database that this side asked for is synced on a link.
    Opened { link: Token, database: DatabaseId },
    /// A round on a link has ended well.
    Settled { link: Token },
    /// Someone who waited on a link has what was waited for, or cannot have it.
    Answered { waiter: Waiter, outcome: Result<PublicKey, SyncError> },
    /// A first sync has brought all of a database.
    Complete { link: Token, database: DatabaseId },
    /// A link has ended.
    Ended(LinkEnd),
    /// A listener has ended by itself.
    Deaf { listener: Token },
}

/// How a link ended.
pub(crate) struct LinkEnd {
    pub(crate) link: Token,
    pub(crate) reason: EndReason,
    /// Who still waits.
    pub(crate) waiters: Vec<Waiter>,
}

/// Why a link ended.
#[derive(Debug, Clone)]
pub(crate) enum EndReason {
    /// The session ended it.
    Session(CloseReason),
    /// It was cut.
    Link(LinkError),
    /// The peer does not take what is sent.
    NotRead,
    /// The own instance failed.
    Host(HostError),
    /// Another link to the same peer took its place.
    Replaced,
    /// It came in from a peer with whom nothing is kept in sync, and too many of those are open.
    Crowded,
    /// It came in from a peer that has broken the protocol a short while ago.
    Shunned,
    /// The actor stops.
    Stopped,
}

impl EndReason {
    /// Returns it as the error of an operation that was under way; `None` where the link ended in order.
    pub(crate) fn error(&self, expected: Option<PublicKey>) -> Option<SyncError> {
        use CloseReason::{Told, WrongPeer};
        match (self, expected) {
            // Either side may be the first to notice.
            (Self::Session(WrongPeer { .. } | Told(Farewell::WrongPeer)), Some(expected)) => {
                Some(SyncError::WrongPeer { expected })
            }
            _ => self.own_error(),
        }
    }

    fn own_error(&self) -> Option<SyncError> {
        match self {
            Self::Session(CloseReason::Requested) | Self::Replaced | Self::Shunned => None,
            Self::Session(reason) => Some(SyncError::Session(reason.clone())),
            Self::Link(error) => Some(SyncError::Link(error.clone())),
            Self::NotRead => Some(SyncError::NotRead),
            Self::Host(error) => Some(SyncError::Host(error.clone())),
            Self::Crowded => Some(SyncError::TooManyLinks),
            Self::Stopped => Some(SyncError::InstanceDropped),
        }
    }

    /// Returns whether dialling the same address again soon would only fail again.
    ///
    /// What was changed on its way, here or as the peer says, may come through the next time.
    pub(crate) const fn is_lasting(&self) -> bool {
        match self {
            Self::Session(CloseReason::Fault(
                PeerFault::Tampered | PeerFault::OutOfOrder { .. },
            )) => false,
            Self::NotRead => true,
            Self::Session(reason) => matches!(
                reason,
                CloseReason::Version { .. }
                    | CloseReason::NotRead { .. }
                    | CloseReason::WrongPeer { .. }
                    | CloseReason::Ourselves
                    | CloseReason::Sealing { .. }
                    | CloseReason::Fault(_)
                    | CloseReason::Told(
                        Farewell::Version | Farewell::WrongPeer | Farewell::Sealing
                    )
            ),
            _ => false,
        }
    }

    /// Returns for how long a peer that has ended a link so is refused when it comes again; `None` where it is not.
    ///
    /// A sealed frame that was changed or moved may be the work of somebody on the way.
    pub(crate) const fn shuns(&self) -> Option<Duration> {
        match self {
            Self::Session(CloseReason::Fault(
                PeerFault::Tampered | PeerFault::OutOfOrder { .. },
            )) => None,
            Self::Session(CloseReason::Fault(_)) => Some(DISTRUST),
            Self::NotRead | Self::Session(CloseReason::NotRead { .. }) => Some(RETRY_MAX),
            _ => None,
        }
    }

    /// Returns whether it says something of who came that its own side should know.
    pub(crate) const fn is_rejection(&self) -> bool {
        matches!(
            self,
            Self::Session(
                CloseReason::Version { .. }
                    | CloseReason::Ourselves
                    | CloseReason::Sealing { .. }
                    | CloseReason::HandshakeTimeout
                    | CloseReason::Fault(_)
            )
        )
    }

    /// Returns whether the link may have been dead for a while, so that dialling anew may help at once.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Link(_) | Self::Session(CloseReason::LinkClosed | CloseReason::Silent))
    }
}

/// What the actor tells a link.
pub(crate) enum LinkCommand {
    /// The proven peer is taken: keep these databases in sync with it.
    Accept(BTreeSet<DatabaseId>),
    /// Someone waits.
    Wait(Waiter),
    /// Send the requests for access that are for this peer.
    Ask,
    /// Tell what was decided on a request of the peer.
    Answer { request: RequestId, answer: RequestAnswer },
    /// Keep this database in sync, or look at it again if it is.
    Relate(DatabaseId),
    /// Ask the peer for what it offers.
    Discover { reply: DiscoveryReply },
    /// The instance may have more keys to prove.
    Prove,
    /// Sync this database no more.
    Drop(DatabaseId),
    /// End the link in order.
    Close(EndReason),
}

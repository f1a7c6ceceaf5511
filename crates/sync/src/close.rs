//! Why a session ended: the one list of what can go wrong between two peers.
//!
//! Invariant: a session that has a close reason sends and answers nothing more.

use thiserror::Error;
use weald_dag::{Fault, ParcelError, PublicKey, StoreError};

use crate::limits::{HANDSHAKE_MAX_MS, VERSION_MAX, VERSION_MIN};

/// Why a session ended.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// It was closed here.
    #[error("the session was closed here")]
    Requested,
    /// The link under it ended.
    #[error("the link was closed; dial again")]
    LinkClosed,
    /// The peer did not prove its key in time.
    #[error("the peer did not finish the handshake within {HANDSHAKE_MAX_MS} ms; dial again")]
    HandshakeTimeout,
    /// The peer owes an answer and says nothing.
    #[error("the peer has not answered for a minute or more; dial again")]
    Silent,
    /// The peer goes on asking and does not read what it is answered.
    #[error("{waiting} bytes wait for the peer to read them, the limit is {limit}; dial again")]
    NotRead {
        /// How many bytes wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// No protocol version is spoken by both.
    #[error(
        "the peer speaks protocol versions {min} to {max}, this build {VERSION_MIN} to {VERSION_MAX}; update the older one"
    )]
    Version {
        /// The least that the peer speaks.
        min: u16,
        /// The greatest that the peer speaks.
        max: u16,
    },
    /// Another device answered than the one that was dialled.
    #[error("the peer is {found}, not the expected {expected}; check the address or the ticket")]
    WrongPeer {
        /// Who was expected.
        expected: PublicKey,
        /// Who answered.
        found: PublicKey,
    },
    /// The device at the other end is this one.
    #[error("the address leads back to this device; use another peer's address")]
    Ourselves,
    /// One side seals its frames and the other does not.
    #[error(
        "this side {} its frames and the peer does not agree; use the plain flag on both sides or on none",
        if *.sealed_here { "seals" } else { "does not seal" }
    )]
    Sealing {
        /// Whether this side seals.
        sealed_here: bool,
    },
    /// The peer broke the protocol.
    #[error("the peer is at fault: {0}")]
    Fault(#[from] PeerFault),
    /// The peer ended the session and said why.
    #[error("the peer closed the session: {0}")]
    Told(Farewell),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a peer did that no honest peer does.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// A frame or message is longer than allowed.
    #[error("it sent {found} bytes of {what}, the limit is {limit}")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How many bytes came or were promised.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// More of something than allowed.
    #[error("it sent {found} {what}, the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many came.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Bytes that are no message.
    #[error("it sent bytes that are not {what}")]
    Garbled {
        /// What they should have been.
        what: &'static str,
    },
    /// A message at a moment when it has no place.
    #[error("it sent {what} out of turn")]
    Unexpected {
        /// What came.
        what: &'static str,
    },
    /// The handshake's signature is not that of the device key.
    #[error("it did not prove its device key")]
    BadProof,
    /// The key exchange came to nothing.
    #[error("it offered a weak key for the exchange")]
    WeakExchange,
    /// A signature for another key than the device's does not hold.
    #[error("it did not prove key {key}")]
    BadKeyProof {
        /// The key that was claimed.
        key: PublicKey,
    },
    /// A sealed frame was changed on its way, or made by someone else.
    #[error("a sealed frame was changed on its way")]
    Tampered,
    /// A sealed frame was repeated, left out or moved.
    #[error("sealed frame {found} came where {expected} was due")]
    OutOfOrder {
        /// The counter that was due.
        expected: u64,
        /// The counter that came.
        found: u64,
    },
    /// Something that is not an entry came in a batch of entries.
    #[error("it sent something that is not an entry: {0}")]
    Parcel(#[from] ParcelError),
    /// An entry with a wrong signature or payload.
    #[error("it sent an entry that does not hold: {0}")]
    Entry(#[from] Fault),
}

/// What the peer said when it ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
#[non_exhaustive]
pub enum Farewell {
    /// It closed of its own accord.
    #[error("it has ended the session")]
    Done,
    /// It gave up waiting.
    #[error("it gave up waiting for this side")]
    Waited,
    /// It shares no protocol version with us.
    #[error("it speaks no protocol version of this build; update the older one")]
    Version,
    /// It is not the device that was dialled.
    #[error("it is not the device that was expected; check the address or the ticket")]
    WrongPeer,
    /// It seals frames and we do not, or the other way round.
    #[error("it disagrees on sealing frames; use the plain flag on both sides or on none")]
    Sealing,
    /// It says that we broke the protocol.
    #[error("it says that this side broke the protocol")]
    Fault,
    /// Its own store failed.
    #[error("its store failed; try again later")]
    Store,
}

impl Farewell {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Waited,
        Self::Version,
        Self::WrongPeer,
        Self::Sealing,
        Self::Fault,
        Self::Store,
    ];

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// Reads a code; one that this build does not know counts as a fault.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Fault)
    }
}

impl CloseReason {
    /// Returns what to tell the peer, or `None` when the peer is gone, does not
    /// read or has said goodbye itself.
    pub(crate) const fn farewell(&self) -> Option<Farewell> {
        Some(match self {
            Self::Requested => Farewell::Done,
            Self::LinkClosed | Self::NotRead { .. } | Self::Told(_) => return None,
            Self::HandshakeTimeout | Self::Silent => Farewell::Waited,
            Self::Version { .. } => Farewell::Version,
            Self::WrongPeer { .. } | Self::Ourselves => Farewell::WrongPeer,
            Self::Sealing { .. } => Farewell::Sealing,
            Self::Fault(_) => Farewell::Fault,
            Self::Store(_) => Farewell::Store,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_farewell_has_a_code_of_its_own() {
        for farewell in Farewell::ALL {
            assert_eq!(Farewell::from_code(farewell.code()), farewell);
        }
        assert_eq!(Farewell::from_code(250), Farewell::Fault);
    }
}

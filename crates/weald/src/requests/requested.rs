//! The requests for access that this device has made, and what was answered.
//!
//! Invariant: a request that is not decided survives restarts and is asked again whenever its peer is met, by
//! the bytes that were signed, so nobody need be logged in for it. A peer has no more written here than it was
//! asked for, and one decision.

use std::collections::BTreeMap;

use weald_auth::{RequestRefusal, SignedRequest};
use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_sync::{RequestAnswer, SALT_LEN};

use super::short_code::short_code;

/// How many requests of this device may be open.
pub const REQUESTS_MADE_MAX: usize = 256;

/// How it stands with a request that this device has made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestStatus {
    /// The peer has not answered yet; it is asked whenever it is met.
    Sent,
    /// The peer does not have the database, or takes no requests for it; it does not say which. It is asked
    /// again until the request expires.
    Unavailable,
    /// The peer has too many requests at the moment; it is asked again later.
    NotNow,
    /// Somebody at the peer has to decide. Both sides see the same short code.
    Pending {
        /// Six digits to compare, as `123 456`.
        short_code: String,
    },
    /// The key may read the database, and more if it was given more.
    Approved,
    /// Somebody decided against it.
    Rejected {
        /// Why, in words.
        reason: String,
    },
    /// The peer could not take the request as it is.
    Refused(RequestRefusal),
    /// Nobody decided in time.
    Expired,
}

impl RequestStatus {
    /// Returns whether nothing more is to be expected from waiting.
    pub const fn is_settled(&self) -> bool {
        !matches!(self, Self::Sent | Self::NotNow | Self::Pending { .. })
    }

    /// Returns whether the peer is to be asked again when it is met.
    pub(crate) const fn is_asked_again(&self) -> bool {
        matches!(self, Self::Sent | Self::Unavailable | Self::NotNow | Self::Pending { .. })
    }
}

/// A request that this device has made.
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    pub(crate) signed: SignedRequest,
    /// What was answered last.
    pub(crate) answer: Option<RequestAnswer>,
}

impl Requested {
    pub(crate) fn status(&self, now: u64) -> RequestStatus {
        let status = self.answer.as_ref().map_or(RequestStatus::Sent, |answer| match answer {
            RequestAnswer::Unavailable => RequestStatus::Unavailable,
            RequestAnswer::NotNow => RequestStatus::NotNow,
            RequestAnswer::Pending { salt } => {
                let salt: &[u8; SALT_LEN] = salt;
                RequestStatus::Pending { short_code: short_code(&self.signed.id(), salt) }
            }
            RequestAnswer::Approved => RequestStatus::Approved,
            RequestAnswer::Rejected { reason } => {
                RequestStatus::Rejected { reason: reason.clone() }
            }
            RequestAnswer::Refused { code } => {
                RequestStatus::Refused(RequestRefusal::from_code(*code))
            }
        });
        let is_over = self.signed.request().expires <= now;
        if status.is_asked_again() && is_over { RequestStatus::Expired } else { status }
    }
}

/// The requests that this device has made.
#[derive(Default)]
pub(crate) struct RequestedBook {
    all: BTreeMap<RequestId, Requested>,
    /// How often each was asked without an answer since the start.
    unanswered: BTreeMap<RequestId, u32>,
}

impl RequestedBook {
    pub(crate) fn insert(&mut self, requested: Requested) {
        self.all.insert(requested.signed.id(), requested);
    }

    pub(crate) fn get(&self, id: &RequestId) -> Option<&Requested> {
        self.all.get(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Requested> {
        self.all.values()
    }

    pub(crate) fn remove(&mut self, id: &RequestId) -> bool {
        self.unanswered.remove(id);
        self.all.remove(id).is_some()
    }

    /// Returns those that a new one for the same key, database and device takes the place of, and those that
    /// are over.
    pub(crate) fn superseded(&self, by: &SignedRequest, now: u64) -> Vec<RequestId> {
        let of = |signed: &SignedRequest| {
            let request = signed.request();
            (request.database, request.key, request.audience)
        };
        let gone = |requested: &&Requested| {
            of(&requested.signed) == of(by) || requested.signed.request().expires <= now
        };
        self.all.values().filter(gone).map(|requested| requested.signed.id()).collect()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.all.len() < REQUESTS_MADE_MAX
    }

    /// Returns the bytes to be sent to a peer that was met.
    pub(crate) fn take_unsent(&mut self, peer: &PublicKey, now: u64) -> Vec<Vec<u8>> {
        let open = self.all.values().filter(|requested| {
            requested.signed.request().audience == *peer && requested.status(now).is_asked_again()
        });
        let count = |requested: &Requested| {
            let asked = self.unanswered.entry(requested.signed.id()).or_default();
            *asked = asked.saturating_add(1);
            requested.signed.bytes().to_vec()
        };
        open.map(count).collect()
    }

    /// Takes an answer of a peer; returns the request as it is then, if the answer changes it.
    pub(crate) fn answered(
        &mut self,
        peer: &PublicKey,
        id: &RequestId,
        answer: RequestAnswer,
        now: u64,
    ) -> Option<Requested> {
        let requested = self.all.get_mut(id)?;
        let from_audience = requested.signed.request().audience == *peer;
        if !from_audience || !requested.status(now).is_asked_again() {
            return None;
        }
        let is_decided = matches!(
            answer,
            RequestAnswer::Approved
                | RequestAnswer::Rejected { .. }
                | RequestAnswer::Refused { .. }
        );
        let asked = self.unanswered.get_mut(id).filter(|asked| **asked > 0);
        let was_asked = asked.is_some();
        asked.into_iter().for_each(|asked| *asked -= 1);
        // A decision comes whenever it is made.
        if !is_decided && !was_asked {
            return None;
        }
        match (&requested.answer, &answer) {
            (Some(before), after) if before == after => return None,
            // It waits there all the same, under the code that was shown first.
            (
                Some(RequestAnswer::Pending { .. }),
                RequestAnswer::Pending { .. } | RequestAnswer::NotNow,
            ) => return None,
            _ => {}
        }
        requested.answer = Some(answer);
        Some(requested.clone())
    }
}

/// Returns the database that an answer opens.
pub(crate) fn opened(requested: &Requested) -> Option<DatabaseId> {
    let approved = requested.answer == Some(RequestAnswer::Approved);
    approved.then(|| requested.signed.request().database)
}

#[cfg(test)]
mod tests;

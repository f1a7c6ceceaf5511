//! Requests at rest: rows of the system database `_sync`.
//!
//! Invariant: a row that cannot be read is left out, and harms no other.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use weald_auth::SignedRequest;
use weald_crdt::Key;
use weald_dag::{DatabaseId, RequestId};
use weald_sync::RequestAnswer;

use super::policy::RequestPolicy;
use super::queue::{Place, Queue, Queued, RequestState};
use super::requested::{Requested, RequestedBook};
use crate::database::Database;
use crate::error::{Error, ReadError};

/// Requests that came.
pub(super) const QUEUED: &str = "requests";
/// Requests that were made here.
pub(super) const MADE: &str = "requests_made";
/// What is done with requests for a database.
pub(super) const POLICIES: &str = "request_policies";

const PENDING: u8 = 0;
const APPROVED: u8 = 1;
const REJECTED: u8 = 2;

#[derive(Serialize, Deserialize)]
pub(super) struct QueuedRow {
    request: ByteBuf,
    from: String,
    received: u64,
    state: u8,
    reason: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MadeRow {
    request: ByteBuf,
    answer: Option<u8>,
    detail: ByteBuf,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PolicyRow {
    policy: u8,
}

impl QueuedRow {
    pub(super) fn of(queued: &Queued) -> Self {
        let (state, reason) = match &queued.state {
            RequestState::Pending => (PENDING, ""),
            RequestState::Approved => (APPROVED, ""),
            RequestState::Rejected { reason } => (REJECTED, reason.as_str()),
        };
        Self {
            request: ByteBuf::from(queued.signed.bytes()),
            from: queued.from.clone(),
            received: queued.received,
            state,
            reason: reason.to_owned(),
        }
    }

    fn read(self) -> Option<Queued> {
        let state = match self.state {
            PENDING => RequestState::Pending,
            APPROVED => RequestState::Approved,
            REJECTED => RequestState::Rejected { reason: self.reason },
            _ => return None,
        };
        let signed = SignedRequest::decode(&self.request).ok()?;
        Some(Queued { signed, from: self.from, received: self.received, state })
    }
}

impl MadeRow {
    pub(super) fn of(made: &Requested) -> Self {
        let (answer, detail) = match &made.answer {
            None => (None, Vec::new()),
            Some(RequestAnswer::Unavailable) => (Some(0), Vec::new()),
            Some(RequestAnswer::NotNow) => (Some(1), Vec::new()),
            Some(RequestAnswer::Pending { salt }) => (Some(2), salt.to_vec()),
            Some(RequestAnswer::Approved) => (Some(3), Vec::new()),
            Some(RequestAnswer::Rejected { reason }) => (Some(4), reason.as_bytes().to_vec()),
            Some(RequestAnswer::Refused { code }) => (Some(5), vec![*code]),
        };
        let request = ByteBuf::from(made.signed.bytes());
        Self { request, answer, detail: ByteBuf::from(detail) }
    }

    fn read(self) -> Option<Requested> {
        let answer = match self.answer {
            None => None,
            Some(0) => Some(RequestAnswer::Unavailable),
            Some(1) => Some(RequestAnswer::NotNow),
            Some(2) => {
                let salt = ByteArray::new(self.detail.as_slice().try_into().ok()?);
                Some(RequestAnswer::Pending { salt })
            }
            Some(3) => Some(RequestAnswer::Approved),
            Some(4) => {
                let reason = String::from_utf8(self.detail.into_vec()).ok()?;
                Some(RequestAnswer::Rejected { reason })
            }
            Some(5) => Some(RequestAnswer::Refused { code: *self.detail.first()? }),
            Some(_) => return None,
        };
        Some(Requested { signed: SignedRequest::decode(&self.request).ok()?, answer })
    }
}

impl PolicyRow {
    pub(super) const fn of(policy: RequestPolicy) -> Self {
        Self { policy: policy.code() }
    }
}

pub(super) fn queued_key((database, key): &Place) -> Key {
    let parts = [database.as_bytes(), key.as_bytes()];
    Key::Tuple(parts.into_iter().map(|part| Key::Bytes(part.to_vec())).collect())
}

pub(super) fn made_key(id: &RequestId) -> Key {
    Key::Bytes(id.as_bytes().to_vec())
}

pub(super) fn policy_key(database: &DatabaseId) -> Key {
    Key::Bytes(database.as_bytes().to_vec())
}

/// Reads the requests that came.
pub(super) fn load_queue(database: &Database) -> Result<Queue, Error> {
    let mut queue = Queue::default();
    each(database, QUEUED, |_, row: QueuedRow| row.read().map(|queued| queue.restore(queued)))?;
    Ok(queue)
}

/// Reads the requests that were made here.
pub(super) fn load_made(database: &Database) -> Result<RequestedBook, Error> {
    let mut made = RequestedBook::default();
    each(database, MADE, |_, row: MadeRow| row.read().map(|requested| made.insert(requested)))?;
    Ok(made)
}

/// Reads the policies.
pub(super) fn load_policies(
    database: &Database,
) -> Result<Vec<(DatabaseId, RequestPolicy)>, Error> {
    let mut policies = Vec::new();
    each(database, POLICIES, |key, row: PolicyRow| {
        let Key::Bytes(id) = key else { return None };
        let id = DatabaseId::from_bytes(id.as_slice().try_into().ok()?);
        policies.push((id, RequestPolicy::from_code(row.policy)?));
        Some(())
    })?;
    Ok(policies)
}

fn each<T: serde::de::DeserializeOwned>(
    database: &Database,
    table: &str,
    mut take: impl FnMut(Key, T) -> Option<()>,
) -> Result<(), Error> {
    for row in database.table::<T>(table)?.rows() {
        let taken = match row {
            Ok((key, row)) => take(key, row),
            Err(ReadError::Misfit(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if taken.is_none() {
            tracing::warn!(table, "a row of requests cannot be read: it is left out");
        }
    }
    Ok(())
}

//! What a database is called inside one session, so that its id is shown to nobody who lacks it.
//!
//! Invariant: a name depends on the id and on both nonces, so names of two sessions tell nothing.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use weald_dag::DatabaseId;

use crate::hello::derive;

/// Length of a name in bytes.
pub(crate) const NAME_LEN: usize = 16;

/// The name of a database inside one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Name(pub(crate) ByteArray<NAME_LEN>);

/// Names databases for one session.
#[derive(Debug)]
pub(crate) struct Naming([u8; 32]);

impl Naming {
    pub(crate) fn new(dialler_nonce: &[u8; 32], responder_nonce: &[u8; 32]) -> Self {
        Self(derive("weald 2026 sync names v1", &[dialler_nonce, responder_nonce]))
    }

    pub(crate) fn name(&self, database: &DatabaseId) -> Name {
        let mut name = [0; NAME_LEN];
        let mut reader =
            blake3::Hasher::new_keyed(&self.0).update(database.as_bytes()).finalize_xof();
        reader.fill(&mut name);
        Name(ByteArray::new(name))
    }
}

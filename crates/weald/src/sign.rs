//! Signing the entries of a group, on two threads when that is quicker.
//!
//! Invariant: signatures come in the order of the ids.

use std::sync::Arc;
use std::thread;

use weald_dag::{Domain, EntryId, SecretKey, Signature};

/// From how many entries on a second thread signs half of them.
const TWO_THREADS_FROM: usize = 8;

/// Signs ids, each by its key.
pub(crate) fn sign(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    if ids.len() < TWO_THREADS_FROM {
        return sign_all(ids);
    }
    let (here, there) = ids.split_at(ids.len() / 2);
    thread::scope(|scope| {
        // Without a second thread this one does it all.
        let other = thread::Builder::new().spawn_scoped(scope, || sign_all(there));
        let mut signatures = sign_all(here);
        let rest = other.ok().and_then(|other| other.join().ok());
        signatures.extend(rest.unwrap_or_else(|| sign_all(there)));
        signatures
    })
}

fn sign_all(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
}

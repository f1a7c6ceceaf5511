//! Entries from elsewhere: verified on other threads, then through the same door as one's own.
//!
//! Invariant: each parcel gets one verdict, in order, and none before it is durable.

use std::collections::BTreeMap;
use std::future::Future;
use std::thread;

use weald_dag::{DatabaseId, EntryId, Fault, Parcel, PublicKey, StoreError, Verdict, Verified};

use crate::core::{Core, lost};
use crate::database::DatabaseError;
use crate::desk::{Complete, Job, Take};
use crate::entropy;
use crate::error::Error;
use crate::instance::Instance;
use crate::reply::{Reply, reply};

/// From how many parcels on a second thread verifies half of them.
const TWO_THREADS_FROM: usize = 64;

/// What became of each parcel, in order.
pub(crate) type Verdicts = Vec<(EntryId, Verdict)>;

impl Instance {
    /// Takes entries of a database that a peer sent, parents first, and says what became of each.
    /// Returns when what was stored is durable. Sync does this by itself.
    ///
    /// The root of a database that is not here makes it here, incomplete until
    /// [`Instance::mark_complete`].
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`] for a database that peers have no business with, or any
    /// [`StoreError`].
    pub fn ingest(
        &self,
        from: PublicKey,
        database: DatabaseId,
        parcels: Vec<Parcel>,
    ) -> Result<Verdicts, Error> {
        let reply = submit(self.core(), from, database, parcels)?;
        Ok(reply.wait().unwrap_or_else(|| Err(lost()))?)
    }

    /// As [`Instance::ingest`], to be awaited on any executor. The signatures are verified before
    /// this returns the future, so call it where computing for a while harms nobody.
    pub fn ingest_async(
        &self,
        from: PublicKey,
        database: DatabaseId,
        parcels: Vec<Parcel>,
    ) -> impl Future<Output = Result<Verdicts, Error>> + Send + use<> {
        let submitted = submit(self.core(), from, database, parcels);
        async move { Ok(submitted?.await.unwrap_or_else(|| Err(lost()))?) }
    }

    /// Notes that a first sync has brought all of a database, which can then be written.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn mark_complete(&self, database: DatabaseId) -> Result<(), Error> {
        complete(self.core(), database)
    }
}

pub(crate) fn complete(core: &Core, database: DatabaseId) -> Result<(), Error> {
    let (answer, reply) = reply();
    core.submit(Job::Complete(Complete { database, answer }))?;
    Ok(reply.wait().unwrap_or_else(|| Err(lost()))?)
}

fn submit(
    core: &Core,
    from: PublicKey,
    database: DatabaseId,
    parcels: Vec<Parcel>,
) -> Result<Reply<Result<Verdicts, StoreError>>, Error> {
    let (mut verified, mut faults) = (Vec::with_capacity(parcels.len()), BTreeMap::new());
    for (place, verdict) in verify(parcels)?.into_iter().enumerate() {
        match verdict {
            Ok(parcel) => verified.push(parcel),
            Err(fault) => drop(faults.insert(place, fault)),
        }
    }
    take(core, from, database, verified, faults)
}

/// Hands verified parcels to the writer thread; `faults` says what was wrong with the others, by
/// their places.
pub(crate) fn take(
    core: &Core,
    from: PublicKey,
    database: DatabaseId,
    parcels: Vec<Verified>,
    faults: BTreeMap<usize, Fault>,
) -> Result<Reply<Result<Verdicts, StoreError>>, Error> {
    if core.held(&database)?.is_some_and(|held| held.system) {
        return Err(DatabaseError::NotHere { id: database }.into());
    }
    let (answer, reply) = reply();
    core.submit(Job::Take(Box::new(Take { from, database, parcels, faults, answer })))?;
    Ok(reply)
}

/// Verifies parcels, half of them on a second thread when they are many.
pub(crate) fn verify(mut parcels: Vec<Parcel>) -> Result<Vec<Result<Verified, Fault>>, StoreError> {
    let (seed, other_seed) = (entropy::bytes()?, entropy::bytes()?);
    if parcels.len() <= TWO_THREADS_FROM {
        return Ok(weald_dag::verify(parcels, seed));
    }
    let second = parcels.split_off(parcels.len() / 2);
    thread::scope(|scope| {
        let spawned = scope.spawn(move || weald_dag::verify(second, other_seed));
        let mut verdicts = weald_dag::verify(parcels, seed);
        let rest = spawned.join().map_err(|_| StoreError::Corrupt {
            what: "the verification of a batch panicked; this is a bug, please report it".into(),
        })?;
        verdicts.extend(rest);
        Ok(verdicts)
    })
}

//! Batches on their way into the graph: verified side by side, handed to the host in the order they came.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::task::block_in_place;
use weald_dag::{DatabaseId, EntryId, Fault, Parcel, PublicKey, Verdict, Verified, verify};
use weald_sync::BatchId;

use super::host::{Host, HostError};
use super::limits::VERIFY_INLINE;
use crate::link::BoxFuture;

/// The verdicts of one batch, in the order of its parcels.
pub(crate) type Done = (BatchId, Result<Vec<(EntryId, Verdict)>, HostError>);

/// A batch with what verification says of each parcel.
struct Checked {
    batch: BatchId,
    database: DatabaseId,
    parcels: Vec<Result<Verified, Fault>>,
}

/// The batches of one link that are under way; the session's window bounds them.
#[derive(Default)]
pub(crate) struct Ingests {
    verifying: FuturesOrdered<BoxFuture<'static, Option<Checked>>>,
    storing: FuturesOrdered<BoxFuture<'static, Done>>,
}

impl Ingests {
    /// Returns whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.verifying.is_empty() && self.storing.is_empty()
    }

    /// Takes a batch in.
    pub(crate) fn push(
        &mut self,
        batch: BatchId,
        database: DatabaseId,
        parcels: Vec<Parcel>,
    ) -> Result<(), HostError> {
        let seed = random()?;
        let few = parcels.len() <= VERIFY_INLINE;
        let check = move || Checked { batch, database, parcels: verify(parcels, seed) };
        self.verifying.push_back(if few {
            Box::pin(std::future::ready(Some(check())))
        } else {
            let checking = tokio::task::spawn_blocking(check);
            Box::pin(async move { checking.await.ok() })
        });
        Ok(())
    }

    /// Waits until a batch is stored. Cancel safe: what is under way stays here.
    ///
    /// `None` where nothing is under way, or verifying panicked.
    pub(crate) async fn next(&mut self, host: &dyn Host, from: PublicKey) -> Option<Done> {
        loop {
            tokio::select! {
                biased;
                Some(checked) = self.verifying.next() => {
                    let checked = checked?;
                    // Where much waits to be written the host has this wait: that must not hold up other links.
                    block_in_place(|| self.store(host, from, checked));
                }
                Some(done) = self.storing.next() => return Some(done),
                else => return None,
            }
        }
    }

    fn store(&mut self, host: &dyn Host, from: PublicKey, checked: Checked) {
        let Checked { batch, database, parcels } = checked;
        let mut faults = Vec::new();
        let mut sound = Vec::with_capacity(parcels.len());
        for (place, parcel) in parcels.into_iter().enumerate() {
            match parcel {
                Ok(parcel) => sound.push(parcel),
                Err(fault) => faults.push((place, fault)),
            }
        }
        let stored = (!sound.is_empty()).then(|| host.ingest(from, database, sound));
        self.storing.push_back(Box::pin(async move {
            let verdicts = match stored {
                Some(stored) => stored.await,
                None => Ok(Vec::new()),
            };
            (batch, verdicts.map(|verdicts| in_order(verdicts, faults)))
        }));
    }
}

/// Puts faults back where their parcels were.
fn in_order(
    mut verdicts: Vec<(EntryId, Verdict)>,
    faults: Vec<(usize, Fault)>,
) -> Vec<(EntryId, Verdict)> {
    for (place, fault) in faults {
        let verdict = (fault.id(), Verdict::Fault(fault));
        verdicts.insert(place.min(verdicts.len()), verdict);
    }
    verdicts
}

/// Draws random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], HostError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| HostError::NoRandomness)?;
    Ok(bytes)
}

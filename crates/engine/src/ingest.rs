//! Entries from elsewhere, through the same door as one's own.
//!
//! Invariant: a verdict other than `Missing`, `HeldBack`, `NewerVersion` and `Fault` is the same on
//! every replica.

use std::collections::BTreeSet;

use weald_dag::{
    Admission, DatabaseId, EntryId, Overlay, Parcel, Place, Refusal, StoreError, Verdict, Verified,
    admit,
};

use crate::door::{Entered, Maker, enter};
use crate::fold::{Folded, StoreTypes};
use crate::replica::Replica;

/// What became of a batch of entries.
#[derive(Debug, Default)]
pub struct Ingested {
    /// One verdict for each parcel, in order.
    pub verdicts: Vec<(EntryId, Verdict)>,
    /// The entries that were stored, in order.
    pub folded: Vec<Folded>,
}

/// Takes verified parcels, parents first.
pub(crate) fn ingest(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    parcels: Vec<Verified>,
    wall_millis: u64,
) -> Result<Ingested, StoreError> {
    let mut ingested = Ingested::default();
    // Those of this batch, too: a chain that comes at once is refused at once.
    let mut refused = BTreeSet::new();
    for parcel in parcels {
        let parcel = parcel.into_parcel();
        let id = parcel.entry.id();
        let verdict = match judge(replica, rows, &refused, &parcel, wall_millis)? {
            Judged::Other(verdict) => verdict,
            Judged::Place(place) => {
                match enter(replica, rows, types, parcel, &place, Maker::Elsewhere)? {
                    Ok(Entered { folded, placed }) => {
                        replica.settle(placed);
                        let verdict = Verdict::Stored(folded.number);
                        ingested.folded.push(folded);
                        verdict
                    }
                    Err(verdict) => verdict,
                }
            }
        };
        if let Verdict::Refused(refusal) = &verdict {
            replica.refused.insert(id, refusal);
            refused.insert(id);
        }
        ingested.verdicts.push((id, verdict));
    }
    Ok(ingested)
}

enum Judged {
    Place(Place),
    Other(Verdict),
}

fn judge(
    replica: &Replica,
    rows: &Overlay,
    refused: &BTreeSet<EntryId>,
    parcel: &Parcel,
    wall_millis: u64,
) -> Result<Judged, StoreError> {
    // It says nothing of the entry: another peer may send it whole.
    if let Err(fault) = parcel.check_complete() {
        return Ok(Judged::Other(Verdict::Fault(fault)));
    }
    let entry = &parcel.entry;
    if let Some(refusal) = replica.refused.get(&entry.id()) {
        return Ok(Judged::Other(Verdict::Refused(refusal.clone())));
    }
    let is_refused = |id: &&EntryId| replica.refused.get(id).is_some() || refused.contains(*id);
    if let Some(ancestor) = entry.parents().iter().find(is_refused) {
        let refusal = Refusal::Descends { ancestor: *ancestor };
        return Ok(Judged::Other(Verdict::Refused(refusal)));
    }
    let database: DatabaseId = replica.held.id;
    let own = entry.id();
    let mut known = |id: &EntryId| {
        if *id == own {
            replica.known_after(rows, id, entry.parents())
        } else {
            replica.known(rows, id)
        }
    };
    Ok(match admit(&mut known, database, entry, wall_millis)? {
        Admission::Admitted(place) => Judged::Place(place),
        Admission::Duplicate(number) => Judged::Other(Verdict::Duplicate(number)),
        Admission::MissingParents(missing) => Judged::Other(Verdict::Missing(missing)),
        Admission::HeldBack { time } => Judged::Other(Verdict::HeldBack { time }),
        Admission::Refused(refusal) => Judged::Other(Verdict::Refused(refusal.into())),
    })
}

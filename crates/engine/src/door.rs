//! The door itself, the same for every entry: judged by the authority of its own past, numbered,
//! folded.
//!
//! Invariant: what is not let in leaves nothing behind, neither rows nor memory.

use weald_auth::{Claim, Operation, SETTINGS_STORE};
use weald_dag::{
    Fault, Known, Local, Overlay, Parcel, Place, Refusal, Standing, StoreError, Verdict,
};

use crate::fold::{Beside, Folded, StoreTypes, fold};
use crate::replica::{Placed, Replica};
use crate::settings::{SettingsPayload, writes_data};

/// An entry that was let in; its row is still to be staged.
pub(crate) struct Entered {
    pub(crate) folded: Folded,
    pub(crate) placed: Placed,
}

/// Lets an entry in whose place in the graph is known, or says why not.
///
/// Nothing here looks at the signature: that of an entry from elsewhere was verified before, and
/// one of our own is made after.
pub(crate) fn enter(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    parcel: Parcel,
    place: &Place,
) -> Result<Result<Entered, Verdict>, StoreError> {
    let entry = &parcel.entry;
    let operations = match operations_of(&parcel) {
        Ok(operations) => operations,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let before = replica.before(&place.parents);
    let claim = Claim {
        id: entry.id(),
        author: entry.author(),
        generation: place.generation,
        time: entry.time(),
        writes_data: writes_data(entry),
        operations: operations.as_deref(),
    };
    if let Err(refusal) = replica.judge(&before, &claim) {
        let reason = refusal.to_string();
        return Ok(Err(Verdict::Refused(Refusal::Authority { reason })));
    }
    let known = Known {
        number: replica.next(),
        generation: place.generation,
        epoch: replica.epoch(before).0,
        standing: Standing::Visible,
        time: entry.time(),
    };
    let beside = Beside { record: replica.record, indexes: &replica.indexes };
    let outcome = fold(rows, replica.held.number, types, &parcel, known.number, beside)?;
    let author = (entry.author(), entry.seq());
    let settings = operations.is_some().then_some(&claim);
    let author_forked = replica.place(rows, entry.id(), known, &place.parents, author, settings);
    let folded = Folded {
        database: replica.held.id,
        id: entry.id(),
        number: known.number,
        author: entry.author(),
        time: entry.time(),
        changes: outcome.changes,
        voids: outcome.voids,
        unknown: outcome.unknown,
        standing: known.standing,
        shift: None,
        settings: operations.is_some(),
        author_forked,
    };
    let local = Local {
        standing: known.standing,
        generation: known.generation,
        epoch: known.epoch,
        parents: place.parents.iter().map(|parent| parent.number).collect(),
        head: None,
    };
    Ok(Ok(Entered { folded, placed: Placed { number: known.number, local, parcel } }))
}

/// Returns the operations of an entry's settings section, or what they keep the entry from.
fn operations_of(parcel: &Parcel) -> Result<Option<Vec<Operation>>, Verdict> {
    match SettingsPayload::of(parcel) {
        SettingsPayload::None => Ok(None),
        SettingsPayload::Operations(operations) => Ok(Some(operations)),
        SettingsPayload::Absent => {
            let (id, store) = (parcel.entry.id(), SETTINGS_STORE.into());
            Err(Verdict::Fault(Fault::Withheld { id, store }))
        }
        SettingsPayload::Newer(what) => Err(Verdict::NewerVersion { what }),
        SettingsPayload::Undecodable(reason) => Err(Verdict::Refused(Refusal::Settings { reason })),
    }
}

//! The door itself, the same for every entry: judged by the authority of its own past, numbered, and
//! folded if it is visible among everything; what else follows from it follows at once.
//!
//! Invariant: what is not let in leaves nothing behind, neither rows nor memory.

use weald_auth::{AuthRefusal, Claim, EpochId, Inserted, Operation, SETTINGS_STORE, Subject};
use weald_dag::{
    Entry, Fault, Known, Local, Number, Overlay, Parcel, Place, PublicKey, Refusal, Standing,
    StoreError, Verdict, append,
};

use crate::fold::{Beside, Folded, Outcome, StoreTypes, fold};
use crate::hidden;
use crate::replica::{Placed, Replica};
use crate::settings::{SettingsPayload, writes_data};
use crate::standing::{Droppable, Moved, drop_unneeded, merged, need, shift};

/// An entry that was let in.
pub(crate) struct Entered {
    pub(crate) folded: Folded,
    pub(crate) placed: Placed,
}

/// Who has made an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// This replica: it makes nothing that would be hidden.
    Here,
    /// Another one: what is hidden here may be needed by something that comes.
    Elsewhere,
}

/// Lets an entry in whose place in the graph is known, or says why not. Its row is staged.
///
/// Nothing here looks at the signature: that of an entry from elsewhere was verified before, and
/// one of our own is made after.
pub(crate) fn enter(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    parcel: Parcel,
    place: &Place,
    maker: Maker,
) -> Result<Result<Entered, Verdict>, StoreError> {
    let operations = match operations_of(&parcel) {
        Ok(operations) => operations,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let claim = Claim {
        id: parcel.entry.id(),
        author: parcel.entry.author(),
        generation: place.generation,
        time: parcel.entry.time(),
        writes_data: writes_data(&parcel.entry),
        operations: operations.as_deref(),
    };
    let mut stood = stand(replica, place, &parcel.entry, &claim, maker);
    if matches!(stood, Err(Verdict::Unwanted)) {
        let parents: Vec<Number> = place.parents.iter().map(|parent| parent.number).collect();
        if drop_unneeded(replica, rows, Droppable::CameHidden, &parents)? > 0 {
            stood = stand(replica, place, &parcel.entry, &claim, maker);
        }
    }
    let stood = match stood {
        Ok(stood) => stood,
        Err(verdict) => return Ok(Err(verdict)),
    };
    take_in(replica, rows, types, parcel, place, stood).map(Ok)
}

const TAKEN: &str = "what it needs was taken from its author beside it; sync, and try again";

/// What authority says of an entry that is let in.
struct Stood {
    epoch: EpochId,
    standing: Standing,
    /// What its settings do.
    inserted: Option<Inserted>,
    /// Whom its settings limit, unless anyone is among them.
    limited: Option<Vec<PublicKey>>,
}

/// Judges an entry by its own past, and then among everything. Authority knows it from then on, unless
/// it is kept out: refused, or hidden where no more that is hidden is kept.
fn stand(
    replica: &mut Replica,
    place: &Place,
    entry: &Entry,
    claim: &Claim<'_>,
    maker: Maker,
) -> Result<Stood, Verdict> {
    let refused = |refusal: AuthRefusal| told(refusal.to_string());
    let before = replica.before(&place.parents);
    replica.judge(&before, claim).map_err(refused)?;
    let may_hide = maker == Maker::Elsewhere && replica.has_room(hidden::bytes_of(entry));
    let kept_out = |reason: Option<AuthRefusal>| match (maker, reason) {
        (Maker::Elsewhere, _) => Verdict::Unwanted,
        (Maker::Here, Some(reason)) => refused(reason),
        (Maker::Here, None) => told(TAKEN.to_owned()),
    };
    let now = replica.authority_now();
    if claim.operations.is_none() {
        let is_sure = now.hides_nothing();
        let stands =
            if is_sure { Ok(()) } else { now.stands_before(&before, claim, &|_| false).map(drop) };
        let standing = standing(stands.is_ok());
        if let (Err(reason), false) = (stands, may_hide) {
            return Err(kept_out(Some(reason)));
        }
        return Ok(Stood { epoch: replica.epoch(before), standing, inserted: None, limited: None });
    }
    let of_before = (!may_hide).then(|| now.clone());
    let epoch = replica.epoch(before);
    let inserted = replica.insert(epoch, claim);
    if let Some(of_before) = of_before.filter(|_| !inserted.visible) {
        let reason = replica.authority_now().why_hidden(inserted.index);
        replica.put_back(of_before);
        return Err(kept_out(reason));
    }
    let (standing, limited) = (standing(inserted.visible), limited_by(claim));
    Ok(Stood { epoch, standing, inserted: Some(inserted), limited })
}

/// Returns whom an entry limits, unless that is anyone.
fn limited_by(claim: &Claim<'_>) -> Option<Vec<PublicKey>> {
    let operations = claim.operations.unwrap_or_default().iter();
    let subjects = operations.filter_map(|operation| match operation {
        Operation::Limit { subject, .. } => Some(*subject),
        _ => None,
    });
    let keys = subjects.map(|subject| match subject {
        Subject::Key(key) => Some(key),
        Subject::Anyone => None,
    });
    keys.collect()
}

const fn standing(is_visible: bool) -> Standing {
    if is_visible { Standing::Visible } else { Standing::Hidden }
}

fn told(reason: String) -> Verdict {
    Verdict::Refused(Refusal::Authority { reason })
}

/// Gives an entry its place, folds it, and brings the others to what follows from it.
fn take_in(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    parcel: Parcel,
    place: &Place,
    stood: Stood,
) -> Result<Entered, StoreError> {
    let Stood { epoch, standing, inserted, limited } = stood;
    let (entry, database, generation) = (&parcel.entry, replica.held.number, place.generation);
    let (number, epoch, time) = (replica.next(), epoch.0, entry.time());
    let known = Known { number, generation, epoch, standing, time };
    let index = inserted.as_ref().map(|inserted| inserted.index);
    let mut outcome = Outcome::default();
    if standing == Standing::Visible {
        let hidden = place.parents.iter().filter(|parent| !is_visible(parent));
        let hidden: Vec<Number> = hidden.map(|parent| parent.number).collect();
        let by_parents = need(replica, rows, types, &hidden)?;
        let beside = Beside { record: replica.record, indexes: &replica.indexes };
        outcome = fold(rows, database, types, &parcel, number, beside)?;
        outcome.changes = merged(by_parents, outcome.changes);
    }
    let author_forked = replica.place(rows, entry, known, &place.parents, index)?;
    let parents = place.parents.iter().map(|parent| parent.number).collect();
    let local = Local { standing, generation, epoch, parents, head: None };
    append(rows, database, number, &local, &parcel);
    let shift = match inserted {
        Some(Inserted { index, moved, .. }) if !moved.is_empty() => {
            let limits_only = limited.filter(|_| moved == [index]);
            shift(replica, rows, types, &Moved { all: &moved, limits_only })?
        }
        _ => None,
    };
    let folded = Folded {
        database: replica.held.id,
        id: entry.id(),
        number,
        author: entry.author(),
        time,
        changes: outcome.changes,
        voids: outcome.voids,
        unknown: outcome.unknown,
        standing,
        shift,
        settings: index.is_some(),
        author_forked,
    };
    Ok(Entered { folded, placed: Placed { number, local, parcel } })
}

fn is_visible(entry: &Known) -> bool {
    entry.standing == Standing::Visible
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

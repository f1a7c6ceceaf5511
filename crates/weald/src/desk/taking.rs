//! Entries from elsewhere, through the engine.
//!
//! Invariant: of a database that is not here nothing is remembered.

use weald_dag::{Overlay, StoreError, Verdict};

use super::done::entry_told;
use super::job::{Outcome, in_order};
use super::{Desk, Done, Take, sealing};
use crate::clock::wall_millis;
use crate::watch::Told;

impl Desk {
    pub(super) fn take(
        &mut self,
        job: Take,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let Take { from, database, parcels, faults, answer } = job;
        let authors: Vec<_> = parcels.iter().map(|parcel| parcel.parcel().entry.author()).collect();
        let taken = self.engine.ingest(rows, database, parcels, wall_millis());
        let failure = taken.as_ref().map(drop).map_err(Clone::clone);
        let outcome = taken.and_then(|ingested| {
            if ingested.folded.iter().any(|folded| folded.settings)
                && let Some(held) = weald_engine::held(rows, &database)?
            {
                done.settings.insert(held.number, database);
                if held.complete {
                    done.share.entry(held.number).or_insert(false);
                }
            }
            if ingested.folded.iter().any(sealing::changes_keys)
                && let Some(held) = weald_engine::held(rows, &database)?
            {
                done.keys.insert(held.number);
            }
            for ((entry, verdict), author) in ingested.verdicts.iter().zip(authors) {
                if let Verdict::Refused(reason) = verdict {
                    let (entry, reason) = (*entry, reason.clone());
                    // Of databases that are not here nothing is remembered, however many are made up.
                    if weald_engine::held(rows, &database)?.is_some() {
                        done.refuse(database, entry, author, from, reason.clone());
                    }
                    done.told.push(Told::Refused { database, from, entry, reason });
                }
            }
            let folded = ingested.folded.into_iter();
            done.told.extend(folded.map(|folded| entry_told(Some(from), folded)));
            Ok(in_order(ingested.verdicts, faults))
        });
        done.outcomes.push(Outcome::Take(answer, outcome));
        failure
    }
}

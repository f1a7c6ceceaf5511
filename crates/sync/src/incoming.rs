//! Entries on their way from a peer, for one database.
//!
//! Invariant: a batch is acknowledged once it and all before it have their verdicts; what waits for
//! parents is bounded in bytes.

use std::collections::{BTreeMap, BTreeSet};

use weald_dag::{DatabaseId, EntryId, Number, PENDING_MAX_BYTES, Parcel, Pending, Verdict};

use crate::batch::{EntryBatch, RawParcels};
use crate::class::Class;
use crate::close::PeerFault;
use crate::flow::Flow;
use crate::limits::{DECLINED_MAX, REASON_MAX};
use crate::outbox::Outbox;
use crate::output::{BatchId, Event};

struct Ingesting {
    /// The batch's number; `None` for parcels that waited here.
    number: Option<u64>,
    live: bool,
    raw: RawParcels,
}

/// Why an entry of the peer is not held here.
#[derive(Clone, Debug)]
pub(crate) struct KeptOut {
    pub(crate) class: Class,
    pub(crate) reason: Option<String>,
}

/// What the verdicts on a batch lead to.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Entries of live batches that are held here now, so the peer is known to hold them.
    pub(crate) live: Vec<Number>,
    /// Parcels whose parents have come.
    pub(crate) ready: Vec<Parcel>,
    /// The number of the last batch that is done, if it has changed.
    pub(crate) acknowledge: Option<u64>,
}

/// Entries on their way from a peer.
pub(crate) struct Incoming {
    database: DatabaseId,
    last: u64,
    acknowledged: u64,
    done: BTreeSet<u64>,
    ingesting: BTreeMap<BatchId, Ingesting>,
    pending: Pending,
    kept_out: BTreeMap<EntryId, KeptOut>,
    /// Whether some entry that came was kept out by its time or by authority as it is now.
    again: bool,
    /// Whether parcels of this round could not be read, so that not even their ids are known.
    newer: bool,
    overflowed: bool,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// How many entries came that were held already.
    pub(crate) duplicates: u64,
}

impl Incoming {
    pub(crate) fn new(database: DatabaseId) -> Self {
        Self {
            database,
            last: 0,
            acknowledged: 0,
            done: BTreeSet::new(),
            ingesting: BTreeMap::new(),
            pending: Pending::new(PENDING_MAX_BYTES),
            kept_out: BTreeMap::new(),
            again: false,
            newer: false,
            overflowed: false,
            entries: 0,
            bytes: 0,
            duplicates: 0,
        }
    }

    /// Starts a round with another chance for what only time, authority as it is now, or a parcel that
    /// could not be read, kept out. Returns whether the peer must offer again what it has sent.
    pub(crate) fn begin_round(&mut self) -> bool {
        let may_come = |kept_out: &KeptOut| {
            kept_out.class == Class::HeldBack || kept_out.class == Class::Unwanted
        };
        self.kept_out.retain(|_, kept_out| !may_come(kept_out));
        let again = std::mem::take(&mut self.again);
        std::mem::take(&mut self.newer) || again
    }

    /// Takes a batch and hands its parcels over; returns how many entries came.
    pub(crate) fn take(
        &mut self,
        batch: EntryBatch,
        bootstrap: bool,
        flow: &mut Flow,
        out: &mut Outbox,
    ) -> Result<(), PeerFault> {
        if batch.number != self.last + 1 {
            return Err(PeerFault::Unexpected { what: "a batch" });
        }
        self.last = batch.number;
        let unpacked = batch.raw.unpack()?;
        if unpacked.newer > 0 {
            self.newer = true;
            let (database, entries) = (self.database, unpacked.newer);
            out.event(Event::NewerVersion { database, entries });
        }
        self.entries += unpacked.parcels.len() as u64;
        self.bytes += batch.raw.parcel_bytes() as u64;
        let id = flow.begin(batch.name, batch.raw.len())?;
        let (number, live, raw) = (Some(batch.number), batch.live, batch.raw);
        self.ingesting.insert(id, Ingesting { number, live, raw });
        out.ingest(id, self.database, unpacked.parcels, bootstrap);
        Ok(())
    }

    /// Hands parcels over again whose parents have come.
    pub(crate) fn retry(&mut self, id: BatchId, raw: RawParcels) {
        self.ingesting.insert(id, Ingesting { number: None, live: false, raw });
    }

    /// Takes the verdicts on a batch.
    pub(crate) fn judge(
        &mut self,
        id: BatchId,
        verdicts: Vec<(EntryId, Verdict)>,
        out: &mut Outbox,
    ) -> Result<Judged, PeerFault> {
        let mut judged = Judged::default();
        let Some(batch) = self.ingesting.remove(&id) else {
            return Ok(judged);
        };
        let mut missing = BTreeMap::new();
        for (entry, verdict) in verdicts {
            self.duplicates += u64::from(matches!(verdict, Verdict::Duplicate(_)));
            match verdict {
                Verdict::Stored(number) | Verdict::Duplicate(number) => {
                    if batch.live {
                        judged.live.push(number);
                    }
                    judged.ready.extend(self.pending.take_children(&entry));
                }
                Verdict::Missing(parents) => drop(missing.insert(entry, parents)),
                Verdict::Fault(fault) => return Err(fault.into()),
                other => {
                    if matches!(other, Verdict::Refused(_)) {
                        judged.ready.extend(self.pending.take_children(&entry));
                    }
                    self.keep_out(entry, other, out);
                }
            }
        }
        if !missing.is_empty() {
            self.wait(&batch.raw, &missing);
        }
        judged.acknowledge = batch.number.and_then(|number| self.done(number));
        Ok(judged)
    }

    fn wait(&mut self, raw: &RawParcels, missing: &BTreeMap<EntryId, Vec<EntryId>>) {
        for parcel in raw.find(&|id| missing.contains_key(id)) {
            let parents = missing.get(&parcel.entry.id()).map(Vec::as_slice).unwrap_or_default();
            if self.pending.insert(parcel, parents).is_err() {
                self.overflowed = true;
                return;
            }
        }
    }

    fn keep_out(&mut self, entry: EntryId, verdict: Verdict, out: &mut Outbox) {
        let database = self.database;
        let (class, reason) = match verdict {
            Verdict::Refused(reason) => {
                let text = reason.to_string().chars().take(REASON_MAX).collect();
                out.event(Event::Refused { database, entry, reason });
                (Class::Refused, Some(text))
            }
            Verdict::HeldBack { time } => {
                self.again = true;
                out.event(Event::HeldBack { database, entry, time });
                (Class::HeldBack, None)
            }
            Verdict::NewerVersion { what } => {
                out.event(Event::NewerVersion { database, entries: 1 });
                (Class::NewerVersion, Some(what.chars().take(REASON_MAX).collect()))
            }
            _ => {
                self.again = true;
                (Class::Unwanted, None)
            }
        };
        self.remember(entry, KeptOut { class, reason });
    }

    /// Remembers why an entry is not held, as far as there is room.
    pub(crate) fn remember(&mut self, entry: EntryId, why: KeptOut) {
        if self.kept_out.len() < DECLINED_MAX {
            self.kept_out.insert(entry, why);
        }
    }

    fn done(&mut self, number: u64) -> Option<u64> {
        self.done.insert(number);
        let before = self.acknowledged;
        while self.done.remove(&(self.acknowledged + 1)) {
            self.acknowledged += 1;
        }
        (self.acknowledged > before).then_some(self.acknowledged)
    }

    /// Returns whether every batch that came has its verdicts.
    pub(crate) fn is_idle(&self) -> bool {
        self.ingesting.is_empty()
    }

    /// Returns how many batches and waiting parcels there are.
    pub(crate) fn waiting(&self) -> u64 {
        (self.ingesting.len() + self.pending.len()) as u64
    }

    /// Returns whether parcels wait for parents that may yet come, or too many have waited.
    pub(crate) fn has_gap(&self) -> bool {
        self.overflowed || !self.missing().is_empty()
    }

    /// Returns the ids that parcels wait for and that were not kept out.
    pub(crate) fn missing(&self) -> Vec<EntryId> {
        self.pending.missing().filter(|id| !self.kept_out.contains_key(id)).collect()
    }

    /// Returns why an entry that is not stored is not.
    pub(crate) fn why_not_held(&self, id: &EntryId) -> KeptOut {
        if let Some(kept_out) = self.kept_out.get(id) {
            return kept_out.clone();
        }
        let below = self.pending.missing().find_map(|missing| self.kept_out.get(&missing));
        let class = match below.filter(|_| self.pending.contains(id)) {
            Some(kept_out) => kept_out.class,
            None if self.newer => Class::NewerVersion,
            None => Class::Missing,
        };
        KeptOut { class, reason: None }
    }

    /// Drops what waits for parents that were kept out: the next round brings it again, with them.
    pub(crate) fn wait_no_more(&mut self) {
        if !self.pending.is_empty() {
            self.again = true;
            self.pending = Pending::new(PENDING_MAX_BYTES);
        }
    }

    /// Ends a round: nothing waits any more. Returns whether too much had waited.
    pub(crate) fn settle(&mut self) -> bool {
        self.pending = Pending::new(PENDING_MAX_BYTES);
        std::mem::take(&mut self.overflowed)
    }
}

//! What a peer that lies puts among what it holds.
//!
//! Invariant: a forgery is in the liar's own rows alone; its sessions send it as if it were good.

use weald_auth::{Level, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_dag::limits::CLOCK_AHEAD_MAX_MS;
use weald_dag::{
    DatabaseId, Durability, EntryId, Fields, Graph, Head, Local, Number, Overlay, Parcel,
    SecretKey, Section, Signature, Standing, Store, StoreError, Stored, Time, Verified, append,
    index,
};
use weald_engine::held;

use crate::chance::Chance;
use crate::disk::Disk;
use crate::workload::any_entry;

/// A way to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A new entry that its author did not sign.
    BadSignature,
    /// A payload that is not what the entry names.
    WrongPayload,
    /// An entry of others with a signature that is spoilt.
    SpoiltSignature,
    /// An entry whose parent nobody has.
    MissingParent,
    /// An entry that is older than its parent.
    BackInTime,
    /// An entry from the far future.
    FarFuture,
    /// Settings by a stranger.
    Usurper,
    /// Good entries by a stranger, on top of which the liar goes on.
    Stranger,
    /// Nothing false among the rows, but what is said of them: tips, sums, filters, classes, wants.
    Words,
}

/// Something that was forged.
pub(crate) struct Forgery {
    pub(crate) database: DatabaseId,
    pub(crate) id: EntryId,
    pub(crate) number: Number,
    /// Whether the entry itself is good, so that others may come to hold it.
    pub(crate) is_genuine: bool,
}

impl Lie {
    /// Every way to lie.
    pub const ALL: [Self; 9] = [
        Self::BadSignature,
        Self::WrongPayload,
        Self::SpoiltSignature,
        Self::MissingParent,
        Self::BackInTime,
        Self::FarFuture,
        Self::Usurper,
        Self::Stranger,
        Self::Words,
    ];

    /// Returns whether it shows that who sends it is at fault, so that the session must end.
    pub(crate) const fn is_fault(self) -> bool {
        matches!(self, Self::BadSignature | Self::WrongPayload)
    }

    /// Forges something in one of the databases, if one is held and not empty.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn forge(
        self,
        disk: &Disk,
        databases: &[DatabaseId],
        wall: u64,
        chance: &mut Chance,
    ) -> Result<Option<Forgery>, StoreError> {
        if self == Self::Words {
            return Ok(None);
        }
        let snapshot = disk.snapshot()?;
        let Some(database) = chance.pick(databases) else { return Ok(None) };
        let Some(held) = held(&*snapshot, database)?.filter(|held| held.complete) else {
            return Ok(None);
        };
        let graph = Graph::new(&*snapshot, held.number);
        let Some((newest, head)) = graph.head()? else { return Ok(None) };
        let mut rows = Overlay::new(std::sync::Arc::clone(&snapshot));
        let stored = match self {
            Self::SpoiltSignature => {
                let entry = any_entry(chance, &graph, newest)?;
                let number = graph.number(&entry.id())?.unwrap_or(newest);
                let mut stored = graph.stored(number)?;
                stored.parcel.signature = Signature::from_bytes(chance.bytes());
                stored
            }
            _ => {
                let Some(stored) = self.entry(graph.stored(newest)?, head, wall, chance) else {
                    return Ok(None);
                };
                index(&mut rows, held.number, &stored.parcel.entry.id(), stored.number);
                stored
            }
        };
        append(&mut rows, held.number, stored.number, &stored.local, &stored.parcel);
        disk.apply(rows.into_batch(), Durability::Immediate)?;
        Ok(Some(Forgery {
            database: *database,
            id: stored.parcel.entry.id(),
            number: stored.number,
            is_genuine: matches!(self, Self::SpoiltSignature | Self::Stranger),
        }))
    }

    /// Makes a false entry on top of the newest.
    fn entry(self, newest: Stored, head: Head, wall: u64, chance: &mut Chance) -> Option<Stored> {
        let before = newest.parcel.entry;
        let time = match self {
            Self::BackInTime => Time::from_raw(before.time().raw().saturating_sub(1)),
            Self::FarFuture => Time::from_millis(wall + 10 * CLOCK_AHEAD_MAX_MS),
            _ => before.time().next()?,
        };
        let parent = match self {
            Self::MissingParent => EntryId::from_bytes(chance.bytes()),
            _ => before.id(),
        };
        let key = SecretKey::from_seed(&chance.bytes());
        let (store, payload) = match self {
            Self::Usurper => (SETTINGS_STORE, encode_operations(&[usurping(&key)]).ok()?),
            _ => ("chat", chance.bytes::<20>().to_vec()),
        };
        let fields = Fields {
            parents: vec![parent],
            time,
            author: key.public(),
            seq: 0,
            sections: vec![Section::of(store, &payload)],
            nonce: None,
        };
        let mut parcel = Verified::sign(fields, vec![payload], &key).ok()?.into_parcel();
        self.spoil(&mut parcel, chance);
        let number = Number(newest.number.0 + 1);
        let clock = head.clock.max(time);
        let generation = newest.local.generation + 1;
        let mut open = head.open;
        open.add(&parcel.entry.id());
        let head = Head { tips: vec![number], clock, needed: head.needed + 1, generation, open };
        let local = Local {
            standing: Standing::Visible,
            generation,
            epoch: newest.local.epoch,
            parents: vec![newest.number],
            head: Some(head),
        };
        Some(Stored { number, local, parcel })
    }

    fn spoil(self, parcel: &mut Parcel, chance: &mut Chance) {
        match self {
            Self::BadSignature => parcel.signature = Signature::from_bytes(chance.bytes()),
            Self::WrongPayload => parcel.payloads = vec![Some(chance.bytes::<20>().to_vec())],
            _ => {}
        }
    }
}

fn usurping(key: &SecretKey) -> Operation {
    let subject = Subject::Key(key.public());
    Operation::Grant { subject, level: Level::Admin(0), name: None, expires: None }
}

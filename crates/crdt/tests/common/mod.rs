//! A replica in memory: commits drafts, and applies what others committed, parents first.

use std::collections::BTreeSet;

use weald_crdt::{Change, EntryStamp, MemoryView, StoreType};

/// A committed section.
#[derive(Clone)]
pub(crate) struct Committed {
    pub(crate) stamp: EntryStamp,
    pub(crate) payload: Vec<u8>,
}

/// The rows of one store on one device, and the sections it knows, parents first.
#[derive(Clone)]
pub(crate) struct Replica {
    kind: &'static dyn StoreType,
    name: u8,
    pub(crate) view: MemoryView,
    pub(crate) known: Vec<Committed>,
    seen: BTreeSet<[u8; 32]>,
    clock: u64,
}

impl Replica {
    pub(crate) fn new(kind: &'static dyn StoreType, name: u8) -> Self {
        let (view, known, seen) = (MemoryView::new(), Vec::new(), BTreeSet::new());
        Self { kind, name, view, known, seen, clock: 0 }
    }

    /// Commits a payload; the clock is later than everything this replica knows.
    pub(crate) fn commit(&mut self, payload: Vec<u8>) -> Vec<Change> {
        self.clock += 1;
        let mut entry = [self.name; 32];
        let device = u64::from(self.name).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let mixed = self.clock.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ device;
        entry[0..8].copy_from_slice(&mixed.to_be_bytes());
        let stamp = EntryStamp::visible(self.clock, entry, [self.name; 32]);
        self.kind.check(&payload).unwrap();
        self.apply(Committed { stamp, payload })
    }

    pub(crate) fn apply(&mut self, section: Committed) -> Vec<Change> {
        let mut changes = Vec::new();
        if !self.seen.insert(section.stamp.entry) {
            return changes;
        }
        self.kind.apply(&section.payload, &section.stamp, &mut self.view, &mut changes).unwrap();
        self.view.mark_applied(section.stamp, &section.payload);
        self.clock = self.clock.max(section.stamp.time);
        self.known.push(section);
        changes
    }

    /// Takes everything the other knows, in the order in which it came there.
    pub(crate) fn pull(&mut self, other: &Self) -> Vec<Change> {
        other.known.iter().flat_map(|section| self.apply(section.clone())).collect()
    }
}

/// Lets all replicas know everything.
pub(crate) fn converge(replicas: &mut [Replica]) {
    for _ in 0..2 {
        for at in 0..replicas.len() {
            for from in 0..replicas.len() {
                let other = replicas[from].clone();
                replicas[at].pull(&other);
            }
        }
    }
    for replica in &replicas[1..] {
        assert_eq!(replica.view, replicas[0].view);
    }
}

//! Which keys either side has proven, per database.
//!
//! Invariant: a key counts for the database that it was proven for and for no other; what is kept of a
//! peer's keys is bounded.

use std::collections::BTreeMap;

use weald_dag::{DatabaseId, PublicKey};

use crate::close::{CloseReason, PeerFault};
use crate::limits::{KEYS_MAX, PROOFS_MAX};
use crate::message::Control;
use crate::naming::Name;
use crate::outbox::Outbox;
use crate::possession;
use crate::reads::Reads;

/// The keys that the peer has proven.
#[derive(Debug)]
pub(crate) struct PeerKeys {
    /// The device key, which counts everywhere.
    device: [PublicKey; 1],
    by_name: BTreeMap<Name, Vec<PublicKey>>,
    proofs: usize,
}

impl PeerKeys {
    pub(crate) const fn new(device: PublicKey) -> Self {
        Self { device: [device], by_name: BTreeMap::new(), proofs: 0 }
    }

    /// Returns the keys proven for a database, the device key first.
    pub(crate) fn of(&self, name: &Name) -> &[PublicKey] {
        self.by_name.get(name).map_or(&self.device, Vec::as_slice)
    }

    /// Adds keys that were proven for a database.
    pub(crate) fn add(&mut self, name: Name, keys: &[PublicKey]) -> Result<(), PeerFault> {
        // A message without keys is kept as a name all the same.
        self.proofs += keys.len().max(1);
        at_most(self.proofs, PROOFS_MAX)?;
        let known = self.by_name.entry(name).or_insert_with(|| self.device.to_vec());
        for key in keys {
            if !known.contains(key) {
                known.push(*key);
            }
        }
        at_most(known.len(), KEYS_MAX + 1)
    }
}

fn at_most(found: usize, limit: usize) -> Result<(), PeerFault> {
    if found > limit { Err(PeerFault::TooMany { what: "keys", found, limit }) } else { Ok(()) }
}

/// The keys of this side that were proven to the peer.
#[derive(Debug)]
pub(crate) struct OwnKeys {
    transcript: [u8; 32],
    device: [PublicKey; 1],
    peer: PublicKey,
    by_name: BTreeMap<Name, Vec<PublicKey>>,
    proofs: usize,
}

impl OwnKeys {
    pub(crate) const fn new(transcript: [u8; 32], device: PublicKey, peer: PublicKey) -> Self {
        Self { transcript, device: [device], peer, by_name: BTreeMap::new(), proofs: 0 }
    }

    /// Returns the keys proven for a database, the device key first.
    pub(crate) fn of(&self, name: &Name) -> &[PublicKey] {
        self.by_name.get(name).map_or(&self.device, Vec::as_slice)
    }

    /// Proves the keys for a database that are not proven yet, as many as a peer takes.
    pub(crate) fn prove(
        &mut self,
        name: Name,
        database: &DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let mut keys = reads.keys_for(database, &self.peer)?;
        let proven = self.of(&name);
        keys.retain(|key| !proven.contains(&key.public()));
        let room = (KEYS_MAX + 1).saturating_sub(proven.len());
        keys.truncate(room.min(PROOFS_MAX.saturating_sub(self.proofs)));
        let Some(device) = self.device.first().filter(|_| !keys.is_empty()) else {
            return Ok(());
        };
        let proofs = possession::prove(&self.transcript, device, name, &keys);
        out.control(Control::Keys { name, proofs });
        self.proofs += keys.len();
        let known = self.by_name.entry(name).or_insert_with(|| self.device.to_vec());
        known.extend(keys.iter().map(weald_dag::SecretKey::public));
        Ok(())
    }
}

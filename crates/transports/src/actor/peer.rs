//! What is kept of a peer across restarts; it changes only when a fact changes, never with each sync.
//!
//! Invariant: it is bounded, whatever peers and apps add to it.

use std::collections::BTreeSet;

use weald_dag::{DatabaseId, PublicKey};

use crate::address::Address;

/// A peer as the host keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Its device key.
    pub key: PublicKey,
    /// What it calls itself; empty while unknown. It proves nothing.
    pub name: String,
    /// Where it may be reached, in the order in which it was learned. All are tried, the one that worked last first.
    pub addresses: Vec<Address>,
    /// The databases that are kept in sync with it.
    pub databases: BTreeSet<DatabaseId>,
}

/// How many addresses of one peer are kept; further ones that work are known until others do.
pub const ADDRESSES_MAX: usize = 16;

impl PeerRecord {
    /// Makes the record of a peer of which nothing else is known.
    pub const fn new(key: PublicKey) -> Self {
        Self { key, name: String::new(), addresses: Vec::new(), databases: BTreeSet::new() }
    }

    /// Adds what another record of the same peer knows; returns whether anything changed.
    pub(crate) fn merge(&mut self, other: Self) -> bool {
        let before = self.clone();
        if !other.name.is_empty() {
            self.name = other.name;
        }
        for address in other.addresses {
            if !self.addresses.contains(&address) && self.addresses.len() < ADDRESSES_MAX {
                self.addresses.push(address);
            }
        }
        self.databases.extend(other.databases);
        *self != before
    }
}

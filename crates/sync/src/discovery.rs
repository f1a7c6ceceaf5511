//! What a peer offers to the keys that are proven to it, in pages by id.
//!
//! Invariant: what the keys may not read, what is not offered and what is not there are left out alike.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use weald_dag::{DatabaseId, ID_LEN};

use crate::allowance::Allowance;
use crate::close::{CloseReason, PeerFault};
use crate::limits::{
    DISCOVERED_PAGE, DISCOVERIES_PER_LINK_MAX, DISCOVERY_PAUSE_MS, LISTED_NAME_MAX,
};
use crate::message::{Control, at_most};
use crate::naming::{NAME_LEN, Name};
use crate::outbox::Outbox;
use crate::output::Event;

/// The id that stands for no database: keys that are proven for it count for discovery alone.
pub const NO_DATABASE: DatabaseId = DatabaseId::from_bytes([0; ID_LEN]);

/// The name under which keys are proven for discovery.
pub(crate) const DISCOVERY: Name = Name(ByteArray::new([0; NAME_LEN]));

/// A database that a peer offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDatabase {
    /// Its id.
    pub id: DatabaseId,
    /// Its name, by its settings; empty where it has none.
    pub name: String,
    /// How many entries are needed there.
    pub entries: u64,
}

/// A database on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    id: ByteArray<ID_LEN>,
    name: String,
    entries: u64,
}

impl From<ListedDatabase> for Listed {
    fn from(listed: ListedDatabase) -> Self {
        let name = listed.name.chars().take(LISTED_NAME_MAX).collect();
        Self { id: ByteArray::new(*listed.id.as_bytes()), name, entries: listed.entries }
    }
}

impl From<Listed> for ListedDatabase {
    fn from(listed: Listed) -> Self {
        let Listed { id, name, entries } = listed;
        Self { id: DatabaseId::from_bytes(*id), name, entries }
    }
}

/// Checks a page of databases before it is looked at.
pub(crate) fn check(databases: &[Listed]) -> Result<(), PeerFault> {
    at_most("databases in a page", databases.len(), DISCOVERED_PAGE)?;
    databases.iter().try_for_each(|listed| {
        at_most("characters of a name", listed.name.chars().count(), LISTED_NAME_MAX)
    })
}

/// The questions of both sides of a session.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// What this side has asked for and waits for: all behind this id, or all.
    asked: Option<Option<DatabaseId>>,
    /// How often the peer may ask.
    allowance: Allowance,
}

impl Discovery {
    pub(crate) const fn new() -> Self {
        let allowance = Allowance::new(DISCOVERIES_PER_LINK_MAX, DISCOVERY_PAUSE_MS);
        Self { asked: None, allowance }
    }

    /// Returns whether the peer owes an answer.
    pub(crate) const fn waits_for_peer(&self) -> bool {
        self.asked.is_some()
    }

    /// Returns whether the peer may ask again now; it counts.
    pub(crate) fn allows(&mut self, now: u64) -> bool {
        self.allowance.take(now)
    }

    /// Asks for the databases behind an id, unless an answer is waited for.
    pub(crate) fn ask(&mut self, after: Option<DatabaseId>, out: &mut Outbox) {
        if self.asked.is_none() {
            self.asked = Some(after);
            out.control(Control::Discover(after.map(|id| ByteArray::new(*id.as_bytes()))));
        }
    }

    /// Takes a page of the peer.
    pub(crate) fn answered(
        &mut self,
        databases: Vec<Listed>,
        next: Option<DatabaseId>,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let after = self.asked()?;
        let databases: Vec<ListedDatabase> = databases.into_iter().map(Into::into).collect();
        let ids = databases.iter().map(|listed| Some(listed.id));
        let places = std::iter::once(after).chain(ids);
        let rising = places.is_sorted_by(|a, b| a < b);
        let last = databases.last().map_or(after, |listed| Some(listed.id));
        if !rising || next.is_some_and(|next| Some(next) <= after || Some(next) < last) {
            return Err(PeerFault::Garbled { what: "a page of databases" }.into());
        }
        out.event(Event::Discovered { databases, next });
        Ok(())
    }

    /// Takes the peer's word that it was asked too often.
    pub(crate) fn refused(&mut self, out: &mut Outbox) -> Result<(), CloseReason> {
        self.asked()?;
        out.event(Event::NotDiscovered);
        Ok(())
    }

    fn asked(&mut self) -> Result<Option<DatabaseId>, PeerFault> {
        let what = "an answer to no question for databases";
        self.asked.take().ok_or(PeerFault::Unexpected { what })
    }
}

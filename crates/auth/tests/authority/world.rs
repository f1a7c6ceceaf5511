//! A database in which people act one after the other, for scenarios.

use weald_auth::{AuthRefusal, Current, Level, Operation, Rank, Subject};
use weald_dag::EntryId;

use crate::graph::{Graph, KEYS};
use crate::replica::Replica;

pub(crate) const CREATOR: usize = 0;
pub(crate) const ALICE: usize = 1;
pub(crate) const BOB: usize = 2;

pub(crate) fn grant(key: usize, level: Level) -> Operation {
    Operation::Grant { subject: Subject::Key(KEYS[key]), level, name: None, expires: None }
}

pub(crate) fn grant_until(key: usize, level: Level, end: u64) -> Operation {
    let subject = Subject::Key(KEYS[key]);
    Operation::Grant { subject, level, name: None, expires: Some(end) }
}

pub(crate) fn grant_anyone(level: Level) -> Operation {
    Operation::Grant { subject: Subject::Anyone, level, name: None, expires: None }
}

pub(crate) fn set(key: &str, value: &str) -> Operation {
    Operation::Set { key: key.into(), value: value.into() }
}

pub(crate) fn invite(key: usize, gives: Level, uses: u32) -> Operation {
    Operation::Invite { key: KEYS[key], gives, uses, expires: None }
}

pub(crate) fn limit(key: usize, to: Option<Level>) -> Operation {
    Operation::Limit { subject: Subject::Key(KEYS[key]), to }
}

pub(crate) fn limit_anyone(to: Option<Level>) -> Operation {
    Operation::Limit { subject: Subject::Anyone, to }
}

/// A database that its creator holds, and a replica that gets each entry as it is made.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) replica: Replica,
}

impl World {
    pub(crate) fn new() -> Self {
        let graph = Graph::new(vec![grant(CREATOR, Level::Admin(0))]);
        let mut replica = Replica::default();
        replica.receive(&graph, 0).unwrap();
        Self { graph, replica }
    }

    /// Returns why an entry that was let in is hidden.
    pub(crate) fn why(&self, place: usize) -> Option<AuthRefusal> {
        let (authority, origin) = (&self.replica.authority, self.replica.origins[&place]);
        if let Some(index) = origin.settings {
            return authority.why_hidden(index);
        }
        let pasts = self.graph.pasts();
        let is_before = |index| pasts[self.replica.place_of(index)] >> place & 1 == 1;
        let claim = self.graph.entries[place].claim();
        authority.stands(origin.epoch, &claim, &is_before).err()
    }

    pub(crate) fn id(&self, place: usize) -> EntryId {
        self.graph.entries[place].id
    }

    pub(crate) fn level(&self, key: usize) -> Option<Level> {
        self.current().level_of(&KEYS[key])
    }

    /// Adds an entry with the first byte of its id.
    pub(crate) fn grinds(
        &mut self,
        author: usize,
        parents: &[usize],
        operation: Operation,
        grind: u8,
    ) -> usize {
        let place = self.graph.add(parents, author, 1, Some(vec![operation]), grind);
        self.replica.receive(&self.graph, place).unwrap();
        place
    }

    pub(crate) fn current(&self) -> Current<'_> {
        self.replica.authority.current()
    }

    pub(crate) fn propose(
        &mut self,
        author: usize,
        parents: &[usize],
        operations: Option<Vec<Operation>>,
    ) -> Result<(usize, Rank), AuthRefusal> {
        let place = self.graph.add(parents, author, 1, operations, 0);
        self.replica.receive(&self.graph, place).map(|rank| (place, rank))
    }

    pub(crate) fn writes(
        &mut self,
        author: usize,
        parents: &[usize],
    ) -> Result<(usize, Rank), AuthRefusal> {
        self.propose(author, parents, None)
    }

    pub(crate) fn says(
        &mut self,
        author: usize,
        parents: &[usize],
        operation: Operation,
    ) -> Result<(usize, Rank), AuthRefusal> {
        self.propose(author, parents, Some(vec![operation]))
    }
}

//! Random writes on two devices that exchange entries now and then.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use weald::{Database, EntryId, Instance, Transaction, Value};

use crate::common::room;

pub const KEYS: [&str; 2] = ["a", "b"];
const FIELDS: [&str; 2] = ["x", "y"];
const PATHS: [&[&str]; 5] = [&["p"], &["p", "q"], &["p", "r"], &["s"], &["s", "t", "u"]];

/// One operation of a transaction.
#[derive(Clone, Debug)]
pub enum Operation {
    Put(usize, Vec<(usize, u8)>),
    Edit(usize, usize, Option<u8>),
    Delete(usize),
    Set(usize, Value),
    Remove(usize),
    Push(u8),
    Insert(usize, Value),
    Take(usize),
    Move(usize, usize),
    Replace(usize, Value),
    Increment(usize, i64),
    Add(usize, i64),
    Reset(usize),
    Include(u8),
    Exclude(u8),
}

const COUNTS: [&[&str]; 2] = [&["count"], &["p", "q"]];
const LIST: [&str; 1] = ["list"];

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    Write(usize, Vec<Operation>),
    Exchange,
}

fn doc_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (0_u8..3).prop_map(Value::from),
        1 => Just(Value::List(vec![Value::from(1_u8), Value::from("two")])),
        1 => Just(Value::Map(Default::default())),
        // A text, and no number: that a map puts an equal number in a counter's place is not redone.
        1 => "[a-c]".prop_map(|q| Value::from([("q", Value::from(q)), ("v", Value::from(true))])),
    ]
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let field = || 0..FIELDS.len();
    let fields = prop::collection::vec((field(), 0_u8..3), 0..3);
    prop_oneof![
        2 => (0..KEYS.len(), fields).prop_map(|(key, fields)| Operation::Put(key, fields)),
        2 => (0..KEYS.len(), field(), prop::option::of(0_u8..3))
            .prop_map(|(key, field, value)| Operation::Edit(key, field, value)),
        1 => (0..KEYS.len()).prop_map(Operation::Delete),
        3 => (0..PATHS.len(), doc_value()).prop_map(|(path, value)| Operation::Set(path, value)),
        1 => (0..PATHS.len()).prop_map(Operation::Remove),
        1 => (0_u8..3).prop_map(Operation::Push),
        2 => (0_usize..4, doc_value()).prop_map(|(at, value)| Operation::Insert(at, value)),
        1 => (0_usize..4).prop_map(Operation::Take),
        1 => (0_usize..4, 0_usize..4).prop_map(|(from, to)| Operation::Move(from, to)),
        1 => (0_usize..4, doc_value()).prop_map(|(at, value)| Operation::Replace(at, value)),
        1 => (0..COUNTS.len(), -2_i64..5).prop_map(|(path, by)| Operation::Increment(path, by)),
        1 => (0..KEYS.len(), -2_i64..5).prop_map(|(key, by)| Operation::Add(key, by)),
        1 => (0..KEYS.len()).prop_map(Operation::Reset),
        1 => (0_u8..2).prop_map(Operation::Include),
        1 => (0_u8..2).prop_map(Operation::Exclude),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_usize..2, prop::collection::vec(operation(), 1..3))
            .prop_map(|(who, operations)| Step::Write(who, operations)),
        1 => Just(Step::Exchange),
    ]
}

/// Does what can be done: a row that is not there is not edited.
pub fn apply(tx: &mut Transaction, operation: &Operation) {
    match operation {
        Operation::Put(key, fields) => {
            let row = fields
                .iter()
                .map(|(field, value)| (FIELDS[*field].to_owned(), Value::from(*value)));
            let row = Value::Map(row.collect());
            tx.table("table").unwrap().put(KEYS[*key], &row).unwrap();
        }
        Operation::Edit(key, field, Some(value)) => {
            drop(tx.table::<Value>("table").unwrap().edit(KEYS[*key], FIELDS[*field], value));
        }
        Operation::Edit(key, field, None) => {
            drop(tx.table::<Value>("table").unwrap().remove_field(KEYS[*key], FIELDS[*field]));
        }
        Operation::Delete(key) => drop(tx.table::<Value>("table").unwrap().delete(KEYS[*key])),
        Operation::Set(path, value) => {
            drop(
                tx.doc("doc")
                    .unwrap()
                    .set(PATHS[*path].iter().copied().collect::<weald::Path>(), value),
            );
        }
        Operation::Remove(path) => {
            drop(
                tx.doc("doc")
                    .unwrap()
                    .remove(PATHS[*path].iter().copied().collect::<weald::Path>()),
            );
        }
        Operation::Push(value) => tx.log("log").unwrap().push(value).unwrap(),
        Operation::Increment(path, by) => {
            let path = COUNTS[*path].iter().copied().collect::<weald::Path>();
            drop(tx.doc("doc").unwrap().increment(path, *by));
        }
        Operation::Add(key, by) => tx.counter("counter").unwrap().add(KEYS[*key], *by).unwrap(),
        Operation::Reset(key) => drop(tx.counter("counter").unwrap().reset(KEYS[*key]).unwrap()),
        Operation::Include(member) => drop(tx.set("set").unwrap().add(member).unwrap()),
        Operation::Exclude(member) => drop(tx.set("set").unwrap().remove(member).unwrap()),
        list => drop(apply_to_list(tx, list)),
    }
}

fn apply_to_list(tx: &mut Transaction, operation: &Operation) -> Result<(), weald::WriteError> {
    let mut doc = tx.doc("doc")?;
    let mut list = doc.list(LIST)?;
    match operation {
        Operation::Insert(at, value) => list.insert(*at, value),
        Operation::Take(at) => list.remove(*at).map(drop),
        Operation::Move(from, to) => list.move_to(*from, *to),
        Operation::Replace(at, value) => list.set(*at, value),
        _ => Ok(()),
    }
}

/// Two devices with one database.
pub struct World {
    pub instances: [Instance; 2],
    pub databases: [Database; 2],
}

impl World {
    pub fn new() -> Self {
        let (here, _, database) = room();
        let there = Instance::in_memory().unwrap();
        let bob = there.create_user("bob", None).unwrap();
        there
            .ingest(here.device_key(), database.id(), database.parcels(0, usize::MAX).unwrap())
            .unwrap();
        there.mark_complete(database.id()).unwrap();
        let his = bob.open_database(&database.id()).unwrap();
        Self { instances: [here, there], databases: [database, his] }
    }

    /// Takes a step; returns the entry that it made.
    pub fn take(&mut self, step: Step) -> Option<EntryId> {
        let Step::Write(who, operations) = step else {
            self.exchange();
            return None;
        };
        let run = |tx: &mut Transaction| {
            operations.iter().for_each(|operation| apply(tx, operation));
            Ok(())
        };
        self.databases[who].write(run).unwrap().id
    }

    /// Brings each device what the other has.
    pub fn exchange(&self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let parcels = self.databases[from].parcels(0, usize::MAX).unwrap();
            let device = self.instances[from].device_key();
            self.instances[to].ingest(device, self.databases[from].id(), parcels).unwrap();
        }
    }
}

/// Makes a device that holds these entries of a database and no others.
pub fn fresh(database: &Database, entries: &BTreeSet<EntryId>) -> Database {
    let instance = Instance::in_memory().unwrap();
    let carol = instance.create_user("carol", None).unwrap();
    let all = database.parcels(0, usize::MAX).unwrap().into_iter();
    let parcels = all.filter(|parcel| entries.contains(&parcel.entry.id())).collect();
    instance.ingest(database.key(), database.id(), parcels).unwrap();
    carol.open_database(&database.id()).unwrap()
}

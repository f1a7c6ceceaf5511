//! A database that grows on one site, entry by entry, on any parents that it has.

use std::collections::{BTreeMap, BTreeSet};

use weald_auth::{Level, Operation, Subject, encode_operations};
use weald_crdt::{
    CounterDraft, DocDraft, Key, LogDraft, OwnDraft, Path, SetDraft, TableDraft, Value, ViewMut,
};
use weald_dag::{
    DatabaseId, EntryId, Fields, Graph, Number, Section, Standing, Time, Verdict, Verified,
};
use weald_engine::{Shift, StorePlace, StoreViewMut, past};

use crate::site::{NOW, Site, key, types};

pub(crate) fn subject(seed: u8) -> Subject {
    if seed == 0 { Subject::Anyone } else { Subject::Key(key(seed).public()) }
}

pub(crate) fn grant(to: u8, level: Level) -> Operation {
    Operation::Grant { subject: subject(to), level, name: None, expires: None }
}

pub(crate) fn limit(on: u8, to: Option<Level>) -> Operation {
    Operation::Limit { subject: subject(on), to }
}

pub(crate) fn invite(bearer: u8, uses: u32) -> Operation {
    let key = key(bearer).public();
    Operation::Invite { key, gives: Level::Write(7), uses, expires: None }
}

/// What an entry does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Table(u8),
    Log(u8),
    Counter(u8),
    Set(u8),
    Doc(u8),
    Tally,
    Votes,
    Many(u8),
    Settings(Vec<Operation>),
    /// Settings and a section beside them.
    Both(Vec<Operation>, u8),
}

pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) id: DatabaseId,
    /// All entries but the root that are stored, parents first.
    pub(crate) pool: Vec<Verified>,
    pub(crate) ids: Vec<EntryId>,
    pub(crate) parents: BTreeMap<EntryId, Vec<EntryId>>,
    /// What entries made appear or vanish.
    pub(crate) shifts: Vec<Shift>,
    pub(crate) appeared: u64,
    times: BTreeMap<EntryId, u64>,
    count: u64,
}

impl World {
    pub(crate) fn new(operations: Vec<Operation>) -> Self {
        let mut site = Site::new();
        let mut all = vec![grant(1, Level::Admin(0))];
        all.extend(operations);
        let id = site.found(all);
        site.declare_index(id);
        let snapshot = site.store.snapshot().unwrap();
        let root = Graph::new(&*snapshot, site.number(id)).stored(Number(0)).unwrap().parcel;
        let (root_id, time) = (root.entry.id(), root.entry.time().millis());
        let root = weald_dag::verify(vec![root], [2; 32]).pop().unwrap().unwrap();
        Self {
            site,
            id,
            pool: vec![root],
            ids: vec![root_id],
            parents: BTreeMap::from([(root_id, Vec::new())]),
            times: BTreeMap::from([(root_id, time)]),
            shifts: Vec::new(),
            appeared: 0,
            count: 0,
        }
    }

    /// Makes an entry and gives it to the site; `None` if the door refuses it.
    pub(crate) fn add(&mut self, parents: &[EntryId], author: u8, act: &Act) -> Option<EntryId> {
        let made = self.draft(parents, author, act);
        let parents = made.clone().into_parcel().entry.parents().to_vec();
        let time = made.clone().into_parcel().entry.time().millis();
        let id = made.clone().into_parcel().entry.id();
        let mut ingested = self.site.ingest(self.id, vec![made.clone()]);
        for shift in ingested.folded.into_iter().filter_map(|folded| folded.shift) {
            self.appeared += shift.appeared;
            self.shifts.push(*shift);
        }
        match ingested.verdicts.pop().unwrap().1 {
            Verdict::Stored(_) => {}
            Verdict::Refused(_) => return None,
            other => panic!("{other:?}"),
        }
        self.pool.push(made);
        self.ids.push(id);
        self.parents.insert(id, parents);
        self.times.insert(id, time);
        Some(id)
    }

    /// Makes an entry and keeps it to itself.
    pub(crate) fn draft(&mut self, parents: &[EntryId], author: u8, act: &Act) -> Verified {
        let sections = self.sections(parents, act);
        let mut parents = parents.to_vec();
        parents.sort_unstable();
        parents.dedup();
        let latest = parents.iter().map(|parent| self.times[parent]).max().unwrap();
        self.count += 1;
        let time = latest.max(NOW) + 1 + self.count % 3;
        let fields = Fields {
            parents,
            time: Time::from_millis(time),
            author: key(author).public(),
            seq: self.count,
            sections: sections.iter().map(|(name, payload)| Section::of(*name, payload)).collect(),
            nonce: None,
        };
        let payloads = sections.into_iter().map(|(_, payload)| payload).collect();
        Verified::sign(fields, payloads, &key(author)).unwrap()
    }

    fn sections(&self, parents: &[EntryId], act: &Act) -> Vec<(&'static str, Vec<u8>)> {
        let database = self.site.number(self.id);
        let snapshot = self.site.store.snapshot().unwrap();
        let numbers = Graph::new(&*snapshot, database).numbers(parents).unwrap();
        let mut rows = past(snapshot, database, &types(), &numbers).unwrap();
        let mut on = |name: &'static str, draw: &mut dyn FnMut(&mut dyn ViewMut) -> Vec<u8>| {
            let mut view = StoreViewMut::new(&mut rows, StorePlace::new(database, name, name));
            (name, draw(&mut view))
        };
        let settings = |operations: &[Operation]| ("_settings", encoded(operations));
        match act {
            Act::Table(n) => vec![on("table", &mut |view| table(view, *n))],
            Act::Log(n) => vec![on("log", &mut |view| log(view, *n))],
            Act::Counter(n) => vec![on("counter", &mut |view| counter(view, *n))],
            Act::Set(n) => vec![on("set", &mut |view| set(view, *n))],
            Act::Doc(n) => vec![on("doc", &mut |view| doc(view, *n))],
            Act::Tally => vec![("tally", OwnDraft::new("tally", 1).encode())],
            Act::Votes => vec![("votes", OwnDraft::new("votes", 1).encode())],
            Act::Many(n) => vec![
                on("counter", &mut |view| counter(view, *n)),
                on("log", &mut |view| log(view, *n)),
                on("table", &mut |view| table(view, *n)),
            ],
            Act::Settings(operations) => vec![settings(operations)],
            Act::Both(operations, n) => {
                vec![settings(operations), on("table", &mut |view| table(view, *n))]
            }
        }
    }

    /// Returns the ids of entries that are hidden.
    pub(crate) fn hidden(&self) -> BTreeSet<EntryId> {
        let standings = self.site.standings(self.id).into_iter();
        standings.filter(|(_, how)| *how != Standing::Visible).map(|(id, _)| id).collect()
    }

    pub(crate) fn tips(&self) -> Vec<EntryId> {
        self.site.tips(self.id).into_iter().collect()
    }

    pub(crate) fn root(&self) -> EntryId {
        self.ids[0]
    }
}

pub(crate) fn encoded(operations: &[Operation]) -> Vec<u8> {
    encode_operations(operations).unwrap()
}

fn table(view: &mut dyn ViewMut, n: u8) -> Vec<u8> {
    let (mut draft, row) = (TableDraft::new(), Key::from(format!("row {}", n % 3)));
    let value =
        Value::from([("text", format!("text {n}")), ("more", "x".repeat(usize::from(n % 5)))]);
    if n.is_multiple_of(7) {
        draft.delete(view, &row).unwrap();
    }
    if draft.is_empty() {
        draft.put(view, &row, &value).unwrap();
    }
    draft.encode()
}

fn log(view: &mut dyn ViewMut, n: u8) -> Vec<u8> {
    let mut draft = LogDraft::new();
    draft.append(view, &Value::from(u64::from(n))).unwrap();
    draft.encode()
}

fn counter(view: &mut dyn ViewMut, n: u8) -> Vec<u8> {
    let (mut draft, name) = (CounterDraft::new(), Key::from("c"));
    if n.is_multiple_of(5) {
        draft.reset(view, &name).unwrap();
    }
    if draft.is_empty() {
        draft.add(view, &name, i64::from(n)).unwrap();
    }
    draft.encode()
}

fn set(view: &mut dyn ViewMut, n: u8) -> Vec<u8> {
    let (mut draft, member) = (SetDraft::new(), Value::from(u64::from(n % 3)));
    if n.is_multiple_of(4) {
        draft.remove(view, &member).unwrap();
    }
    if draft.is_empty() {
        draft.add(view, &member).unwrap();
    }
    draft.encode()
}

fn doc(view: &mut dyn ViewMut, n: u8) -> Vec<u8> {
    let (mut draft, path) = (DocDraft::new(), Path::from(["a"]));
    let path = if n.is_multiple_of(2) { path } else { Path::from(["b"]) };
    if n.is_multiple_of(6) {
        draft.remove(view, &path).unwrap();
    }
    if draft.is_empty() {
        draft.set(view, &path, &Value::from(u64::from(n))).unwrap();
    }
    draft.encode()
}

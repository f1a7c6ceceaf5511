//! Who did what: every entry that is here, with its signature checked again.
//!
//! Invariant: entries come in the order in which they came to this device, a page at a time; between
//! pages no snapshot is held.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

use weald_auth::{Operation, SETTINGS_STORE, decode_operations};
use weald_crdt::{Value, section_type};
use weald_dag::{EntryId, Fault, Graph, Number, PublicKey, Standing, StoreError, Stored, Time};

use super::revision::Names;
use super::steps::{Found, Steps, kind};
use crate::conflict::RowKey;
use crate::database::Database;
use crate::entropy;
use crate::error::ReadError;
use crate::explain::Explanation;
use crate::rows::Rows;
use crate::settings::in_words;
use crate::watch::ChangeKind;

/// How many entries an audit looks at together.
pub const AUDIT_PAGE_ENTRIES: usize = 64;

/// What an entry did to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditChange {
    /// The row.
    pub key: RowKey,
    /// What happened to it.
    pub kind: ChangeKind,
    /// What it said before; `None` if there was no row.
    pub before: Option<Value>,
    /// What it said after; `None` if there is no row.
    pub after: Option<Value>,
}

/// What an entry did to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStore {
    /// The store; `_settings` holds name, members and permissions.
    pub store: String,
    /// Its type; `None` if the section is withheld, damaged, or one of settings.
    pub type_name: Option<String>,
    /// The rows that changed; none of a hidden entry, of settings, and of types that are not known.
    pub changes: Vec<AuditChange>,
    /// What it says in the settings, whether it is visible or not; none of other stores.
    pub settings: Vec<AuditSetting>,
}

/// What an entry says in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditSetting {
    /// The operation.
    pub operation: Operation,
    /// The operation as a sentence for people, with the names that the settings give now.
    pub words: String,
}

/// One entry, as an audit tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// The entry.
    pub entry: EntryId,
    /// Who signed it.
    pub author: PublicKey,
    /// What the settings call the author now; `None` if they give no name.
    pub author_name: Option<String>,
    /// When it was made, by the author's clock.
    pub time: Time,
    /// Whether it stands by the database's authority, and so shows in the state.
    pub is_visible: bool,
    /// Why it is hidden, if it is.
    pub hidden: Option<Explanation>,
    /// What is wrong with its signature or payloads as they are stored; `None` if they are sound.
    pub fault: Option<Fault>,
    /// What it did.
    pub stores: Vec<AuditStore>,
}

impl Database {
    /// Starts an audit of all entries that are here, hidden ones too.
    ///
    /// Every signature and payload is verified again. It visits all entries, a page at a time.
    pub fn audit(&self) -> Audit {
        Audit {
            database: self.clone(),
            filter: Filter::default(),
            next: Some(Number(0)),
            found: VecDeque::new(),
            steps: (None, Found::default()),
        }
    }
}

/// Which entries are told of; all by default.
#[derive(Clone, Debug, Default)]
struct Filter {
    authors: Option<BTreeSet<PublicKey>>,
    users: BTreeSet<String>,
    stores: Option<BTreeSet<String>>,
    since: Option<Time>,
    until: Option<Time>,
}

/// Iterates over entries; see [`Database::audit`].
pub struct Audit {
    database: Database,
    filter: Filter,
    /// The entry that comes next; `None` after the last.
    next: Option<Number>,
    found: VecDeque<AuditRecord>,
    /// What was found so far, and the newest entry of that time.
    steps: (Option<Number>, Found),
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Audit {
    /// Tells only of entries that this key signed, and other keys and users that are asked for. All
    /// by default.
    #[must_use]
    pub fn author(mut self, key: PublicKey) -> Self {
        self.filter.authors.get_or_insert_default().insert(key);
        self
    }

    /// Tells only of entries by keys that go by this name in the settings now, and other users and
    /// keys that are asked for. All by default.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.filter.authors.get_or_insert_default();
        self.filter.users.insert(name.into());
        self
    }

    /// Tells only of entries that wrote to this store, and others that are asked for, and of what
    /// they did there. All by default.
    #[must_use]
    pub fn store(mut self, name: impl Into<String>) -> Self {
        self.filter.stores.get_or_insert_default().insert(name.into());
        self
    }

    /// Tells only of entries made at this time or later. From the first by default.
    #[must_use]
    pub const fn since(mut self, time: Time) -> Self {
        self.filter.since = Some(time);
        self
    }

    /// Tells only of entries made before this time. To the last by default.
    #[must_use]
    pub const fn until(mut self, time: Time) -> Self {
        self.filter.until = Some(time);
        self
    }

    fn next_page(&mut self, from: Number) -> Result<(), ReadError> {
        let core = self.database.core();
        let rows = core.rows()?;
        let names = self.database.names(&rows)?;
        let mut page: Vec<Stored> = Vec::with_capacity(AUDIT_PAGE_ENTRIES);
        let graph = Graph::new(&rows, self.database.number());
        graph.each_from(from, &mut |stored| {
            page.push(stored);
            match page.len() < AUDIT_PAGE_ENTRIES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        let is_last = page.len() < AUDIT_PAGE_ENTRIES;
        self.next = page.last().filter(|_| !is_last).map(|stored| Number(stored.number.0 + 1));
        page.retain(|stored| self.filter.takes(stored, &names));
        let faults = faults(&page)?;
        let newest = graph.head()?.map(|(newest, _)| newest);
        let kept = std::mem::take(&mut self.steps);
        let kept = if kept.0 == newest { kept.1 } else { Found::default() };
        let mut steps = Steps::going_on(&rows, self.database.number(), &core.types, kept);
        for (stored, fault) in page.iter().zip(faults) {
            let record = self.record(&rows, stored, fault, &names, &mut steps)?;
            self.found.push_back(record);
        }
        self.steps = (newest, steps.into_found());
        Ok(())
    }

    fn record(
        &self,
        rows: &Rows,
        stored: &Stored,
        fault: Option<Fault>,
        names: &Names,
        steps: &mut Steps<'_>,
    ) -> Result<AuditRecord, StoreError> {
        let entry = &stored.parcel.entry;
        let is_visible = stored.local.standing == Standing::Visible;
        let hidden = match is_visible {
            true => None,
            false => self.database.explain_hidden(rows, stored, names)?,
        };
        let mut stores = Vec::new();
        for (section, payload) in entry.sections().iter().zip(&stored.parcel.payloads) {
            if !self.filter.takes_store(&section.store) {
                continue;
            }
            let (types, at) = (&self.database.core().types, self.database.number());
            let known = payload.as_deref().and_then(|payload| {
                let opened = types.open_section((at, &section.store), &entry.author(), payload);
                let sealed = || section_type(payload).ok().map(str::to_owned);
                opened.map(|(type_name, _)| type_name.into_owned()).or_else(sealed)
            });
            let mut told = AuditStore {
                store: section.store.clone(),
                type_name: known.filter(|_| section.store != SETTINGS_STORE),
                changes: Vec::new(),
                settings: self.settings(&section.store, payload.as_deref(), names),
            };
            if is_visible && fault.is_none() {
                told.changes = self.changes(stored, &section.store, steps)?;
            }
            stores.push(told);
        }
        Ok(AuditRecord {
            entry: entry.id(),
            author: entry.author(),
            author_name: names.get(&entry.author()).map(str::to_owned),
            time: entry.time(),
            is_visible,
            hidden,
            fault,
            stores,
        })
    }

    fn settings(&self, store: &str, payload: Option<&[u8]>, names: &Names) -> Vec<AuditSetting> {
        let payload = payload.filter(|_| store == SETTINGS_STORE);
        // Damaged ones are a fault of the entry.
        let operations = payload.and_then(|payload| decode_operations(payload).ok());
        let told = operations.into_iter().flatten().map(|operation| {
            let words = in_words(&operation, names);
            AuditSetting { operation, words }
        });
        told.collect()
    }

    fn changes(
        &self,
        stored: &Stored,
        store: &str,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<AuditChange>, StoreError> {
        let types = &self.database.core().types;
        let changed = steps.of_entry(stored, &|name, _| name == store)?.into_iter();
        let told = changed.filter_map(|(place, values)| {
            let before = place.show(types, values.before.as_deref());
            let after = place.show(types, values.after.as_deref());
            let kind = kind(before.as_ref(), after.as_ref())?;
            Some(AuditChange { key: place.named(), kind, before, after })
        });
        Ok(told.collect())
    }
}

impl Filter {
    fn takes(&self, stored: &Stored, names: &Names) -> bool {
        let entry = &stored.parcel.entry;
        let is_by = |authors: &BTreeSet<PublicKey>| {
            let named = names.get(&entry.author());
            authors.contains(&entry.author()) || named.is_some_and(|name| self.users.contains(name))
        };
        self.since.is_none_or(|since| since <= entry.time())
            && self.until.is_none_or(|until| entry.time() < until)
            && self.authors.as_ref().is_none_or(is_by)
            && entry.sections().iter().any(|section| self.takes_store(&section.store))
    }

    fn takes_store(&self, store: &str) -> bool {
        self.stores.as_ref().is_none_or(|stores| stores.contains(store))
    }
}

/// Verifies entries as they are stored; says for each what is wrong.
fn faults(page: &[Stored]) -> Result<Vec<Option<Fault>>, StoreError> {
    let parcels = page.iter().map(|stored| stored.parcel.clone()).collect();
    let verdicts = weald_dag::verify(parcels, entropy::bytes()?);
    Ok(verdicts.into_iter().map(Result::err).collect())
}

impl Iterator for Audit {
    type Item = Result<AuditRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.found.is_empty() {
            let from = self.next?;
            if let Err(error) = self.next_page(from) {
                self.next = None;
                return Some(Err(error));
            }
        }
        self.found.pop_front().map(Ok)
    }
}

//! A transaction: operations over any number of stores, staged over the snapshot it began with.
//!
//! Invariant: nothing is seen by anybody else until the commit, and then all of it or nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use weald_crdt::{Area, CounterType, DocType, LogType, SectionDraft, SetType, TableType, Ulid};
use weald_dag::{EntryId, Overlay, PublicKey, SecretKey, Snapshot, StoreError};
use weald_engine::{
    Commit, CommitError, Required, StorePlace, StoreView, StoreViewMut, has_sealed, space_of,
};

use crate::conflict::Conflict;
use crate::core::{Core, lost};
use crate::counter::CounterMut;
use crate::desk::{Job, Keep, Make, OwnRow, Receipt};
use crate::doc::DocMut;
use crate::error::WriteError;
use crate::key::IntoKey;
use crate::log::LogMut;
use crate::own::{OwnDrafts, OwnMut};
use crate::registry::{self, StoreOptions};
use crate::reply::{Reply, reply};
use crate::rows::Rows;
use crate::set::SetMut;
use crate::store_ref::{StoreNameError, check_name, check_sealed, other_type, own_type};
use crate::table_mut::TableMut;
#[cfg(feature = "text")]
use crate::text::{MadeTexts, TextDrafts, TextType};

/// What a commit has made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed<T = ()> {
    /// What the closure of [`crate::Database::write`] returned; nothing for a plain commit.
    pub value: T,
    /// The entry; `None` when there was nothing to write, which makes none.
    pub id: Option<EntryId>,
    /// The rows of which versions now stand side by side: somebody else wrote them meanwhile.
    pub conflicts: Vec<Conflict>,
}

impl Committed {
    fn of(receipt: Receipt) -> Self {
        Self { value: (), id: Some(receipt.id), conflicts: receipt.conflicts }
    }

    const fn nothing() -> Self {
        Self { value: (), id: None, conflicts: Vec::new() }
    }

    pub(crate) fn with<T>(self, value: T) -> Committed<T> {
        Committed { value, id: self.id, conflicts: self.conflicts }
    }
}

/// A commit on its way.
struct Submitted {
    reply: Reply<Result<Receipt, CommitError>>,
    then: Then,
}

/// What is to be done when a commit is answered.
struct Then {
    #[cfg(feature = "text")]
    texts: Option<MadeTexts>,
}

impl Then {
    fn answered(
        self,
        answer: Option<Result<Receipt, CommitError>>,
    ) -> Result<Committed, CommitError> {
        let receipt = answer.unwrap_or_else(|| Err(lost().into()))?;
        #[cfg(feature = "text")]
        if let Some(texts) = self.texts {
            texts.committed(&receipt.id);
        }
        Ok(Committed::of(receipt))
    }
}

/// Builds one entry over any number of stores.
///
/// Reads inside see its own writes over what was committed when it began. Dropping it changes
/// nothing. It holds a snapshot, so a long one keeps the disk from using freed pages again.
pub struct Transaction {
    pub(crate) core: Arc<Core>,
    pub(crate) database: u32,
    pub(crate) key: Arc<SecretKey>,
    begun: Rows,
    staged: Overlay,
    drafts: BTreeMap<String, SectionDraft>,
    pub(crate) own: OwnDrafts,
    #[cfg(feature = "text")]
    pub(crate) texts: TextDrafts,
    required: Vec<Required>,
    /// Whether the database has sealed stores.
    has_sealed: bool,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("stores", &self.drafts.keys()).finish_non_exhaustive()
    }
}

impl Transaction {
    pub(crate) fn begin(
        core: &Arc<Core>,
        database: u32,
        key: &Arc<SecretKey>,
    ) -> Result<Self, StoreError> {
        let begun = core.rows()?;
        Ok(Self {
            core: Arc::clone(core),
            database,
            key: Arc::clone(key),
            staged: Overlay::new(Arc::clone(&begun.0)),
            has_sealed: has_sealed(&begun, database)?,
            begun,
            drafts: BTreeMap::new(),
            own: OwnDrafts::default(),
            #[cfg(feature = "text")]
            texts: TextDrafts::default(),
            required: Vec::new(),
        })
    }

    /// Opens a table of `T` for writing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn table<T>(&mut self, name: &str) -> Result<TableMut<'_, T>, WriteError> {
        self.check(name, TableType::NAME)?;
        Ok(TableMut::new(self, name.to_owned()))
    }

    /// Opens a log of `T` for writing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn log<T: ?Sized>(&mut self, name: &str) -> Result<LogMut<'_, T>, WriteError> {
        self.check(name, LogType::NAME)?;
        Ok(LogMut::new(self, name.to_owned()))
    }

    /// Opens a document for writing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn doc(&mut self, name: &str) -> Result<DocMut<'_>, WriteError> {
        self.check(name, DocType::NAME)?;
        Ok(DocMut::new(self, name.to_owned()))
    }

    /// Notes what a store is for and what indexes it is worth having, for [`crate::Database::stores`] on all
    /// devices. What was noted before and is not given now stays; of two notes made apart, each field
    /// merges by itself. A store does not need it.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type, and for a
    /// type that the instance does not know.
    pub fn describe(
        &mut self,
        store: &str,
        type_name: &str,
        options: &StoreOptions,
    ) -> Result<(), WriteError> {
        let type_name = registry::known_type(&self.core, type_name)?;
        self.check(store, type_name)?;
        registry::note(self, store, type_name, options)
    }

    /// Opens a store of a type of the app's own for writing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type, and for a
    /// type that the instance was not given.
    pub fn own(&mut self, name: &str, type_name: &str) -> Result<OwnMut<'_>, WriteError> {
        let store_type = own_type(&self.core, type_name)?;
        self.check(name, store_type.name())?;
        Ok(OwnMut::new(self, name.to_owned(), store_type)?)
    }

    /// Opens a store of counters for writing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn counter(&mut self, name: &str) -> Result<CounterMut<'_>, WriteError> {
        self.check(name, CounterType::NAME)?;
        Ok(CounterMut::new(self, name.to_owned()))
    }

    /// Opens a set of `T` for writing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn set<T>(&mut self, name: &str) -> Result<SetMut<'_, T>, WriteError> {
        self.check(name, SetType::NAME)?;
        Ok(SetMut::new(self, name.to_owned()))
    }

    /// Lets the commit fail with [`CommitError::Changed`] if a row of a table is not as it was when
    /// the transaction began.
    ///
    /// # Errors
    /// [`WriteError`] for a name or key that cannot be used.
    pub fn require_unchanged(&mut self, table: &str, key: impl IntoKey) -> Result<(), WriteError> {
        self.check(table, TableType::NAME)?;
        let key = key.into_key().encode().map_err(weald_crdt::DraftError::from)?;
        let place = self.place(table, TableType::NAME)?;
        let row = self.begun.get(space_of(Area::State, self.database), &place.key(&key))?;
        let (store, type_name) = (table.to_owned(), TableType::NAME.to_owned());
        self.required.push(Required { store, type_name, key, row });
        Ok(())
    }

    /// Commits: one entry, all or nothing. Returns when it is durable.
    ///
    /// # Errors
    /// [`CommitError`]; nothing has changed then, unless it says that the outcome is unknown.
    pub fn commit(self) -> Result<Committed, CommitError> {
        self.commit_with(Vec::new())
    }

    /// Commits, and writes rows of the instance itself with the entry: both or neither.
    pub(crate) fn commit_with(self, rows: Vec<OwnRow>) -> Result<Committed, CommitError> {
        match self.submit(rows)? {
            Some(Submitted { reply, then }) => then.answered(reply.wait()),
            None => Ok(Committed::nothing()),
        }
    }

    /// Commits, to be awaited on any executor. It is on its way when this returns: dropping the
    /// future does not take it back.
    pub fn commit_async(
        self,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send + use<> {
        let submitted = self.submit(Vec::new());
        async move {
            match submitted? {
                Some(Submitted { reply, then }) => then.answered(reply.await),
                None => Ok(Committed::nothing()),
            }
        }
    }

    fn submit(self, rows: Vec<OwnRow>) -> Result<Option<Submitted>, CommitError> {
        // The snapshot ends here: held over the commit, it would keep pages from being used again.
        #[cfg(feature = "text")]
        let texts = self.texts;
        let Self { core, database, key, begun, staged, drafts, own, required, .. } = self;
        drop((begun, staged));
        let written = drafts.into_iter().filter(|(_, draft)| !draft.is_empty());
        let mut sections: Vec<_> = written.map(|(name, draft)| (name, draft.encode())).collect();
        sections.extend(own.into_sections());
        let then = Then {
            #[cfg(feature = "text")]
            texts: texts.finish(&core, database, &mut sections)?,
        };
        sections.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if sections.is_empty() {
            return Ok(None);
        }
        let commit = Commit { database, key, sections, required };
        let (answer, reply) = reply();
        let make = Make { commit, answer };
        core.submit(match rows.is_empty() {
            true => Job::Make(Box::new(make)),
            false => Job::Keep(Box::new(Keep { make, rows })),
        })?;
        Ok(Some(Submitted { reply, then }))
    }

    pub(crate) fn check(&self, name: &str, wanted: &'static str) -> Result<(), WriteError> {
        check_name(name)?;
        // An operation that failed may have left a draft that is empty: it says nothing.
        let found = match self.drafts.get(name).filter(|draft| !draft.is_empty()) {
            Some(draft) if draft.type_name() == wanted => None,
            Some(draft) => Some(draft.type_name().to_owned()),
            None if self.own.type_of(name).is_some() => {
                self.own.type_of(name).filter(|found| *found != wanted).map(str::to_owned)
            }
            #[cfg(feature = "text")]
            None if self.texts.is_edited(name) => {
                Some(TextType::NAME).filter(|found| *found != wanted).map(str::to_owned)
            }
            None if self.place(name, wanted)?.is_sealed() => {
                check_sealed(&self.core, self.database, name, wanted)?;
                None
            }
            None => other_type(&self.staged, self.database, name, wanted)?,
        };
        let name = name.to_owned();
        found.map_or(Ok(()), |found| Err(StoreNameError::OtherType { name, wanted, found }.into()))
    }

    /// Returns who signs the entry.
    pub(crate) fn author(&self) -> PublicKey {
        self.key.public()
    }

    /// Returns the operations on a store so far, and its rows to stage more.
    pub(crate) fn draft(
        &mut self,
        name: &str,
        type_name: &'static str,
    ) -> Result<(&mut SectionDraft, StoreViewMut<'_>), WriteError> {
        let place = self.place(name, type_name)?;
        let view = StoreViewMut::new(&mut self.staged, place);
        let known = self.drafts.get(name);
        if known.is_none_or(|draft| draft.type_name() != type_name)
            && let Some(draft) = SectionDraft::new(type_name)
        {
            self.drafts.insert(name.to_owned(), draft);
        }
        // Only the built-in types are asked for, so there is one.
        let draft = self.drafts.get_mut(name).ok_or(StoreError::Closed)?;
        Ok((draft, view))
    }

    /// Returns the rows of a store as the transaction sees them.
    pub(crate) fn view(
        &self,
        name: &str,
        type_name: &str,
    ) -> Result<StoreView<'_, Overlay>, StoreError> {
        Ok(StoreView::new(&self.staged, self.place(name, type_name)?))
    }

    /// Names a store as it was when the transaction began.
    pub(crate) fn place(&self, name: &str, type_name: &str) -> Result<StorePlace, StoreError> {
        if !self.has_sealed {
            return Ok(StorePlace::new(self.database, name, type_name));
        }
        StorePlace::of(&self.begun, &self.core.types, self.database, (name, type_name))
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) const fn database(&self) -> u32 {
        self.database
    }

    /// Returns the rows as they were when it began.
    pub(crate) const fn begun(&self) -> &Rows {
        &self.begun
    }

    /// Returns the rows that its operations on stores that come with Weald have staged.
    pub(crate) const fn staged(&self) -> &Overlay {
        &self.staged
    }

    /// Returns an overlay without rows over the snapshot that it began with.
    pub(crate) fn overlay(&self) -> Overlay {
        Overlay::new(Arc::clone(&self.begun.0))
    }

    pub(crate) fn new_ulid(&self) -> Result<Ulid, StoreError> {
        self.core.new_ulid()
    }
}

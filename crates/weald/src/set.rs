//! Sets: values that are there or not.
//!
//! Invariant: a member is there once, however many devices add it; one that is added while it is
//! removed elsewhere stays.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weald_crdt::{SectionDraft, SetType, Value, set};

use crate::conflict::RowKey;
use crate::error::{ReadError, WriteError};
use crate::misfit::Misfit;
use crate::store_ref::StoreRef;
use crate::transaction::Transaction;

/// How many members an iteration reads at a time.
pub const SET_PAGE_ROWS: usize = 256;

/// Names a member of a set, in the order in which sets are read: that of their encoded bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetMember(Vec<u8>);

impl SetMember {
    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        Value::decode(key).is_ok().then(|| Self(key.to_vec()))
    }

    fn of(value: &Value) -> Option<Self> {
        set::encode_member(value).map(Self).ok()
    }

    /// Returns the value.
    pub fn value(&self) -> Value {
        // It was decoded when this was made.
        Value::decode(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for SetMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetMember").field(&self.value()).finish()
    }
}

/// Reads a set of `T`. Cloning is cheap; each read sees what is committed by then.
pub struct Set<T> {
    store: StoreRef,
    member: PhantomData<fn() -> T>,
}

impl<T> Clone for Set<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), member: PhantomData }
    }
}

impl<T> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").finish_non_exhaustive()
    }
}

impl<T> Set<T> {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store, member: PhantomData }
    }

    /// Counts the members, by visiting them.
    ///
    /// # Errors
    /// [`ReadError`] when the rows cannot be read.
    pub fn len(&self) -> Result<u64, ReadError> {
        let rows = self.store.rows()?;
        Ok(set::count(&self.store.view(&rows))?)
    }

    /// Returns whether there is no member.
    ///
    /// # Errors
    /// [`ReadError`] when the rows cannot be read.
    pub fn is_empty(&self) -> Result<bool, ReadError> {
        let (rows, mut is_empty) = (self.store.rows()?, true);
        set::members(&self.store.view(&rows), None, &mut |_| {
            is_empty = false;
            ControlFlow::Break(())
        })?;
        Ok(is_empty)
    }
}

impl<T: Serialize> Set<T> {
    /// Returns whether a value is a member; one that no set can hold is none.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read.
    pub fn contains(&self, member: &T) -> Result<bool, ReadError> {
        let Ok(member) = Value::from_serde(member) else { return Ok(false) };
        let rows = self.store.rows()?;
        Ok(set::contains(&self.store.view(&rows), &member)?)
    }
}

impl<T: DeserializeOwned> Set<T> {
    /// Iterates over the members, in an order that is the same on every device. A member that is not
    /// a `T` is a [`ReadError::Misfit`] in its place, and the others follow.
    pub fn iter(&self) -> SetMembers<T> {
        let (page, next) = (VecDeque::new(), Some(None));
        SetMembers { store: self.store.clone(), page, next, member: PhantomData }
    }
}

impl<T: DeserializeOwned> IntoIterator for &Set<T> {
    type Item = Result<T, ReadError>;
    type IntoIter = SetMembers<T>;

    fn into_iter(self) -> SetMembers<T> {
        self.iter()
    }
}

/// Iterates over members. It holds no snapshot between its pages of [`SET_PAGE_ROWS`]; each page sees
/// what is committed by then.
pub struct SetMembers<T> {
    store: StoreRef,
    page: VecDeque<Value>,
    /// The member after which the next page begins, or `None` for the first, if there may be one.
    next: Option<Option<SetMember>>,
    member: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for SetMembers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetMembers").finish_non_exhaustive()
    }
}

impl<T> SetMembers<T> {
    fn load(&mut self, after: Option<&SetMember>) -> Result<(), ReadError> {
        let rows = self.store.rows()?;
        let page = &mut self.page;
        let after = after.map(|member| member.0.as_slice());
        set::members(&self.store.view(&rows), after, &mut |member| {
            page.push_back(member);
            let is_full = page.len() >= SET_PAGE_ROWS;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if self.page.len() >= SET_PAGE_ROWS {
            self.next = self.page.back().and_then(SetMember::of).map(Some);
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> Iterator for SetMembers<T> {
    type Item = Result<T, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Some(after) = self.next.take()
            && let Err(error) = self.load(after.as_ref())
        {
            return Some(Err(error));
        }
        let member = self.page.pop_front()?;
        let key = || SetMember::of(&member).map_or(RowKey::Other(Vec::new()), RowKey::Set);
        Some(Misfit::check(&member, &self.store.name, key).map_err(ReadError::from))
    }
}

/// Writes to a set of `T` in a transaction, and reads what it will be.
pub struct SetMut<'tx, T> {
    transaction: &'tx mut Transaction,
    name: String,
    member: PhantomData<fn(T)>,
}

impl<T> fmt::Debug for SetMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx, T> SetMut<'tx, T> {
    pub(crate) const fn new(transaction: &'tx mut Transaction, name: String) -> Self {
        Self { transaction, name, member: PhantomData }
    }

    /// Counts the members as the transaction sees them, by visiting them.
    ///
    /// # Errors
    /// [`WriteError`] when the rows cannot be read.
    pub fn len(&self) -> Result<u64, WriteError> {
        let view = self.transaction.view(&self.name, SetType::NAME)?;
        Ok(set::count(&view).map_err(ReadError::from)?)
    }

    /// Returns whether there is no member as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when the rows cannot be read.
    pub fn is_empty(&self) -> Result<bool, WriteError> {
        Ok(self.len()? == 0)
    }
}

impl<T: Serialize> SetMut<'_, T> {
    /// Adds a member, and returns whether it was not there. Adding one that is there says that it is
    /// to stay: it outlives a removal that somebody else makes at the same time.
    ///
    /// # Errors
    /// [`WriteError`] for a value that cannot be stored, or one of more than 1 KiB.
    pub fn add(&mut self, member: &T) -> Result<bool, WriteError> {
        let member = Value::from_serde(member)?;
        match self.transaction.draft(&self.name, SetType::NAME)? {
            (SectionDraft::Set(draft), mut view) => Ok(draft.add(&mut view, &member)?),
            _ => Ok(false),
        }
    }

    /// Removes a member, and returns whether it was there.
    ///
    /// # Errors
    /// [`WriteError`] for a value that cannot be stored, or one of more than 1 KiB.
    pub fn remove(&mut self, member: &T) -> Result<bool, WriteError> {
        let member = Value::from_serde(member)?;
        match self.transaction.draft(&self.name, SetType::NAME)? {
            (SectionDraft::Set(draft), mut view) => Ok(draft.remove(&mut view, &member)?),
            _ => Ok(false),
        }
    }

    /// Returns whether a value is a member as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when the row cannot be read.
    pub fn contains(&self, member: &T) -> Result<bool, WriteError> {
        let Ok(member) = Value::from_serde(member) else { return Ok(false) };
        let view = self.transaction.view(&self.name, SetType::NAME)?;
        Ok(set::contains(&view, &member).map_err(ReadError::from)?)
    }
}

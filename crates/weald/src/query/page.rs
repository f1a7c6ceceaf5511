//! One page of what a query asks for.
//!
//! Invariant: the pages of a query, each from the cursor of the one before, give each row once while
//! nothing changes.

use super::builder::Query;
use super::cursor::QueryCursor;
use super::item::Queried;
use super::order::QueryOrder;
use super::rows::QueryRows;
use crate::error::ReadError;
use crate::misfit::Misfit;

/// Rows of a query, and where the next ones begin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<I> {
    /// The rows, in order.
    pub rows: Vec<I>,
    /// The rows among them that do not fit their type; each counts as one of the page.
    pub misfits: Vec<Misfit>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<QueryCursor>,
}

impl<I: Queried> Page<I> {
    pub(super) fn read<O: QueryOrder>(
        query: &Query<I, O>,
        count: usize,
        cursor: Option<&QueryCursor>,
    ) -> Result<Self, ReadError> {
        let store = &query.store;
        let rows = store.rows()?;
        if let Some(cursor) = cursor {
            query.check(&rows, cursor)?;
        }
        let id = query.id(&query.by.find(&rows, store, I::TYPE_NAME)?);
        drop(rows);
        let mut page = Self { rows: Vec::new(), misfits: Vec::new(), next: None };
        // One row more tells whether there is a next page.
        let seen = cursor.map_or(0, |cursor| cursor.seen);
        let wanted = count as u64;
        let ahead = query.limit.min(seen.saturating_add(wanted).saturating_add(1));
        let mut items = QueryRows::new(query.clone().limit(ahead), cursor);
        while ((page.rows.len() + page.misfits.len()) as u64) < wanted {
            match items.next() {
                Some(Ok(row)) => page.rows.push(row),
                Some(Err(ReadError::Misfit(misfit))) => page.misfits.push(*misfit),
                Some(Err(error)) => return Err(error),
                None => return Ok(page),
            }
        }
        let given = items.position().map(<[u8]>::to_vec);
        if items.next().is_some() {
            let seen = seen.saturating_add(wanted);
            page.next = given.map(|position| QueryCursor { query: id, seen, position });
        }
        Ok(page)
    }
}

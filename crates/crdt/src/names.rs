//! Which of the heads that it saw a write names: all of them, or the newest that fit the section.
//! What is left unnamed stays a conflict until a later write names it.

use std::collections::BTreeSet;

use crate::draft::DraftError;
use crate::limits::MAX_NAMES;
use crate::stamp::{Dot, Stamp};

/// The stamp that no other comes before: nothing is older.
const OLDEST: Stamp = Stamp { time: 0, entry: [0; 32], index: 0 };

/// Splits the heads of one slot over operations of at most [`MAX_NAMES`] names; there is at least
/// one, and each supersedes the one before.
pub(crate) fn chunks(heads: &[Dot]) -> Vec<Vec<Dot>> {
    if heads.is_empty() {
        return vec![Vec::new()];
    }
    heads.chunks(MAX_NAMES).map(<[Dot]>::to_vec).collect()
}

/// Returns the names of the newest heads that one operation can carry, none older than `oldest`.
pub(crate) fn newest(heads: &[Stamp], oldest: &Stamp) -> Vec<Dot> {
    let since = heads.iter().rev().take(MAX_NAMES).filter(|head| *head >= oldest);
    since.map(Stamp::dot).collect()
}

/// Calls `write` with the stamp of the oldest head to name, until what it writes is within the
/// limits: first to name all, then the newer half, and so on.
///
/// A write that stands `alone` in its section names one head at least, any other as many as one
/// operation may; if that does not fit, the transaction must be split.
pub(crate) fn name_what_fits(
    heads: impl Fn() -> BTreeSet<Stamp>,
    alone: bool,
    mut write: impl FnMut(&Stamp) -> Result<(), DraftError>,
) -> Result<(), DraftError> {
    let mut written = write(&OLDEST);
    if !matches!(written, Err(DraftError::Limit(_))) {
        return written;
    }
    let heads = heads();
    let least = if alone { 1 } else { MAX_NAMES };
    let mut count = heads.len();
    while matches!(written, Err(DraftError::Limit(_))) && count > least {
        count = least.max(count / 2);
        written = write(heads.iter().rev().take(count).next_back().unwrap_or(&OLDEST));
    }
    written
}

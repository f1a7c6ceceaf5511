//! Naming the heads of a slot that has more of them than one operation may name.

use crate::limits::MAX_NAMES;
use crate::stamp::{Dot, EntryStamp};

/// Splits the heads of one slot over operations of at most [`MAX_NAMES`] names, each of which also
/// names the one before.
pub(crate) fn chunks(heads: Vec<Dot>, first: u32) -> Vec<Vec<Dot>> {
    let mut heads = heads.into_iter();
    let mut chunks = vec![heads.by_ref().take(MAX_NAMES).collect::<Vec<_>>()];
    for index in first.. {
        let mut chunk: Vec<Dot> = heads.by_ref().take(MAX_NAMES - 1).collect();
        if chunk.is_empty() {
            break;
        }
        chunk.push(Dot { entry: EntryStamp::PROVISIONAL.entry, index });
        chunks.push(chunk);
    }
    chunks
}

//! A document: maps and lists that nest, kept as one row for each leaf. A leaf is a scalar, or the
//! marker of a map or list; each is a slot of its own, so that edits of different leaves merge. An
//! element of a list is a row of two slots, its value and its position, known by the operation that
//! inserted it. A counter is a row of its own.
//!
//! Where writes made apart leave a scalar, a map, a list and a counter at one place, that kind shows of
//! which the greatest stamp is live, there or below; the others are conflicts.

mod draft;
mod layout;
mod list;
mod operation;
mod plan;
mod position;
mod read;
mod restore;
mod tree;

pub use draft::DocDraft;
pub use list::{elements, locate};
pub use position::{MAX_POSITION_BYTES, REBALANCE_POSITION_BYTES};
pub use read::{conflicts, counter, get, to_value};
pub use restore::{LeafChange, LeafState};
pub use tree::PathConflict;

use crate::fold::{Layout, Slotted};
use crate::malformed::Malformed;
use crate::path::{Path, strip_counter};
use crate::store_type::SlotConflict;
use crate::value::Value;
pub(crate) use layout::DocLayout;
use layout::POSITION;

const VERSION: u64 = 1;

/// Returns the place that a row of a document is about, by the key of the row: a leaf, an element, or
/// a counter.
///
/// # Errors
/// [`Malformed`] for a key that no row of a document has.
pub fn path_of(key: &[u8]) -> Result<Path, Malformed> {
    Path::decode(strip_counter(key).unwrap_or(key))
}

/// Merges documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocType;

impl DocType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "doc";
}

impl Slotted for DocType {
    type Rows = DocLayout;
    const ROWS: DocLayout = DocLayout;
    const TYPE_NAME: &'static str = Self::NAME;

    fn shown(key: &[u8], row: &[u8]) -> Option<Value> {
        let slots = DocLayout.unpack(key, row)?;
        if strip_counter(key).is_some() {
            return Some(Value::from_wide(slots.main.total().sum));
        }
        let (_, value) = slots.main.winner()?;
        Value::decode(value).ok()
    }

    fn side_by_side(key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        let slots = DocLayout.unpack(key, row).filter(|slots| !slots.main.is_counter());
        let Some(mut conflict) = slots.and_then(|slots| SlotConflict::of(None, &slots.main)) else {
            return Vec::new();
        };
        // That a map or list is there was said by several.
        if matches!(conflict.winner.value, Value::Map(_) | Value::List(_)) {
            conflict.losers.retain(|loser| loser.value != conflict.winner.value);
        }
        if conflict.losers.is_empty() { Vec::new() } else { vec![conflict] }
    }
}

#[cfg(test)]
mod drawn;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use drawn::draw;

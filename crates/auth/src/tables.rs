//! What all accepted settings entries of a database add up to.
//!
//! Invariant: the three tables hold the same settings entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{EntryId, Time};

use crate::epoch::Epochs;
use crate::holding::Holdings;

/// Decides of two writes to one setting: the greater one stands.
pub(crate) type Stamp = (Time, EntryId, usize);

#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) epochs: Epochs,
    pub(crate) holdings: Holdings,
    pub(crate) settings: BTreeMap<String, (Stamp, Arc<str>)>,
}

//! What this side holds at the start of a round.
//!
//! Invariant: tips prove all that is held; what does not fit in a page is told by count and digest.

use serde_bytes::ByteArray;
use weald_dag::{EntryId, Graph, Number, StoreError};

use crate::ids::Ids;
use crate::limits::TIPS_PAGE;
use crate::message::{Announce, Paged};

/// What this side holds at the start of a round.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// All tips, ascending.
    pub(crate) tips: Vec<Number>,
    /// The ids of the newest tips, as announced.
    pub(crate) page: Vec<EntryId>,
    pub(crate) paged: Option<Paged>,
    pub(crate) newest: Option<Number>,
    pub(crate) entries: u64,
}

impl Held {
    /// Reads what is held of a graph, if it is held at all.
    pub(crate) fn read(graph: Option<&Graph<'_>>) -> Result<Self, StoreError> {
        let Some(graph) = graph else {
            return Ok(Self::default());
        };
        let Some((newest, head)) = graph.head()? else {
            return Ok(Self::default());
        };
        let all = graph.ids(&head.tips)?;
        let total = all.len() as u64;
        let paged =
            (all.len() > TIPS_PAGE).then(|| Paged { total, digest: ByteArray::new(digest(&all)) });
        let page = all.get(all.len().saturating_sub(TIPS_PAGE)..).unwrap_or_default().to_vec();
        Ok(Self { tips: head.tips, page, paged, newest: Some(newest), entries: head.needed })
    }

    /// Returns the numbers of the announced tips.
    pub(crate) fn page_numbers(&self) -> &[Number] {
        self.tips.get(self.tips.len().saturating_sub(TIPS_PAGE)..).unwrap_or_default()
    }

    /// Returns whether the other side has announced the same tips.
    pub(crate) fn equals(&self, theirs: &Announce) -> bool {
        if theirs.silent || self.paged != theirs.paged {
            return false;
        }
        self.paged.is_some() || sorted(&self.page) == sorted(&theirs.tips.0)
    }

    /// Returns the announced tips, as they stand in a message.
    pub(crate) fn announced(&self) -> Ids {
        Ids(self.page.clone())
    }
}

fn sorted(ids: &[EntryId]) -> Vec<EntryId> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted
}

fn digest(ids: &[EntryId]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for id in &sorted(ids) {
        hasher.update(id.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

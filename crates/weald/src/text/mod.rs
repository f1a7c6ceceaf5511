//! Texts that many edit at once, plain or with marks, by the `loro` crate.
//!
//! A store of this type holds one text. A section is `["text", 1, [], [[nonce, start, peers, deps,
//! operations]]]` in strict CBOR: what one transaction did, in a coding of our own that is turned into
//! Loro's changes; bytes of Loro never come from a peer. The type takes part through the same door as an app's own types.
//!
//! Invariant: what a text shows is a function of its updates; no wrong one makes it panic.

mod convert;
mod cursor;
mod document;
mod draft;
mod error;
mod guard;
mod inverse;
mod left_out;
mod model;
mod pool;
mod read;
mod replica;
mod rows;
mod shown;
mod steps;
mod stretch;
#[cfg(test)]
mod tests;
mod update;
mod version;
mod write;

pub use cursor::{Side, TextCursor};
pub(crate) use draft::{MadeTexts, TextDrafts};
pub use error::TextError;
pub(crate) use inverse::{Returned, TextSection};
pub use pool::TEXTS_KEPT;
pub(crate) use pool::TextPool;
pub use read::Text;
pub(crate) use replica::ReplicaError;
pub use shown::TextSpan;
pub(crate) use steps::TextSteps;
pub(crate) use stretch::stretches;
pub use write::TextMut;

use weald_crdt::{
    ApplyError, Change, ChangeKind, EntryStamp, StoreType, Value, View, ViewMut, Void,
};

use replica::Replica;
use rows::{Fingerprint, Head, SUMMARY};
use update::Update;

/// How many operations come at least before a snapshot is made again.
const SNAPSHOT_LEAST: u64 = 4_096;
/// Which part of the operations that a snapshot holds must come anew before it is made again.
const SNAPSHOT_SHARE: u64 = 4;

/// The key under which history tells of a text, whose row is then what the text says; no such row is
/// kept.
pub(crate) const SHOWN: &[u8] = b"text";

/// Returns what the rows of a text say; `None` if it was never written.
pub(crate) fn shown(view: &dyn View) -> Result<Option<String>, ReplicaError> {
    if Fingerprint::read(view)?.count == 0 {
        return Ok(None);
    }
    // What cannot be read is told of when it is read by itself.
    let text = Replica::load(view)?.text().map_err(|_| guard::Broken)?;
    Ok(Some(text))
}

/// Merges texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextType;

impl TextType {
    /// The name that payloads begin with.
    pub(crate) const NAME: &'static str = "text";
}

impl StoreType for TextType {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        update::check(payload)
    }

    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        let update = Update::decode(payload, &entry.author)?;
        let key = rows::key_of(update.peer, update.start, &entry.entry);
        let mut summary = Fingerprint::read(view)?;
        let mut head = Head::read(view)?;
        let kind = if summary.count == 0 { ChangeKind::Created } else { ChangeKind::Updated };
        rows::write(view, &key, entry, payload);
        summary.add(&key, entry.is_visible);
        summary.write(view);
        rows::arrive(view, head.arrived, &key);
        head.arrived += 1;
        head.since += u64::from(update.length());
        head.write(view);
        if head.since >= SNAPSHOT_LEAST.max(head.held / SNAPSHOT_SHARE) {
            keep_snapshot(view, head)?;
        }
        changes.push(Change { key: SUMMARY.to_vec(), kind, conflict: None });
        Ok(())
    }

    fn folds_hidden(&self) -> bool {
        true
    }

    fn show(&self, key: &[u8], row: &[u8]) -> Option<Value> {
        if key == SHOWN {
            return Some(Value::Text(std::str::from_utf8(row).ok()?.to_owned()));
        }
        let updates = Fingerprint::of_row(row).filter(|_| key == SUMMARY)?.count;
        Some(Value::from([("updates", updates)]))
    }
}

/// Makes a snapshot of the text, so that loading it costs a part of it at most.
fn keep_snapshot(view: &mut dyn ViewMut, head: Head) -> Result<(), ApplyError> {
    let (since, held) = (0, head.held + head.since);
    // A text that cannot be loaded is told of when it is read.
    let snapshot = Replica::load(view).ok().and_then(|replica| replica.snapshot());
    if let Some(snapshot) = snapshot {
        // Texts in memory that are older than the snapshot before this one are loaded again.
        let before = rows::Snapshot::read(view)?.map_or(0, |before| before.arrived);
        rows::forget_arrivals(view, before)?;
        snapshot.write(view);
    }
    Head { since, held, ..head }.write(view);
    Ok(())
}

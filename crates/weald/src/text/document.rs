//! A text in memory: a Loro document that takes updates one after the other.
//!
//! Invariant: it holds whole updates, each with everything that it depends on; one that does not fit
//! is refused before Loro sees it.

use std::collections::BTreeMap;
use std::ops::Range;

use loro::cursor::{Cursor, Side};
use loro::{
    ExpandType, ExportMode, Frontiers, ID, IdSpan, JsonChange, JsonSchema, LoroDoc, LoroText,
    StyleConfig, StyleConfigMap, TextDelta,
};

use super::convert::{TEXT, change_of, container, of_loro, operations_of, to_loro};
use super::guard::{Broken, Guarded, guard};
use super::update::{Id, Nonce, Update};

/// Marks that what is typed at their end does not take on; all others grow there.
const MARKS_THAT_STAY: [&str; 2] = ["link", "comment"];

/// Why an update was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It needs others that are not here.
    Waits,
    /// Its peer has other operations with these counters.
    Collides,
    /// It is not what an editor makes; the document is as it was.
    Wrong,
    /// The document cannot be used any more.
    Broken,
}

impl From<Broken> for Refused {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

struct Live {
    doc: LoroDoc,
    text: LoroText,
}

impl Live {
    fn of(doc: LoroDoc) -> Self {
        let mut styles = StyleConfigMap::new();
        for key in MARKS_THAT_STAY {
            styles.insert(key.into(), StyleConfig { expand: ExpandType::None });
        }
        doc.config_text_style(styles);
        doc.config_default_text_style(Some(StyleConfig { expand: ExpandType::After }));
        let text = doc.get_text(TEXT);
        Self { doc, text }
    }
}

/// Changes that follow each other, to be imported at once.
#[derive(Default)]
struct Batch {
    changes: Vec<JsonChange>,
    /// The last operation, and the Lamport time after it.
    last: Option<(Id, u32)>,
}

/// A text in memory.
pub(super) struct Document {
    live: Guarded<Live>,
    /// How many operations of each peer it holds.
    ends: BTreeMap<u64, u32>,
}

impl Document {
    pub(super) fn new() -> Result<Self, Broken> {
        let live = Guarded::new(guard(|| Live::of(LoroDoc::new()))?);
        Ok(Self { live, ends: BTreeMap::new() })
    }

    /// Reads what [`Document::snapshot`] gave.
    pub(super) fn of_snapshot(snapshot: &[u8]) -> Result<Self, Broken> {
        let doc = guard(|| LoroDoc::from_snapshot(snapshot))?.map_err(|_| Broken)?;
        let live = Guarded::new(guard(|| Live::of(doc))?);
        let held = live.with(|live| live.doc.oplog_vv())?;
        let ends = held.iter().map(|(peer, end)| (*peer, u32::try_from(*end).unwrap_or(0)));
        Ok(Self { ends: ends.collect(), live })
    }

    pub(super) fn snapshot(&self) -> Result<Vec<u8>, Broken> {
        self.live.with(|live| live.doc.export(ExportMode::Snapshot))?.map_err(|_| Broken)
    }

    /// Returns how many operations of a peer it holds.
    pub(super) fn end_of(&self, peer: u64) -> u32 {
        self.ends.get(&peer).copied().unwrap_or(0)
    }

    /// Takes updates, in this order. After an error some may have been taken.
    pub(super) fn import<'a>(
        &mut self,
        updates: impl IntoIterator<Item = &'a Update>,
    ) -> Result<(), Refused> {
        let mut batch = Batch::default();
        for update in updates {
            self.fits(update)?;
            let lamport = match batch.last {
                Some((last, lamport)) if follows(update, &last) => lamport,
                _ => {
                    self.flush(&mut batch)?;
                    self.check_deps(update)?;
                    self.lamport_after(&update.deps)?
                }
            };
            let after = lamport.checked_add(update.length()).ok_or(Refused::Wrong)?;
            batch.changes.push(change_of(update, lamport));
            let last = Id { peer: update.peer, counter: update.end().saturating_sub(1) };
            batch.last = Some((last, after));
            self.ends.insert(update.peer, update.end());
        }
        self.flush(&mut batch)
    }

    fn fits(&self, update: &Update) -> Result<(), Refused> {
        let end = self.end_of(update.peer);
        if update.start < end {
            return Err(Refused::Collides);
        }
        let known = |dep: &Id| dep.counter < self.end_of(dep.peer);
        if update.start > end || !update.deps.iter().all(known) {
            return Err(Refused::Waits);
        }
        Ok(())
    }

    /// Checks that an update has seen all of its peer's own operations, and names nothing that
    /// another of its names has seen.
    fn check_deps(&self, update: &Update) -> Result<(), Refused> {
        match update.deps.as_slice() {
            [] if update.start == 0 => return Ok(()),
            [dep]
                if dep.peer == update.peer && dep.counter.checked_add(1) == Some(update.start) =>
            {
                return Ok(());
            }
            _ => {}
        }
        let deps = Frontiers::from_iter(update.deps.iter().map(to_loro));
        let (seen, least) = self
            .live
            .with(|live| (live.doc.frontiers_to_vv(&deps), live.doc.minimize_frontiers(&deps)))?;
        let own = seen.and_then(|seen| seen.get(&update.peer).copied()).unwrap_or(0);
        let whole = u32::try_from(own) == Ok(update.start);
        if whole && least.is_ok_and(|least| least == deps) { Ok(()) } else { Err(Refused::Wrong) }
    }

    /// Returns the Lamport time of what comes after these operations.
    fn lamport_after(&self, deps: &[Id]) -> Result<u32, Refused> {
        let mut after = 0;
        for dep in deps {
            let id = to_loro(dep);
            let change = self.live.with(|live| live.doc.get_change(id))?.ok_or(Refused::Broken)?;
            let offset = u32::try_from(id.counter - change.id.counter).unwrap_or(0);
            let lamport = change.lamport.checked_add(offset).and_then(|own| own.checked_add(1));
            after = after.max(lamport.ok_or(Refused::Wrong)?);
        }
        Ok(after)
    }

    fn flush(&self, batch: &mut Batch) -> Result<(), Refused> {
        let Batch { changes, .. } = std::mem::take(batch);
        if changes.is_empty() {
            return Ok(());
        }
        let updates =
            JsonSchema { schema_version: 1, start_version: Frontiers::new(), peers: None, changes };
        let imported = self.live.with(|live| live.doc.import_json_updates(updates))?;
        match imported {
            Ok(status) if status.pending.is_none() => Ok(()),
            _ => Err(Refused::Broken),
        }
    }

    /// Lets the document make operations of a peer.
    pub(super) fn edit_as(&self, peer: u64) -> Result<(), Broken> {
        self.live.with(|live| live.doc.set_peer_id(peer))?.map_err(|_| Broken)
    }

    /// Returns what a peer has done from a counter on, as it was made here; `None` if nothing.
    pub(super) fn export(
        &mut self,
        peer: u64,
        nonce: Nonce,
        start: u32,
    ) -> Result<Option<Update>, Broken> {
        let from = i32::try_from(start).map_err(|_| Broken)?;
        let changes = self.live.with(|live| {
            live.doc.commit();
            live.doc.export_json_in_id_span(IdSpan::new(peer, from, i32::MAX))
        })?;
        let Some(first) = changes.first() else { return Ok(None) };
        let deps: Result<Vec<Id>, Broken> = first.deps.iter().map(of_loro).collect();
        let mut deps = deps?;
        deps.sort_unstable();
        let update = Update { nonce, peer, start, deps, operations: operations_of(changes)? };
        self.ends.insert(peer, update.end());
        Ok(Some(update))
    }

    /// Returns the text.
    pub(super) fn read(&self) -> Result<String, Broken> {
        self.live.with(|live| live.text.to_string())
    }

    /// Returns the number of characters.
    pub(super) fn len(&self) -> Result<usize, Broken> {
        self.live.with(|live| live.text.len_unicode())
    }

    /// Returns the text in spans of equal marks.
    pub(super) fn delta(&self) -> Result<Vec<TextDelta>, Broken> {
        self.live.with(|live| live.text.to_delta())
    }

    /// Returns the character before or at which a position is.
    pub(super) fn id_at(&self, at: usize, side: Side) -> Result<Option<Id>, Broken> {
        let cursor = self.live.with(|live| live.text.get_cursor(at, side))?;
        cursor.and_then(|cursor| cursor.id).map(|id| of_loro(&id)).transpose()
    }

    /// Returns where a character is now, or where it was; `None` if it was never here.
    pub(super) fn position(&self, id: &Id, side: Side) -> Result<Option<usize>, Broken> {
        if id.counter >= self.end_of(id.peer) {
            self.live.with(|live| live.doc.commit())?;
        }
        let cursor = Cursor::new(Some(to_loro(id)), container(), side, 0);
        let found = self.live.with(|live| live.doc.get_cursor_pos(&cursor))?;
        Ok(found.ok().map(|found| found.current.pos))
    }

    /// Returns the names of the characters, in order.
    pub(super) fn ids(&self) -> Result<Vec<Id>, Broken> {
        let ids: Vec<Option<ID>> = self.live.with(|live| {
            let cursor = |at| live.text.get_cursor(at, Side::Middle);
            (0..live.text.len_unicode()).map(|at| cursor(at).and_then(|it| it.id)).collect()
        })?;
        ids.into_iter().map(|id| of_loro(&id.ok_or(Broken)?)).collect()
    }

    /// Returns a copy, to look into the past with.
    pub(super) fn copy(&self) -> Result<Self, Broken> {
        let doc = self.live.with(|live| live.doc.fork())?;
        Ok(Self { live: Guarded::new(guard(|| Live::of(doc))?), ends: self.ends.clone() })
    }

    /// Shows the version of which these operations are the last; it cannot be edited then.
    pub(super) fn turn_to(&self, seen: &[Id]) -> Result<(), Broken> {
        let seen = Frontiers::from_iter(seen.iter().map(to_loro));
        self.live.with(|live| live.doc.checkout(&seen))?.map_err(|_| Broken)
    }

    pub(super) fn insert(&self, at: usize, text: &str) -> Result<(), Broken> {
        self.live.with(|live| live.text.insert(at, text))?.map_err(|_| Broken)
    }

    pub(super) fn delete(&self, range: Range<usize>) -> Result<(), Broken> {
        self.live.with(|live| live.text.delete(range.start, range.len()))?.map_err(|_| Broken)
    }

    pub(super) fn mark(
        &self,
        range: Range<usize>,
        key: &str,
        value: loro::LoroValue,
    ) -> Result<(), Broken> {
        self.live.with(|live| live.text.mark(range, key, value))?.map_err(|_| Broken)
    }

    pub(super) fn unmark(&self, range: Range<usize>, key: &str) -> Result<(), Broken> {
        self.live.with(|live| live.text.unmark(range, key))?.map_err(|_| Broken)
    }
}

/// Returns whether an update comes right after an operation, and has seen what is its own.
fn follows(update: &Update, last: &Id) -> bool {
    update.deps == [*last] && (last.peer == update.peer || update.start == 0)
}

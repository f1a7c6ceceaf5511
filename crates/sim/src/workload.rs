//! What people write: messages, rows and documents, with keys that meet.
//!
//! Invariant: every section is one that the door accepts; writing nothing is possible.

use std::collections::BTreeSet;
use std::sync::Arc;

use weald_crdt::{DocDraft, DraftError, Key, LogDraft, Path, TableDraft, Value};
use weald_dag::{
    Entry, Fields, Graph, Number, Overlay, SecretKey, Section, Snapshot, StoreError, Time, Verified,
};
use weald_engine::{StorePlace, StoreViewMut};

use crate::chance::Chance;
use crate::finding::Finding;

/// Names of the rows that everybody edits.
const ROWS: [&str; 4] = ["north", "east", "south", "west"];
/// Names of the fields of those rows, and of the keys of the document.
const FIELDS: [&str; 3] = ["title", "state", "owner"];
/// How many parents an entry on top of old ones has at most.
const PARENTS: u64 = 3;
/// Greatest length of a large message in bytes.
const LARGE_BYTES: u64 = 120_000;

/// Drafts the sections of one commit on what `rows` show, which are thrown away afterwards.
///
/// # Errors
/// [`DraftError`] where a row cannot be read.
pub(crate) fn draft(
    chance: &mut Chance,
    rows: &mut Overlay,
    database: u32,
    large_percent: u64,
) -> Result<Vec<(String, Vec<u8>)>, DraftError> {
    let mut sections = Vec::new();
    if chance.percent(70) {
        let length =
            if chance.percent(large_percent) { chance.within(0..=LARGE_BYTES) } else { 12 };
        sections.push(("chat".to_owned(), message(chance, rows, database, length)?));
    }
    if chance.percent(30) {
        sections.extend(page(chance, rows, database)?.map(|payload| ("page".to_owned(), payload)));
    }
    if chance.percent(50) {
        sections.extend(row(chance, rows, database)?.map(|payload| ("rows".to_owned(), payload)));
    }
    Ok(sections)
}

/// Makes a message on top of a few entries drawn from all, if there are any.
///
/// # Errors
/// [`Finding`] where a row cannot be read or the message not be made.
pub(crate) fn branch(
    chance: &mut Chance,
    snapshot: Arc<dyn Snapshot>,
    database: u32,
    key: &SecretKey,
    wall: u64,
) -> Result<Option<Verified>, Finding> {
    let graph = Graph::new(&*snapshot, database);
    let Some((newest, _)) = graph.head()? else { return Ok(None) };
    let (mut parents, mut time) = (BTreeSet::new(), Time::from_millis(wall));
    for _ in 0..chance.within(1..=PARENTS) {
        let parent = any_entry(chance, &graph, newest)?;
        time = time.max(parent.time().next().unwrap_or(time));
        parents.insert(parent.id());
    }
    let payload = message(chance, &mut Overlay::new(Arc::clone(&snapshot)), database, 32)?;
    let fields = Fields {
        parents: parents.into_iter().collect(),
        time,
        author: key.public(),
        seq: 0,
        sections: vec![Section::of("chat", &payload)],
        nonce: None,
    };
    // A message that short breaks no rule of the format.
    Ok(Verified::sign(fields, vec![payload], key).ok())
}

/// Draws one of the entries that are stored; of the numbers of some, only gaps are left.
///
/// # Errors
/// Any [`StoreError`].
pub(crate) fn any_entry(
    chance: &mut Chance,
    graph: &Graph<'_>,
    newest: Number,
) -> Result<Entry, StoreError> {
    let drawn = Number(chance.within(0..=newest.0));
    let stored = graph.standing_if_stored(drawn)?.is_some();
    graph.entry(if stored { drawn } else { newest })
}

fn message(
    chance: &mut Chance,
    rows: &mut Overlay,
    database: u32,
    length: u64,
) -> Result<Vec<u8>, DraftError> {
    let mut view = StoreViewMut::new(rows, StorePlace::new(database, "chat", "log"));
    let letters = (0..length.div_ceil(32)).flat_map(|_| chance.bytes::<32>());
    let text: String = letters.map(|byte| char::from(b'a' + byte % 26)).collect();
    let mut draft = LogDraft::new();
    draft.append(&mut view, &Value::from(text.as_str()))?;
    Ok(draft.encode())
}

fn row(
    chance: &mut Chance,
    rows: &mut Overlay,
    database: u32,
) -> Result<Option<Vec<u8>>, DraftError> {
    let mut view = StoreViewMut::new(rows, StorePlace::new(database, "rows", "table"));
    let mut draft = TableDraft::new();
    for _ in 0..chance.within(1..=2) {
        let key = Key::from(chance.pick(&ROWS).copied().unwrap_or_default());
        let field = chance.pick(&FIELDS).copied().unwrap_or_default();
        let number = i64::try_from(chance.index(1_000)).unwrap_or(0);
        if chance.percent(25) {
            draft.delete(&mut view, &key)?;
        } else {
            draft.put(&mut view, &key, &Value::from([(field, number)]))?;
        }
    }
    Ok((!draft.is_empty()).then(|| draft.encode()))
}

fn page(
    chance: &mut Chance,
    rows: &mut Overlay,
    database: u32,
) -> Result<Option<Vec<u8>>, DraftError> {
    let mut view = StoreViewMut::new(rows, StorePlace::new(database, "page", "doc"));
    let mut draft = DocDraft::new();
    let mut path = Path::root();
    for _ in 0..chance.within(1..=2) {
        path = path.child(chance.pick(&FIELDS).copied().unwrap_or_default());
    }
    let number = i64::try_from(chance.index(1_000)).unwrap_or(0);
    let drafted = if chance.percent(25) {
        draft.remove(&mut view, &path).map(drop)
    } else {
        draft.set(&mut view, &path, &Value::from(number))
    };
    match drafted {
        // Another's write put a number where this path wants a map.
        Err(DraftError::ThroughScalar { .. }) => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok((!draft.is_empty()).then(|| draft.encode())),
    }
}

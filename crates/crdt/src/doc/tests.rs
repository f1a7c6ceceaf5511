//! The leaves of a document are a function of the set of sections applied, compared with the
//! definition itself; and the API gives what a plain nested map would.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::operation::Operation;
use super::{DocDraft, DocType, VERSION, get, to_value};
use crate::draft::DraftError;
use crate::fold::Slot;
use crate::path::Path;
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::store_type::StoreType;
use crate::view::Area;
use crate::{MemoryView, Value};

const PATHS: u8 = 5;
const ENTRIES: u8 = 6;

#[derive(Clone, Debug)]
struct Drawn {
    path: u8,
    names: BTreeSet<(u8, u32)>,
    /// 0 removes, 1 is the marker of an empty map, more is a value.
    value: u8,
}

type DrawnEntry = (u8, u64, u32, Vec<Drawn>);

fn path(drawn: u8) -> Path {
    let paths: [&[&str]; PATHS as usize] =
        [&["a"], &["a", "b"], &["a", "b", "c"], &["a", "d"], &["e"]];
    paths[usize::from(drawn)].iter().copied().collect()
}

fn encoded(value: u8) -> Option<Vec<u8>> {
    match value {
        0 => None,
        1 => Some(vec![0xa0]),
        value => Some(vec![value]),
    }
}

fn entries() -> impl Strategy<Value = Vec<DrawnEntry>> {
    let names = proptest::collection::btree_set((0..=ENTRIES, 0..4_u32), 0..5);
    let drawn =
        (0..PATHS, names, 0..5_u8).prop_map(|(path, names, value)| Drawn { path, names, value });
    let entry = (0..4_u64, any::<u32>(), proptest::collection::vec(drawn, 1..4));
    proptest::collection::vec(entry, 1..usize::from(ENTRIES)).prop_map(|entries| {
        (0..)
            .zip(entries)
            .map(|(id, (time, place, operations))| (id, time, place, operations))
            .collect()
    })
}

fn stamp((id, time, ..): &DrawnEntry) -> EntryStamp {
    EntryStamp::visible(*time, [*id; 32], [9; 32])
}

fn apply_all(entries: &[DrawnEntry]) -> MemoryView {
    let mut view = MemoryView::new();
    for entry in entries {
        let mut section = SectionWriter::default();
        for drawn in &entry.3 {
            let own = |id: u8| if id == entry.0 { [0xff; 32] } else { [id; 32] };
            let names = drawn
                .names
                .iter()
                .map(|(id, index)| Dot { entry: own(*id), index: *index })
                .collect();
            let (path, value) = (path(drawn.path).encode().unwrap(), encoded(drawn.value));
            Operation { path: &path, names, value: value.as_deref() }.encode(&mut section);
        }
        let payload = section.encode(DocType::NAME, VERSION);
        DocType.check(&payload).unwrap();
        DocType.apply(&payload, &stamp(entry), &mut view, &mut Vec::new()).unwrap();
        view.mark_applied(stamp(entry), &payload);
    }
    view
}

type Heads = BTreeMap<Vec<u8>, Vec<(Stamp, Option<Vec<u8>>)>>;

/// The definition: the heads of a leaf are the operations there that no valid name reaches and no
/// later operation of the same entry follows.
fn model(entries: &[DrawnEntry]) -> Heads {
    let each = |entry: &DrawnEntry| {
        let stamp = stamp(entry);
        (0..)
            .zip(entry.3.clone())
            .map(move |(index, drawn)| (stamp.at(index), drawn))
            .collect::<Vec<_>>()
    };
    let operations: Vec<(Stamp, Drawn)> = entries.iter().flat_map(each).collect();
    let mut heads = Heads::new();
    for (stamp, drawn) in &operations {
        let reaches = |(other, namer): &(Stamp, Drawn)| {
            let valid = other.entry != stamp.entry || stamp.index < other.index;
            let later = other.entry == stamp.entry && stamp.index < other.index;
            let names = namer.names.contains(&(stamp.entry[0], stamp.index));
            namer.path == drawn.path && (later || valid && names)
        };
        if !operations.iter().any(reaches) {
            let key = path(drawn.path).encode().unwrap();
            heads.entry(key).or_default().push((*stamp, encoded(drawn.value)));
        }
    }
    heads.values_mut().for_each(|heads| heads.sort());
    heads
}

/// What shows, straight from the rule: `None` where nothing does.
fn shown(heads: &Heads, at: &Path) -> Option<Value> {
    let live = |path: &Path| {
        let heads = heads.get(&path.encode().unwrap())?;
        heads.iter().rev().find_map(|(stamp, value)| Some((*stamp, value.clone()?)))
    };
    let all: Vec<Path> = (0..PATHS).map(path).filter(|path| live(path).is_some()).collect();
    let below = |at: &Path| {
        let inside = |path: &&Path| {
            path.components().len() > at.components().len()
                && path.components().starts_with(at.components())
        };
        all.iter().filter(inside).cloned().collect::<Vec<_>>()
    };
    let latest_below = below(at).iter().filter_map(|path| Some(live(path)?.0)).max();
    if let Some((stamp, value)) = live(at) {
        if value != [0xa0] && latest_below < Some(stamp) {
            return Some(Value::decode(&value).unwrap());
        }
    } else if latest_below.is_none() && !at.is_root() {
        return None;
    }
    let depth = at.components().len();
    let children: BTreeSet<String> =
        below(at).iter().map(|path| path.components()[depth].clone()).collect();
    Some(Value::Map(
        children
            .into_iter()
            .filter_map(|child| Some((child.clone(), shown(heads, &at.child(child))?)))
            .collect(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn leaves_are_the_definition_in_any_order(entries in entries()) {
        let straight = apply_all(&entries);
        let mut shuffled = entries.clone();
        shuffled.sort_by_key(|entry| entry.2);
        prop_assert_eq!(&apply_all(&shuffled), &straight);
        shuffled.reverse();
        prop_assert_eq!(&apply_all(&shuffled), &straight);

        let expected = model(&entries);
        let mut found = Heads::new();
        for (area, key, row) in straight.rows().filter(|row| matches!(row.0, Area::State | Area::Buried)) {
            let slot = Slot::unpack(row).unwrap();
            prop_assert_eq!(area == Area::State, slot.is_live());
            found.insert(key.to_vec(), slot.heads().iter().map(|(stamp, value)| (*stamp, value.clone())).collect());
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(Some(to_value(&straight).unwrap()), shown(&expected, &Path::root()));
        for drawn in 0..PATHS {
            let at = path(drawn);
            let above = (1..at.components().len()).map(|depth| Path::from(at.components()[..depth].to_vec()));
            let blocked = above.into_iter().any(|above| shown(&expected, &above).is_some_and(|value| value.as_map().is_none()));
            let expected = if blocked { None } else { shown(&expected, &at) };
            prop_assert_eq!(get(&straight, &at).unwrap(), expected);
        }
    }

    #[test]
    fn the_api_is_a_nested_map(steps in proptest::collection::vec((0..PATHS + 1, 0..7_u8, any::<bool>()), 1..20)) {
        let mut state = MemoryView::new();
        let mut expected = Value::Map(BTreeMap::new());
        let (mut overlay, mut draft) = (state.clone(), DocDraft::new());
        for (number, (at, value, commit)) in (1..).zip(steps) {
            let at = if at == PATHS { Path::root() } else { path(at) };
            let result = if value == 0 {
                draft.remove(&mut overlay, &at).map(drop)
            } else {
                draft.set(&mut overlay, &at, &example(value))
            };
            prop_assert_eq!(result.is_ok(), plain(&mut expected, &at, (value > 0).then(|| example(value))));
            prop_assert_eq!(&to_value(&overlay).unwrap(), &expected);
            if commit {
                let entry = EntryStamp::visible(number, [u8::try_from(number).unwrap(); 32], [0; 32]);
                let payload = draft.encode();
                DocType.apply(&payload, &entry, &mut state, &mut Vec::new()).unwrap();
                state.mark_applied(entry, &payload);
                (overlay, draft) = (state.clone(), DocDraft::new());
                prop_assert_eq!(&to_value(&state).unwrap(), &expected);
                prop_assert!(super::conflicts(&state, &Path::root()).unwrap().is_empty());
            }
        }
    }
}

fn example(number: u8) -> Value {
    match number {
        1 => Value::Map(BTreeMap::new()),
        2 => Value::from([("b", Value::from("text")), ("x", Value::from([("y", 1)]))]),
        3 => Value::from([("b", Value::Map(BTreeMap::new()))]),
        4 => Value::List(vec![Value::from([("b", 1)])]),
        number => Value::from(number),
    }
}

/// Does to a plain value what the API does, and returns whether it allows it.
fn plain(root: &mut Value, at: &Path, value: Option<Value>) -> bool {
    let Some((last, way)) = at.components().split_last() else {
        let Some(map) = value.filter(|value| value.as_map().is_some()) else { return false };
        *root = map;
        return true;
    };
    let mut place = &mut *root;
    for component in way {
        let Value::Map(map) = place else { return false };
        if value.is_none() && !map.contains_key(component) {
            return true;
        }
        // A set that is refused further down is refused whole: look before creating.
        place = map.entry(component.clone()).or_insert_with(|| Value::Map(BTreeMap::new()));
    }
    let Value::Map(map) = place else { return false };
    match value {
        Some(value) => map.insert(last.clone(), value),
        None => map.remove(last),
    };
    true
}

#[test]
fn a_path_through_a_scalar_is_refused_and_changes_nothing() {
    let mut view = MemoryView::new();
    let mut draft = DocDraft::new();
    draft.set(&mut view, &Path::from(["a"]), &Value::from(1)).unwrap();
    let before = (view.clone(), draft.encode());
    let refused = draft.set(&mut view, &Path::from(["a", "b"]), &Value::from(2));
    assert!(matches!(refused, Err(DraftError::ThroughScalar { at }) if at == Path::from(["a"])));
    assert!(matches!(
        draft.set(&mut view, &Path::root(), &Value::Null),
        Err(DraftError::NotAMap { .. })
    ));
    assert!(matches!(draft.remove(&mut view, &Path::root()), Err(DraftError::Root)));
    assert!(matches!(
        draft.set(&mut view, &Path::from(["n"]), &Value::F64(f64::NAN)),
        Err(DraftError::Value(_))
    ));
    let long = "k".repeat(crate::MAX_COMPONENT_BYTES + 1);
    assert!(matches!(
        draft.set(&mut view, &Path::from([long]), &Value::Null),
        Err(DraftError::Key(_))
    ));
    assert_eq!((view, draft.encode()), before);
}

//! The leaves of a document are a function of the set of sections applied, compared with the
//! definition itself; and the API gives what a plain nested map would.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::layout::DocLayout;
use super::operation::{Action, Operation};
use super::{DocDraft, DocType, VERSION, get, to_value};
use crate::draft::DraftError;
use crate::fold::Layout;
use crate::path::{ElementId, Path, Step};
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::store_type::StoreType;
use crate::view::Area;
use crate::{MemoryView, Value};

const PATHS: u8 = 9;
/// The paths without elements, which come first.
const PLAIN: u8 = 5;
const ENTRIES: u8 = 6;
const MAP: &[u8] = &[0xa0];
const LIST: &[u8] = &[0x80];

#[derive(Clone, Debug)]
struct Drawn {
    path: u8,
    names: BTreeSet<(u8, u32)>,
    /// 0 removes, 1 and 2 are the markers of an empty map and list, 3 and 4 move an element, more is
    /// a value.
    value: u8,
}

impl Drawn {
    fn is_move(&self) -> bool {
        matches!(self.value, 3 | 4)
            && matches!(path(self.path).steps().last(), Some(Step::Element(_)))
    }

    fn action(&self) -> Action<Vec<u8>> {
        match self.value {
            0 => Action::Remove,
            1 => Action::Set(MAP.to_vec()),
            2 => Action::Set(LIST.to_vec()),
            tail if self.is_move() => Action::Move(vec![0, tail]),
            value => Action::Set(vec![value]),
        }
    }

    /// What the operation leaves in its slot.
    fn left(&self) -> Option<Vec<u8>> {
        match self.action() {
            Action::Set(value) | Action::Move(value) => Some(value),
            _ => None,
        }
    }
}

type DrawnEntry = (u8, u64, u32, Vec<Drawn>);

fn element(number: u8) -> Step {
    ElementId::new(Dot { entry: [number; 32], index: 1 }).into()
}

fn path(drawn: u8) -> Path {
    match drawn {
        0 => Path::from(["a"]),
        1 => Path::from(["a", "b"]),
        2 => Path::from(["a", "b", "c"]),
        3 => Path::from(["a", "d"]),
        4 => Path::from(["e"]),
        5 => Path::from(["a"]).child(element(70)),
        6 => Path::from(["a"]).child(element(71)),
        7 => Path::from(["a"]).child(element(70)).child("b"),
        _ => Path::from(["a"]).child(element(71)).child(element(70)),
    }
}

fn entries() -> impl Strategy<Value = Vec<DrawnEntry>> {
    let names = proptest::collection::btree_set((0..=ENTRIES, 0..4_u32), 0..5);
    let drawn =
        (0..PATHS, names, 0..8_u8).prop_map(|(path, names, value)| Drawn { path, names, value });
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
            Operation { path: path(drawn.path), names, action: drawn.action() }
                .encode(&mut section);
        }
        let payload = section.encode(DocType::NAME, VERSION);
        DocType.check(&payload).unwrap();
        DocType.apply(&payload, &stamp(entry), &mut view, &mut Vec::new()).unwrap();
        view.mark_applied(stamp(entry), &payload);
    }
    view
}

/// Of each row and slot (1 for a position) what its heads hold.
type Heads = BTreeMap<(Vec<u8>, u8), Vec<(Stamp, Option<Vec<u8>>)>>;

/// The definition: the heads of a slot are the operations there that no valid name reaches and no
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
            let same = namer.path == drawn.path && namer.is_move() == drawn.is_move();
            same && (later || valid && names)
        };
        if !operations.iter().any(reaches) {
            let slot = (path(drawn.path).encode().unwrap(), u8::from(drawn.is_move()));
            heads.entry(slot).or_default().push((*stamp, drawn.left()));
        }
    }
    heads.values_mut().for_each(|heads| heads.sort());
    heads
}

/// The live versions of a slot.
fn live(heads: &Heads, path: &Path, slot: u8) -> Vec<(Stamp, Vec<u8>)> {
    let heads = heads.get(&(path.encode().unwrap(), slot));
    heads
        .into_iter()
        .flatten()
        .filter_map(|(stamp, value)| Some((*stamp, value.clone()?)))
        .collect()
}

/// Where an element stands.
fn standing(heads: &Heads, path: &Path) -> Option<Vec<u8>> {
    let (stamp, position) = live(heads, path, 1).pop()?;
    Some([&stamp.entry[..4], &position[1..]].concat())
}

/// What shows, straight from the rule: `None` where nothing does.
fn shown(heads: &Heads, at: &Path) -> Option<Value> {
    let depth = at.steps().len();
    let below = |list: bool| {
        let inside = |path: &Path| {
            let step = path.steps().get(depth).filter(|_| path.steps().starts_with(at.steps()));
            step.is_some_and(|step| matches!(step, Step::Element(_)) == list)
        };
        (0..PATHS)
            .map(path)
            .filter(inside)
            .filter(|path| !live(heads, path, 0).is_empty())
            .collect::<Vec<_>>()
    };
    let latest = |list: bool, marker: &[u8]| {
        let markers = live(heads, at, 0).into_iter().filter(|(_, value)| value == marker);
        let leaves = below(list).into_iter().flat_map(|path| live(heads, &path, 0));
        markers.chain(leaves).map(|(stamp, _)| stamp).max()
    };
    let scalar = live(heads, at, 0).into_iter().rfind(|(_, value)| value != MAP && value != LIST);
    let (map, list) = (latest(false, MAP), latest(true, LIST));
    let newest = scalar.as_ref().map(|(stamp, _)| *stamp);
    if newest > map.max(list) {
        return scalar.map(|(_, value)| Value::decode(&value).unwrap());
    }
    let children = |list| {
        let steps: BTreeSet<Step> =
            below(list).iter().map(|path| path.steps()[depth].clone()).collect();
        steps.into_iter().filter_map(|step| {
            let path = at.child(step.clone());
            Some((step, standing(heads, &path), shown(heads, &path)?))
        })
    };
    if list > map {
        let mut elements: Vec<_> =
            children(true).filter_map(|(step, place, value)| Some((place?, step, value))).collect();
        elements.sort_by_key(|(place, step, _)| (place.clone(), step.clone()));
        return Some(Value::List(elements.into_iter().map(|(.., value)| value).collect()));
    }
    let named = children(false).map(|(step, _, value)| match step {
        Step::Key(key) => (key, value),
        _ => panic!("an element in a map"),
    });
    (map.is_some() || at.is_root()).then(|| Value::Map(named.collect()))
}

/// Whether what is above lets a path show.
fn is_open(heads: &Heads, at: &Path) -> bool {
    (0..=at.steps().len()).all(|depth| {
        let above = Path::from(at.steps()[..depth].to_vec());
        let stands = !matches!(above.steps().last(), Some(Step::Element(_)))
            || standing(heads, &above).is_some();
        stands
            && match (shown(heads, &above), at.steps().get(depth)) {
                (_, None) | (None, _) => true,
                (Some(Value::Map(_)), Some(step)) => matches!(step, Step::Key(_)),
                (Some(Value::List(_)), Some(step)) => matches!(step, Step::Element(_)),
                _ => false,
            }
    })
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
            let slots = DocLayout.unpack(key, row).unwrap();
            prop_assert_eq!(area == Area::State, slots.main.is_live());
            for (number, slot) in (0..).zip(slots.all()).filter(|(_, slot)| !slot.heads().is_empty()) {
                let heads = slot.heads().iter().map(|(stamp, value)| (*stamp, value.clone()));
                found.insert((key.to_vec(), number), heads.collect());
            }
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(Some(to_value(&straight).unwrap()), shown(&expected, &Path::root()));
        for drawn in 0..PATHS {
            let at = path(drawn);
            let expected = if is_open(&expected, &at) { shown(&expected, &at) } else { None };
            prop_assert_eq!(get(&straight, &at).unwrap(), expected);
        }
    }

    #[test]
    fn the_api_is_a_nested_map(steps in proptest::collection::vec((0..PLAIN + 1, 0..7_u8, any::<bool>()), 1..20)) {
        let mut state = MemoryView::new();
        let mut expected = Value::Map(BTreeMap::new());
        let (mut overlay, mut draft) = (state.clone(), DocDraft::new());
        for (number, (at, value, commit)) in (1..).zip(steps) {
            let at = if at == PLAIN { Path::root() } else { path(at) };
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
    let Some((last, way)) = at.steps().split_last() else {
        let Some(map) = value.filter(|value| value.as_map().is_some()) else { return false };
        *root = map;
        return true;
    };
    let mut place = &mut *root;
    let Step::Key(last) = last else { panic!("a path of keys alone") };
    for component in way {
        let Step::Key(component) = component else { panic!("a path of keys alone") };
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

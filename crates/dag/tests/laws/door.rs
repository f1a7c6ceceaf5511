//! What the graph says at the door, on both sides of each bound.

use std::collections::BTreeMap;

use weald_dag::limits::CLOCK_AHEAD_MAX_MS;
use weald_dag::{
    Admission, DatabaseId, Entry, EntryId, Fields, GraphRefusal, Known, Number, Place, Standing,
    StoreError, Time, admit,
};

use crate::make::{child, root};

const WALL: u64 = 1_700_000_100_000;

#[derive(Default)]
struct Door {
    stored: BTreeMap<EntryId, Known>,
}

impl Door {
    fn judge(&self, database: DatabaseId, entry: &Entry, wall: u64) -> Admission {
        let mut known = |id: &EntryId| Ok(self.stored.get(id).copied());
        admit(&mut known, database, entry, wall).unwrap()
    }

    fn store(&mut self, entry: &Entry, place: &Place) {
        let number = Number(self.stored.len() as u64);
        let (generation, time) = (place.generation, entry.time());
        let known = Known { number, generation, epoch: 0, standing: Standing::Visible, time };
        self.stored.insert(entry.id(), known);
    }

    fn take(&mut self, database: DatabaseId, entry: &Entry) -> Place {
        let Admission::Admitted(place) = self.judge(database, entry, u64::MAX) else {
            panic!("admitted");
        };
        self.store(entry, &place);
        place
    }
}

fn after(parents: &[&Entry], time: Time) -> Entry {
    Entry::encode(child(parents.iter().map(|entry| entry.id()).collect(), time)).unwrap()
}

fn world() -> (Door, DatabaseId, Entry) {
    let root = Entry::encode(root()).unwrap();
    let database = root.roots().unwrap();
    let mut door = Door::default();
    door.take(database, &root);
    (door, database, root)
}

fn plus(time: Time, raw: u64) -> Time {
    Time::from_raw(time.raw() + raw)
}

#[test]
fn the_root_comes_first_and_once() {
    let entry = Entry::encode(root()).unwrap();
    let database = entry.roots().unwrap();
    let empty = Door::default();
    let place = Place { parents: Vec::new(), generation: 0 };
    assert_eq!(empty.judge(database, &entry, WALL), Admission::Admitted(place));
    let (door, database, entry) = world();
    assert_eq!(door.judge(database, &entry, WALL), Admission::Duplicate(Number(0)));
}

#[test]
fn a_foreign_root_is_refused_even_where_it_is_stored() {
    let (mut door, database, _) = world();
    let foreign = Entry::encode(Fields { nonce: Some([8; 16]), ..root() }).unwrap();
    let refusal = Admission::Refused(GraphRefusal::ForeignRoot);
    assert_eq!(door.judge(database, &foreign, WALL), refusal);
    door.store(&foreign, &Place { parents: Vec::new(), generation: 0 });
    assert_eq!(door.judge(database, &foreign, WALL), refusal);
}

#[test]
fn every_missing_parent_is_named_and_nothing_else_is_judged() {
    let (mut door, database, root) = world();
    let time = root.time();
    let (a, b) = (after(&[&root], plus(time, 1)), after(&[&root], plus(time, 2)));
    // Its time is before that of its parents, which only shows once they are there.
    let entry = after(&[&root, &a, &b], time);
    let mut both = vec![a.id(), b.id()];
    both.sort();
    assert_eq!(door.judge(database, &entry, WALL), Admission::MissingParents(both));
    door.take(database, &a);
    let missing = Admission::MissingParents(vec![b.id()]);
    assert_eq!(door.judge(database, &entry, WALL), missing);
    door.take(database, &b);
    assert!(matches!(door.judge(database, &entry, WALL), Admission::Refused(_)));
}

#[test]
fn time_is_after_every_parent() {
    let (mut door, database, root) = world();
    let early = after(&[&root], plus(root.time(), 1));
    let late = after(&[&root], plus(root.time(), 9));
    door.take(database, &early);
    door.take(database, &late);
    let (time, parent) = (late.time(), late.time());
    let refusal = Admission::Refused(GraphRefusal::TimeNotAfterParent { time, parent });
    assert_eq!(door.judge(database, &after(&[&early, &late], time), WALL), refusal);
    let next = after(&[&early, &late], plus(time, 1));
    assert!(matches!(door.judge(database, &next, WALL), Admission::Admitted(_)));
}

#[test]
fn the_place_has_parents_by_number_and_the_next_generation() {
    let (mut door, database, root) = world();
    let mut last = root.clone();
    for step in 1..=4 {
        last = after(&[&last], plus(root.time(), step));
        door.take(database, &last);
    }
    let place = door.take(database, &after(&[&last, &root], plus(last.time(), 1)));
    assert_eq!(place.generation, 5);
    let numbers: Vec<Number> = place.parents.iter().map(|parent| parent.number).collect();
    assert_eq!(numbers, [Number(0), Number(4)]);
}

#[test]
fn an_entry_too_far_ahead_is_held_back_until_its_time_comes() {
    let (door, database, root) = world();
    let soon = Time::from_millis(WALL + CLOCK_AHEAD_MAX_MS);
    let at_bound = after(&[&root], soon);
    let beyond = after(&[&root], plus(soon, 1));
    assert!(matches!(door.judge(database, &at_bound, WALL), Admission::Admitted(_)));
    let held = Admission::HeldBack { time: beyond.time() };
    assert_eq!(door.judge(database, &beyond, WALL), held);
    assert!(matches!(door.judge(database, &beyond, WALL + 1), Admission::Admitted(_)));
}

#[test]
fn the_least_time_after_the_parents_is_never_held_back() {
    let (mut door, database, root) = world();
    let far = after(&[&root], Time::from_millis(WALL + 100 * CLOCK_AHEAD_MAX_MS));
    door.take(database, &far);
    let least = after(&[&root, &far], plus(far.time(), 1));
    assert!(matches!(door.judge(database, &least, WALL), Admission::Admitted(_)));
    let above = after(&[&root, &far], plus(far.time(), 2));
    assert!(matches!(door.judge(database, &above, WALL), Admission::HeldBack { .. }));
}

#[test]
fn the_end_of_time_is_no_trap() {
    let (mut door, database, root) = world();
    let end = after(&[&root], Time::from_raw(u64::MAX));
    assert!(matches!(door.judge(database, &end, WALL), Admission::HeldBack { .. }));
    door.store(&end, &Place { parents: Vec::new(), generation: 1 });
    let again = after(&[&end], Time::from_raw(u64::MAX));
    assert!(matches!(door.judge(database, &again, u64::MAX), Admission::Refused(_)));
}

#[test]
fn an_error_of_the_store_is_passed_on() {
    let (_, database, root) = world();
    let entry = after(&[&root], plus(root.time(), 1));
    let answer = admit(&mut |_| Err(StoreError::Closed), database, &entry, WALL);
    assert!(matches!(answer, Err(StoreError::Closed)));
}

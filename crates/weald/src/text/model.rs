//! What a text is to be when something is taken back: its characters, which of them go, and what
//! comes between them.
//!
//! Invariant: those that stay keep their order, and no character is in it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use weald_crdt::Value;

use super::update::Id;
use super::version::{Character, Marks, Version};

/// What becomes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
    Comes,
}

/// A character, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: Id,
    pub(super) character: char,
    pub(super) fate: Fate,
    marks: Marks,
    /// Whether its marks are already those that it is to have.
    is_settled: bool,
}

/// A text as it is to be.
#[derive(Default)]
pub(super) struct Model {
    pub(super) items: Vec<Item>,
    ids: BTreeSet<Id>,
    /// Whether marks may have to be set or taken away.
    pub(super) is_marked: bool,
}

impl Model {
    /// Starts with the text as it is, but for what is to go.
    pub(super) fn of(now: &Version, goes: &BTreeSet<Id>) -> Self {
        let items: Vec<Item> = now
            .0
            .iter()
            .map(|one| item(one, if goes.contains(&one.id) { Fate::Goes } else { Fate::Stays }))
            .collect();
        let ids = items.iter().map(|item| item.id).collect();
        Self { items, ids, is_marked: false }
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.ids.contains(id)
    }

    /// Brings characters back that a version has: behind the nearest one before them that is here,
    /// or else in front of the nearest one after them.
    /// What comes from the version before everything that is taken back has its marks of then.
    pub(super) fn bring_back(&mut self, version: &Version, wanted: &BTreeSet<Id>, is_first: bool) {
        let mut front = Vec::new();
        let mut before: BTreeMap<Id, Vec<Item>> = BTreeMap::new();
        let mut behind: BTreeMap<Id, Vec<Item>> = BTreeMap::new();
        let mut nearest = None;
        for character in &version.0 {
            if self.ids.contains(&character.id) {
                if !front.is_empty() {
                    before.insert(character.id, std::mem::take(&mut front));
                }
                nearest = Some(character.id);
            } else if wanted.contains(&character.id) {
                let comes = Item { is_settled: is_first, ..item(character, Fate::Comes) };
                match nearest {
                    Some(nearest) => behind.entry(nearest).or_default().push(comes),
                    None => front.push(comes),
                }
            }
        }
        if front.is_empty() && before.is_empty() && behind.is_empty() {
            return;
        }
        let old = std::mem::replace(&mut self.items, front);
        for item in old {
            self.items.extend(before.remove(&item.id).into_iter().flatten());
            let id = item.id;
            self.items.push(item);
            self.items.extend(behind.remove(&id).into_iter().flatten());
        }
        self.ids = self.items.iter().map(|item| item.id).collect();
        // They take on the marks of their neighbours where they are put.
        self.is_marked = true;
    }

    /// Gives marks back that characters had before something that marked them, where they still
    /// have those that it gave them. Returns whether some have others.
    pub(super) fn unmark(
        &mut self,
        before: &Version,
        after: &Version,
        keys: &BTreeSet<&String>,
    ) -> bool {
        let before: BTreeMap<Id, &Marks> =
            before.0.iter().map(|one| (one.id, &one.marks)).collect();
        let after: BTreeMap<Id, &Marks> = after.0.iter().map(|one| (one.id, &one.marks)).collect();
        let mut changed = false;
        let open = |item: &&mut Item| item.fate != Fate::Goes && !item.is_settled;
        for item in self.items.iter_mut().filter(open) {
            let (Some(before), Some(after)) = (before.get(&item.id), after.get(&item.id)) else {
                continue;
            };
            for key in keys {
                let (was, became) = (before.get(*key), after.get(*key));
                if was == became {
                    continue;
                }
                if item.marks.get(*key) != became {
                    changed |= item.marks.get(*key) != was;
                    continue;
                }
                let marks = Arc::make_mut(&mut item.marks);
                match was {
                    Some(value) => drop(marks.insert((*key).clone(), value.clone())),
                    None => drop(marks.remove(*key)),
                }
                self.is_marked = true;
            }
        }
        changed
    }

    /// Returns where marks differ from those that a text has whose characters are already as they are
    /// to be: key, places, and the value, which is `Null` where there is to be none.
    pub(super) fn marks_beside(&self, now: &Version) -> Vec<(String, Range<usize>, Value)> {
        let mut runs: BTreeMap<&String, Vec<(Range<usize>, &Value)>> = BTreeMap::new();
        let stand = self.items.iter().filter(|item| item.fate != Fate::Goes);
        for (at, (item, is)) in stand.zip(&now.0).enumerate() {
            if item.marks == is.marks {
                continue;
            }
            let keys: BTreeSet<&String> = item.marks.keys().chain(is.marks.keys()).collect();
            for key in keys {
                let wanted = item.marks.get(key);
                if wanted == is.marks.get(key) {
                    continue;
                }
                let value = wanted.unwrap_or(&Value::Null);
                let of_key = runs.entry(key).or_default();
                match of_key.last_mut() {
                    Some((range, last)) if range.end == at && *last == value => range.end += 1,
                    _ => of_key.push((at..at + 1, value)),
                }
            }
        }
        let all = runs.into_iter().flat_map(|(key, runs)| {
            runs.into_iter().map(move |(range, value)| (key.clone(), range, value.clone()))
        });
        all.collect()
    }
}

fn item(one: &Character, fate: Fate) -> Item {
    let marks = Arc::clone(&one.marks);
    Item { id: one.id, character: one.character, fate, marks, is_settled: false }
}

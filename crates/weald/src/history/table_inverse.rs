//! Taking back what entries did to a row of a table: field by field, and its existence.
//!
//! Invariant: a field that was changed since stays as it is, and so does a row of which anything
//! was changed since it came into being or went away.

use std::collections::{BTreeMap, BTreeSet};

use weald_crdt::Value;

use super::run::{Outcome, Run, Whose};

type Fields = BTreeMap<String, Value>;

/// What is to be done to a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RowInverse {
    Nothing,
    Delete,
    /// It is written as a whole.
    Restore(Value),
    /// These fields are set and removed.
    Edit(BTreeMap<String, Option<Value>>),
}

/// Returns what takes the entries' changes back, and whether something was left that was changed
/// since; `steps` are all of the row's, in order, and whose they are.
pub(super) fn inverse(steps: &[(Whose, Option<Value>, Option<Value>)]) -> (RowInverse, bool) {
    let now = steps.last().and_then(|(_, _, after)| after.as_ref());
    let mut existence = Run::new();
    // Anything that somebody else did to the row, for a row that came or went.
    let mut foreign_since = false;
    let mut gone: Option<&Value> = None;
    let mut fields: BTreeMap<&str, Run<Option<Value>>> = BTreeMap::new();
    for (whose, before, after) in steps {
        let (old, new) = (before.is_some(), after.is_some());
        if old != new {
            existence.step(*whose, &old, &new);
        }
        if *whose == Whose::Theirs && old != new {
            foreign_since = false;
            gone = before.as_ref().filter(|_| existence.ends() == Some((&true, &false)));
        }
        foreign_since |= *whose == Whose::Foreign && before != after;
        let (old, new) = (fields_of(before.as_ref()), fields_of(after.as_ref()));
        let names: BTreeSet<&str> =
            old.into_iter().chain(new).flat_map(|map| map.keys().map(String::as_str)).collect();
        for name in names {
            let of = |map: Option<&Fields>| map.and_then(|map| map.get(name)).cloned();
            let (old, new) = (of(old), of(new));
            if old != new {
                fields.entry(name).or_insert_with(Run::new).step(*whose, &old, &new);
            }
        }
    }
    match existence.ends() {
        Some((false, true)) if foreign_since || now.is_none() => (RowInverse::Nothing, true),
        Some((false, true)) => (RowInverse::Delete, false),
        Some(_) if foreign_since || now.is_some() => (RowInverse::Nothing, true),
        Some(_) => (restored(gone, &fields), false),
        None => edited(now, &fields),
    }
}

fn fields_of(row: Option<&Value>) -> Option<&Fields> {
    row.and_then(Value::as_map)
}

/// The row as it was when it went away, with the fields as they were before that.
fn restored(gone: Option<&Value>, fields: &BTreeMap<&str, Run<Option<Value>>>) -> RowInverse {
    let mut row = fields_of(gone).cloned().unwrap_or_default();
    for (name, run) in fields {
        match run.before() {
            Some(Some(before)) => drop(row.insert((*name).to_owned(), before.clone())),
            Some(None) => drop(row.remove(*name)),
            None => {}
        }
    }
    RowInverse::Restore(Value::Map(row))
}

fn edited(now: Option<&Value>, fields: &BTreeMap<&str, Run<Option<Value>>>) -> (RowInverse, bool) {
    let mut edits = BTreeMap::new();
    let mut changed = false;
    for (name, run) in fields {
        let here = fields_of(now).and_then(|map| map.get(*name)).cloned();
        match run.outcome(&here) {
            Outcome::Nothing => {}
            Outcome::Restore(before) if now.is_some() => {
                edits.insert((*name).to_owned(), before);
            }
            Outcome::Changed | Outcome::Restore(_) => changed = true,
        }
    }
    let inverse = if edits.is_empty() { RowInverse::Nothing } else { RowInverse::Edit(edits) };
    (inverse, changed)
}

//! Which fields of a stored row a change of its typed form comes to.
//!
//! Invariant: fields that the type does not know, and fields that did not change, are not named;
//! what the type reads after the edit is what the app made of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weald_crdt::{DraftError, Value};

/// Fields by their name, with the new value, or `None` for those to be removed.
pub(crate) type RowEdit = BTreeMap<String, Option<Value>>;
type Fields = BTreeMap<String, Value>;

/// Takes the fields of a value, which must be a map.
pub(crate) fn fields(value: &Value) -> Result<&Fields, DraftError> {
    value.as_map().ok_or(DraftError::NotAMap { found: value.kind() })
}

/// Returns what makes of the stored row, which reads as `before`, one that reads as `after`.
pub(crate) fn between<T: Serialize + DeserializeOwned>(
    stored: &Fields,
    before: &Fields,
    after: &Fields,
) -> RowEdit {
    let mut edit = RowEdit::new();
    for (field, value) in after.iter().filter(|(field, value)| before.get(*field) != Some(value)) {
        edit.insert(field.clone(), Some(value.clone()));
    }
    for field in before.keys().filter(|field| !after.contains_key(*field)) {
        if stored.contains_key(field) {
            edit.insert(field.clone(), None);
        }
    }
    let is_change = before != after;
    if is_change && !reads_as::<T>(&applied(stored, &edit), after) {
        rename::<T>(stored, before, after, &mut edit);
    }
    edit
}

/// Moves the fields that the type reads under an older name, by `serde(alias)`, to the name under
/// which it writes them: two names for one field would keep the row from being read.
fn rename<T: Serialize + DeserializeOwned>(
    stored: &Fields,
    before: &Fields,
    after: &Fields,
    edit: &mut RowEdit,
) {
    for old in stored.keys().filter(|field| !before.contains_key(*field)) {
        let mut without = stored.clone();
        without.remove(old);
        if !reads_as::<T>(&without, before) {
            edit.insert(old.clone(), None);
        }
    }
    for (field, value) in after.iter().filter(|(field, _)| !stored.contains_key(*field)) {
        edit.insert(field.clone(), Some(value.clone()));
    }
}

fn applied(stored: &Fields, edit: &RowEdit) -> Fields {
    let mut row = stored.clone();
    for (field, value) in edit {
        match value {
            Some(value) => drop(row.insert(field.clone(), value.clone())),
            None => drop(row.remove(field)),
        }
    }
    row
}

/// Returns whether fields read as a `T` that is written as these.
fn reads_as<T: Serialize + DeserializeOwned>(fields: &Fields, wanted: &Fields) -> bool {
    let read = Value::Map(fields.clone()).to_serde::<T>();
    read.and_then(|row| Value::from_serde(&row)).is_ok_and(|row| row.as_map() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Person {
        #[serde(alias = "mail")]
        email: String,
        #[serde(alias = "years")]
        age: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    fn edit(stored: &Value, change: impl FnOnce(&mut Person)) -> (RowEdit, Value) {
        let mut person: Person = stored.to_serde().unwrap();
        let before = Value::from_serde(&person).unwrap();
        change(&mut person);
        let after = Value::from_serde(&person).unwrap();
        let stored = fields(stored).unwrap();
        let edit = between::<Person>(stored, fields(&before).unwrap(), fields(&after).unwrap());
        let row = Value::Map(applied(stored, &edit));
        assert_eq!(Value::from_serde(&row.to_serde::<Person>().unwrap()).unwrap(), after);
        (edit, row)
    }

    #[test]
    fn only_what_differs_is_named() {
        let stored = Value::from([("email", "a"), ("note", "n"), ("unknown", "u")]);
        let Value::Map(mut stored) = stored else { unreachable!() };
        stored.insert("age".into(), Value::from(7));
        let stored = Value::Map(stored);
        let (none, _) = edit(&stored, |_| {});
        assert!(none.is_empty());
        let (one, _) = edit(&stored, |person| person.age = 8);
        assert_eq!(one, RowEdit::from([("age".into(), Some(Value::from(8)))]));
        let (gone, row) = edit(&stored, |person| person.note = None);
        assert_eq!(gone, RowEdit::from([("note".into(), None)]));
        assert_eq!(row.get("unknown"), Some(&Value::from("u")));
    }

    #[test]
    fn fields_under_an_older_name_stay_until_they_change_and_move_then() {
        let stored = Value::Map(Fields::from([
            ("mail".into(), Value::from("a")),
            ("years".into(), Value::from(7)),
            ("unknown".into(), Value::from("u")),
        ]));
        let (note, row) = edit(&stored, |person| person.note = Some("n".into()));
        assert_eq!(note.keys().collect::<Vec<_>>(), ["note"]);
        assert_eq!(row.get("mail"), Some(&Value::from("a")));
        let (moved, row) = edit(&stored, |person| person.email = "b".into());
        assert_eq!(moved.keys().collect::<Vec<_>>(), ["age", "email", "mail", "years"]);
        assert_eq!(row.get("unknown"), Some(&Value::from("u")));
        assert_eq!(row.as_map().unwrap().len(), 3);
    }
}

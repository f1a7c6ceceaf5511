//! Tables: update, replace, merge, delete and restore; rows of other builds; rows that do not fit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::room;
use serde::{Deserialize, Serialize};
use serde_json::json;
use weald::{
    Database, DraftError, Error, Instance, Key, Misfit, ReadError, RowKey, Table, Value, WriteError,
};

const PEOPLE: &str = "people";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

fn person(name: &str, age: u32) -> Person {
    Person { name: name.to_owned(), age, note: None }
}

fn put<T: Serialize>(database: &Database, key: &str, row: &T) {
    database.write(|tx| Ok(tx.table(PEOPLE)?.put(key, row)?)).unwrap();
}

fn stored(database: &Database, key: &str) -> Option<Value> {
    database.table::<Value>(PEOPLE).unwrap().get(key).unwrap()
}

fn json_of(database: &Database, key: &str) -> serde_json::Value {
    stored(database, key).unwrap().to_json().unwrap()
}

/// Alice's room, and Bob's copy of it.
fn two() -> ((Instance, Database), (Instance, Database)) {
    let (here, _, room) = room();
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let parcels = room.parcels(0, usize::MAX).unwrap();
    there.ingest(here.device_key(), room.id(), parcels).unwrap();
    there.mark_complete(room.id()).unwrap();
    let his = bob.open_database(&room.id()).unwrap();
    ((here, room), (there, his))
}

fn exchange(one: &(Instance, Database), other: &(Instance, Database)) {
    for (from, to) in [(one, other), (other, one)] {
        let parcels = from.1.parcels(0, usize::MAX).unwrap();
        to.0.ingest(from.0.device_key(), from.1.id(), parcels).unwrap();
    }
    assert_eq!(one.1.state_digest().unwrap(), other.1.state_digest().unwrap());
}

#[test]
fn updates_of_different_fields_made_apart_both_stay() {
    let (mine, his) = two();
    put(&mine.1, "a", &person("Ann", 30));
    exchange(&mine, &his);
    let updated =
        mine.1.write(|tx| Ok(tx.table::<Person>(PEOPLE)?.update("a", |person| person.age = 31)?));
    assert_eq!(updated.unwrap().value, person("Ann", 31));
    his.1
        .write(|tx| {
            tx.table::<Person>(PEOPLE)?.update("a", |person| person.name.push('e'))?;
            Ok(tx.table::<Person>(PEOPLE)?.merge("a", &json!({"note": "hers"}))?)
        })
        .unwrap();
    exchange(&mine, &his);
    let both = Person { note: Some("hers".into()), ..person("Anne", 31) };
    let table = mine.1.table::<Person>(PEOPLE).unwrap();
    assert_eq!(table.get("a").unwrap(), Some(both));
    assert!(table.conflicts("a").unwrap().is_empty());
}

#[test]
fn an_update_writes_nothing_when_nothing_differs() {
    let (_instance, _, room) = room();
    put(&room, "a", &person("Ann", 30));
    let same = room.write(|tx| {
        tx.table::<Person>(PEOPLE)?.update("a", |person| person.age = 30)?;
        tx.table::<Person>(PEOPLE)?.merge("a", &json!({}))?;
        Ok(tx.table::<Person>(PEOPLE)?.merge("a", &json!({"none": null}))?)
    });
    assert_eq!(same.unwrap().id, None);
}

#[test]
fn replace_puts_the_whole_row_and_merge_only_what_is_given() {
    let (_instance, _, room) = room();
    put(&room, "a", &json!({"name": "Ann", "age": 30, "address": {"city": "Ulm", "street": "x"}}));
    room.write(|tx| {
        let mut people = tx.table::<Person>(PEOPLE)?;
        let partial = BTreeMap::from([("address", json!({"city": "Bonn"})), ("note", json!("n"))]);
        people.merge("a", &partial)?;
        Ok(people.merge("a", &json!({"age": null}))?)
    })
    .unwrap();
    // A map inside a field replaces the field; null removes one.
    let merged = json!({"name": "Ann", "note": "n", "address": {"city": "Bonn"}});
    assert_eq!(json_of(&room, "a"), merged);
    room.write(|tx| Ok(tx.table(PEOPLE)?.replace("a", &person("Bea", 7))?)).unwrap();
    assert_eq!(json_of(&room, "a"), json!({"name": "Bea", "age": 7}));
}

#[test]
fn rows_that_are_not_there_are_typed_errors_and_leave_the_transaction() {
    let (_instance, _, room) = room();
    let no_row = |result: Result<(), WriteError>| {
        assert!(matches!(result, Err(WriteError::Draft(DraftError::NoRow))), "{result:?}");
    };
    let committed = room.write(|tx| {
        let mut people = tx.table::<Person>(PEOPLE)?;
        no_row(people.replace("none", &person("a", 1)));
        no_row(people.merge("none", &json!({"a": 1})));
        no_row(people.update("none", |_| {}).map(drop));
        no_row(people.edit("none", "a", &1));
        no_row(people.remove_field("none", "a"));
        let restored = people.restore("none");
        assert!(matches!(restored, Err(WriteError::Draft(DraftError::NoDeletedRow))));
        let scalar = people.merge("none", "text");
        assert!(scalar.is_err());
        assert!(!people.contains("none")?);
        Ok(())
    });
    assert_eq!(committed.unwrap().id, None);
    put(&room, "a", &person("Ann", 30));
    let refused = room.write(|tx| {
        let mut values = tx.table::<Value>(PEOPLE)?;
        let scalar = values.merge("a", "text");
        assert!(matches!(scalar, Err(WriteError::Draft(DraftError::NotAMap { .. }))));
        let scalar = values.update("a", |row| *row = Value::from(1));
        assert!(matches!(scalar, Err(WriteError::Draft(DraftError::NotAMap { .. }))));
        let not_a_number = values.merge("a", &Value::from([("age", f64::NAN)]));
        assert!(not_a_number.is_err());
        Ok(())
    });
    assert_eq!(refused.unwrap().id, None);
}

#[test]
fn a_deleted_row_comes_back_whole() {
    let (mine, his) = two();
    put(&mine.1, "a", &json!({"name": "Ann", "age": 30, "unknown": [1, 2]}));
    exchange(&mine, &his);
    mine.1
        .write(|tx| {
            let mut people = tx.table::<Person>(PEOPLE)?;
            assert!(people.delete("a")?);
            assert!(!people.contains("a")?);
            // In the same transaction as well.
            assert!(people.restore("a")?);
            assert!(!people.restore("a")?);
            assert_eq!(people.get("a")?, Some(person("Ann", 30)));
            people.delete("a")?;
            Ok(())
        })
        .unwrap();
    exchange(&mine, &his);
    let his_table = his.1.table::<Person>(PEOPLE).unwrap();
    assert!(!his_table.contains("a").unwrap());
    let restored = his.1.write(|tx| Ok(tx.table::<Person>(PEOPLE)?.restore("a")?));
    assert!(restored.unwrap().value);
    exchange(&mine, &his);
    assert_eq!(json_of(&mine.1, "a"), json!({"name": "Ann", "age": 30, "unknown": [1, 2]}));
    assert!(his_table.conflicts("a").unwrap().is_empty());
}

/// What the build before wrote, and one with more and other fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NewPerson {
    #[serde(rename = "full_name", alias = "name")]
    name: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[test]
fn a_new_build_reads_old_rows_and_keeps_what_it_does_not_know() {
    let (_instance, _, room) = room();
    put(&room, "old", &person("Ann", 30));
    let table = room.table::<NewPerson>(PEOPLE).unwrap();
    let ann = NewPerson { name: "Ann".into(), tags: Vec::new(), email: None };
    assert_eq!(table.get("old").unwrap(), Some(ann));
    let update = |change: fn(&mut NewPerson)| {
        room.write(|tx| Ok(tx.table::<NewPerson>(PEOPLE)?.update("old", change)?)).unwrap();
    };
    // What does not change is not written, so an old build still reads the row.
    update(|person| person.email = Some("a@b".into()));
    let expected = json!({"name": "Ann", "age": 30, "email": "a@b"});
    assert_eq!(json_of(&room, "old"), expected);
    assert!(room.table::<Person>(PEOPLE).unwrap().get("old").unwrap().is_some());
    // The renamed field moves when it changes; age, which the new build has dropped, stays.
    update(|person| person.name = "Anne".into());
    let row = json_of(&room, "old");
    assert_eq!((&row["full_name"], &row["age"]), (&json!("Anne"), &json!(30)));
    assert_eq!(row.get("name"), None);
    assert_eq!(table.get("old").unwrap().unwrap().name, "Anne");
    // A whole put is what the type knows and nothing else.
    let bea = NewPerson { name: "Bea".into(), tags: vec!["x".into()], email: None };
    put(&room, "old", &bea);
    assert_eq!(json_of(&room, "old"), json!({"full_name": "Bea", "tags": ["x"]}));
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Contact {
    Person { name: String },
    Company { name: String, seat: String },
}

#[test]
fn variants_come_back_and_one_that_is_not_known_is_an_error_of_its_row() {
    let (_instance, _, room) = room();
    put(&room, "a", &Contact::Person { name: "Ann".into() });
    put(&room, "b", &Contact::Company { name: "Bau".into(), seat: "Ulm".into() });
    put(&room, "c", &json!({"kind": "club", "name": "Chess"}));
    let table = room.table::<Contact>(PEOPLE).unwrap();
    let rows: Vec<_> = table.rows().collect();
    assert!(matches!(&rows[0], Ok((_, Contact::Person { .. }))));
    assert!(matches!(&rows[1], Ok((_, Contact::Company { .. }))));
    assert!(matches!(&rows[2], Err(ReadError::Misfit(_))));
    let become_company = |contact: &mut Contact| {
        *contact = Contact::Company { name: "Ann Ltd".into(), seat: "Bonn".into() };
    };
    room.write(|tx| Ok(tx.table::<Contact>(PEOPLE)?.update("a", become_company)?)).unwrap();
    let company = json!({"kind": "company", "name": "Ann Ltd", "seat": "Bonn"});
    assert_eq!(json_of(&room, "a"), company);
}

fn misfit<T: std::fmt::Debug>(read: Result<T, ReadError>) -> Box<Misfit> {
    let Err(ReadError::Misfit(misfit)) = read else { panic!("{read:?}") };
    misfit
}

#[test]
fn a_row_that_does_not_fit_names_itself_and_hides_no_other() {
    let (_instance, _, room) = room();
    for number in 0..weald::QUERY_PAGE_ROWS + 10 {
        put(&room, &format!("{number:04}"), &person("Ann", 30));
    }
    put(&room, "0100", &json!({"name": "Bea", "age": "thirty"}));
    put(&room, "0200", &json!({"age": 7}));
    let table: Table<Person> = room.table(PEOPLE).unwrap();
    let bad = |table: &Table<Person>| -> Vec<Key> {
        let errors = table.rows().filter_map(Result::err);
        let key = |error| match misfit::<()>(Err(error)).key {
            RowKey::Table(key) => key,
            other => panic!("{other:?}"),
        };
        errors.map(key).collect()
    };
    assert_eq!(bad(&table), [Key::from("0100"), Key::from("0200")]);
    assert_eq!(table.rows().filter(Result::is_ok).count(), weald::QUERY_PAGE_ROWS + 8);
    assert_eq!(table.count().unwrap(), weald::QUERY_PAGE_ROWS as u64 + 10);
    let error = misfit(table.get("0100"));
    assert_eq!((error.store.as_str(), &error.key), (PEOPLE, &RowKey::Table(Key::from("0100"))));
    assert!(error.to_string().contains("0100") && error.to_string().contains(PEOPLE), "{error}");
    misfit(table.row("0100"));
    assert!(table.contains("0100").unwrap());
    // It is there as a value, and can be mended.
    let mended = room.write(|tx| {
        let unfit = tx.table::<Person>(PEOPLE)?.update("0100", |_| {});
        assert!(matches!(unfit, Err(WriteError::Read(ReadError::Misfit(_)))), "{unfit:?}");
        let unfit = tx.table::<Person>(PEOPLE)?.get("0100");
        assert!(matches!(unfit, Err(WriteError::Read(ReadError::Misfit(_)))), "{unfit:?}");
        tx.table::<Value>(PEOPLE)?.merge("0100", &json!({"age": 30}))?;
        Ok(tx.table::<Person>(PEOPLE)?.get("0100")?)
    });
    assert_eq!(mended.unwrap().value, Some(person("Bea", 30)));
    assert_eq!(bad(&table), [Key::from("0200")]);
    let wrapped = Error::from(misfit(table.get("0200")));
    assert!(matches!(wrapped, Error::Read(ReadError::Misfit(_))));
}

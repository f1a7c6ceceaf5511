//! Queries by key and by index: what they give, page by page, and what they refuse.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use common::{DEADLINE, message, push, room};
use serde::{Deserialize, Serialize};
use weald::{
    CursorError, Database, Decimal, Error, Index, IndexError, Key, QueryCursor, ReadError, RowKey,
    Table, Value,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Address {
    city: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    address: Address,
}

fn person(name: &str, age: i64, city: &str) -> Person {
    let address = Address { city: city.to_owned() };
    Person { name: name.to_owned(), age, email: None, address }
}

fn people(room: &Database) -> Table<Person> {
    room.write(|tx| {
        let mut people = tx.table("people")?;
        for (name, age, city) in [
            ("ada", 36, "London"),
            ("bob", 17, "Berlin"),
            ("cid", 64, "Berlin"),
            ("dot", 36, "Bern"),
            ("eve", 18, "Berlin"),
        ] {
            people.put(name, &person(name, age, city))?;
        }
        Ok(())
    })
    .unwrap();
    room.table("people").unwrap()
}

fn names(rows: impl Iterator<Item = Result<(Key, Person), ReadError>>) -> Vec<String> {
    rows.map(|row| row.unwrap().1.name).collect()
}

#[test]
fn an_index_gives_ranges_prefixes_and_orders() {
    let (_instance, _, room) = room();
    let people = people(&room);
    let by_age = people.indexes().declare("by_age", Index::on(["age"])).unwrap();
    let city = Index::on(["address", "city"]).and(["age"]);
    people.indexes().declare("by_city", city).unwrap();
    assert!(by_age.wait_ready(DEADLINE).unwrap());
    assert!(people.indexes().get("by_city").unwrap().wait_ready(DEADLINE).unwrap());
    let progress = by_age.progress().unwrap();
    assert!(progress.is_ready && progress.done == 5 && progress.total == 5, "{progress:?}");

    let by_age = people.query().index("by_age");
    assert_eq!(names(by_age.rows()), ["bob", "eve", "ada", "dot", "cid"]);
    assert_eq!(names(by_age.clone().reverse().rows()), ["cid", "dot", "ada", "eve", "bob"]);
    assert_eq!(names(by_age.clone().range(18..64).rows()), ["eve", "ada", "dot"]);
    assert_eq!(names(by_age.clone().range(18..=64).reverse().limit(2).rows()), ["cid", "dot"]);
    assert_eq!(names(by_age.clone().range(..18).rows()), ["bob"]);
    assert_eq!(names(by_age.clone().equal(36).rows()), ["ada", "dot"]);
    assert_eq!(names(by_age.clone().equal(36.0).rows()), ["ada", "dot"]);
    let older = by_age.clone().filter(|(_, person): &(Key, Person)| person.address.city != "Bern");
    assert_eq!(names(older.clone().range(20..).rows()), ["ada", "cid"]);
    assert_eq!((older.count().unwrap(), by_age.clone().range(18..40).count().unwrap()), (4, 3));
    assert_eq!(by_age.clone().first().unwrap().unwrap().1.name, "bob");

    let by_city = people.query().index("by_city");
    assert_eq!(names(by_city.clone().prefix("Ber").rows()), ["bob", "eve", "cid", "dot"]);
    assert_eq!(names(by_city.clone().equal("Berlin").range(18..).rows()), ["eve", "cid"]);
    assert_eq!(names(by_city.clone().equal("Berlin").equal(64).rows()), ["cid"]);
    assert_eq!(by_city.clone().equal("Berlin").reverse().count().unwrap(), 3);

    // By key: ranges, prefixes and both directions.
    let by_key = people.query();
    let (from, to) = (Key::from("b"), Key::from("d"));
    assert_eq!(names(by_key.clone().range(from..to).reverse().rows()), ["cid", "bob"]);
    assert_eq!(names(by_key.clone().prefix("d").reverse().rows()), ["dot"]);
    assert_eq!(names(people.prefix("a").reverse()), ["ada"]);
    assert_eq!((by_key.count().unwrap(), by_key.limit(2).count().unwrap()), (5, 2));
}

#[test]
fn an_index_follows_what_is_written() {
    let (_instance, _, room) = room();
    let people = people(&room);
    people.indexes().declare("by_age", Index::on(["age"])).unwrap().wait_ready(DEADLINE).unwrap();
    let by_age = people.query().index("by_age");
    room.write(|tx| {
        let mut people = tx.table::<Person>("people")?;
        people.edit("bob", "age", &50)?;
        people.edit("eve", "name", "eva")?;
        people.delete("ada")?;
        people.put("fay", &person("fay", 1, "Rome"))?;
        people.remove_field("dot", "age")?;
        Ok(())
    })
    .unwrap();
    assert_eq!(names(by_age.rows().take(3)), ["fay", "eva", "bob"]);
    assert_eq!(by_age.count().unwrap(), 4);
    room.write(|tx| {
        tx.table::<Person>("people")?.put("ada", &person("ada", 2, "Rome"))?;
        Ok(tx.table::<Person>("people")?.edit("cid", "age", &vec![1, 2])?)
    })
    .unwrap();
    assert_eq!(by_age.count().unwrap(), 4);
    assert_eq!(people.indexes().get("by_age").unwrap().left_out().unwrap(), 1);
}

#[test]
fn pages_give_each_row_once() {
    let (_instance, _, room) = room();
    let numbers = room.table::<Person>("people").unwrap();
    room.write(|tx| {
        let mut people = tx.table("people")?;
        for number in 0..600_i64 {
            let key = Key::Integer(number);
            people.put(key, &person(&number.to_string(), number % 7, "Rome"))?;
        }
        Ok(())
    })
    .unwrap();
    numbers.indexes().declare("by_age", Index::on(["age"])).unwrap();
    let by_age = numbers.query().index("by_age").range(1..).filter(|(_, row)| row.age != 3);
    for query in [by_age.clone(), by_age.reverse()] {
        for limit in [u64::MAX, 200] {
            let query = query.clone().limit(limit);
            let all = names(query.rows());
            assert_eq!(all.len() as u64, limit.min(428));
            let (mut paged, mut cursor) = (Vec::new(), None::<QueryCursor>);
            loop {
                let page = query.page(50, cursor.as_ref()).unwrap();
                paged.extend(page.rows.into_iter().map(|(_, person)| person.name));
                let Some(next) = page.next else { break };
                // As it goes through an app's own storage.
                cursor = Some(next.to_string().parse().unwrap());
            }
            assert_eq!(paged, all);
        }
    }
    let keys = numbers.query();
    let first = keys.page(600, None).unwrap();
    assert!(first.rows.len() == 600 && first.next.is_none());
    assert!(keys.page(599, None).unwrap().next.is_some());
    assert!(keys.page(0, None).unwrap().rows.is_empty());
}

#[test]
fn a_cursor_is_of_one_query() {
    let (_instance, _, room) = room();
    let people = people(&room);
    people.indexes().declare("by_age", Index::on(["age"])).unwrap();
    let by_age = people.query().index("by_age").range(1..);
    let cursor = by_age.page(1, None).unwrap().next.unwrap();
    assert_eq!(by_age.page(1, Some(&cursor)).unwrap().rows[0].1.name, "eve");
    let other = |outcome: Result<weald::Page<(Key, Person)>, ReadError>| {
        assert!(matches!(outcome, Err(ReadError::Cursor(CursorError::OtherQuery))), "{outcome:?}");
    };
    other(people.query().page(1, Some(&cursor)));
    other(people.query().index("by_age").page(1, Some(&cursor)));
    other(by_age.clone().reverse().page(1, Some(&cursor)));
    other(by_age.range(2..).page(1, Some(&cursor)));
    let log = room.log::<String>("talk").unwrap().query();
    let foreign = log.page(1, Some(&cursor));
    assert!(matches!(foreign, Err(ReadError::Cursor(CursorError::OtherQuery))));
    for text in ["", "00", "zz", "01ab", "é"] {
        assert_eq!(text.parse::<QueryCursor>(), Err(CursorError::Text), "{text}");
    }
}

#[test]
fn what_an_index_cannot_be_is_refused() {
    let (_instance, _, room) = room();
    let people = people(&room);
    let indexes = people.indexes();
    indexes.declare("by_age", Index::on(["age"])).unwrap();
    indexes.declare("by_age", Index::on(["age"])).unwrap();
    let differs = indexes.declare("by_age", Index::on(["name"]));
    assert!(matches!(differs, Err(IndexError::Differs { .. })), "{differs:?}");
    let no_path: [&str; 0] = [];
    assert!(matches!(indexes.declare("x", Index::on(no_path)), Err(IndexError::Field)));
    assert!(matches!(indexes.declare("", Index::on(["age"])), Err(IndexError::Name { .. })));
    let many = (0..8).fold(Index::on(["age"]), |index, _| index.and(["name"]));
    assert!(matches!(indexes.declare("x", many), Err(IndexError::Fields { count: 9 })));
    let unknown = people.query().index("nothing").rows().next().unwrap();
    assert!(matches!(unknown, Err(ReadError::Index(IndexError::Unknown { .. }))), "{unknown:?}");
    let by_age = people.query().index("by_age");
    for query in [by_age.clone().equal(1).equal(2), by_age.equal(Value::List(Vec::new()))] {
        let refused = query.count();
        assert!(matches!(refused, Err(ReadError::Index(IndexError::Values { .. }))), "{refused:?}");
    }
    let duplicates = indexes.get("by_age").unwrap().duplicates();
    assert!(matches!(duplicates, Err(IndexError::NotUnique { .. })));
    assert_eq!(indexes.list().unwrap().len(), 1);
    assert!(indexes.drop("by_age").unwrap());
    assert!(!indexes.drop("by_age").unwrap());
    assert!(matches!(indexes.get("by_age"), Err(IndexError::Unknown { .. })));
    // The name is free again, for other fields.
    let again = indexes.declare("by_age", Index::on(["name"])).unwrap();
    assert!(again.wait_ready(DEADLINE).unwrap());
    assert_eq!(names(people.query().index("by_age").prefix("e").rows()), ["eve"]);
    let error = Error::from(indexes.get("gone").unwrap_err()).to_string();
    assert!(error.contains("no index 'gone'"), "{error}");
}

#[test]
fn a_unique_index_tells_of_duplicates() {
    let (_instance, _, room) = room();
    let people = people(&room);
    let unique = Index::on(["email"]).unique().including_missing();
    let index = people.indexes().declare("by_email", unique).unwrap();
    let long = "x".repeat(400);
    room.write(|tx| {
        let mut people = tx.table::<Person>("people")?;
        for (name, email) in [
            ("ada", "a@b"),
            ("cid", "a@b"),
            ("bob", "b@b"),
            ("dot", &format!("{long}1")),
            ("eve", &format!("{long}2")),
            ("fay", &format!("{long}1")),
        ] {
            let person = Person { email: Some(email.to_owned()), ..person(name, 1, "Rome") };
            people.put(name, &person)?;
        }
        people.put("gus", &person("gus", 1, "Rome"))?;
        people.put("hal", &person("hal", 1, "Rome"))?;
        Ok(())
    })
    .unwrap();
    let found: Vec<_> = index.duplicates().unwrap().map(Result::unwrap).collect();
    let keys: Vec<_> = found.iter().map(|duplicate| duplicate.keys.clone()).collect();
    let key = |name: &str| RowKey::Table(Key::from(name));
    assert_eq!(keys, [[key("ada"), key("cid")], [key("dot"), key("fay")]]);
    assert_eq!(found[0].values, [Value::from("a@b")]);
    // What is cut in the index is compared whole by queries, too.
    let by_email = people.query().index("by_email");
    assert_eq!(names(by_email.clone().equal(format!("{long}2")).rows()), ["eve"]);
    assert_eq!(by_email.clone().prefix(&format!("{long}1")).count().unwrap(), 2);
    assert_eq!(by_email.range(format!("{long}1")..format!("{long}2")).count().unwrap(), 2);
}

#[test]
fn a_row_that_does_not_fit_hides_no_other() {
    let (_instance, _, room) = room();
    let people = people(&room);
    people.indexes().declare("by_age", Index::on(["age"])).unwrap();
    room.write(|tx| Ok(tx.table::<Person>("people")?.edit("dot", "age", "old")?)).unwrap();
    let by_age = people.query().index("by_age");
    let rows: Vec<_> = by_age.rows().collect();
    assert_eq!((rows.len(), rows.iter().filter(|row| row.is_err()).count()), (5, 1));
    let page = by_age.page(10, None).unwrap();
    assert_eq!((page.rows.len(), page.misfits.len()), (4, 1));
    assert_eq!(page.misfits[0].key, RowKey::Table(Key::from("dot")));
    // Numbers only: a text is not among them.
    assert_eq!(by_age.range(0..).count().unwrap(), 4);
}

#[test]
fn logs_are_asked_by_time_by_place_and_by_index() {
    let (_instance, _, room) = room();
    (0..20).for_each(|number| push(&room, &format!("{number:02}")));
    let log = room.log::<common::Message>("messages").unwrap();
    let items = log.tail(20).unwrap();
    let texts = |query: weald::Query<weald::LogItem<common::Message>>| -> Vec<String> {
        query.rows().map(|item| item.unwrap().value.unwrap().text).collect()
    };
    let query = log.query();
    assert_eq!(texts(query.clone().since(items[17].time)), ["17", "18", "19"]);
    assert_eq!(texts(query.clone().until(items[2].time).reverse()), ["01", "00"]);
    let between = query.clone().after(&items[3].cursor).before(&items[6].cursor);
    assert_eq!(texts(between), ["04", "05"]);
    let even = query.filter(|item| item.value.as_ref().is_ok_and(|m| m.text.ends_with('5')));
    assert_eq!(texts(even.reverse().limit(1)), ["15"]);
    let index = log.indexes().declare("by_text", Index::on(["text"])).unwrap();
    assert!(index.wait_ready(DEADLINE).unwrap());
    push(&room, "00");
    assert_eq!(log.query().index("by_text").prefix("0").count().unwrap(), 11);
    assert_eq!(log.query().index("by_text").equal("00").count().unwrap(), 2);
    drop(message(""));
}

#[test]
fn decimals_and_integers_are_one_order() {
    let (_instance, _, room) = room();
    let rows = [("a", Value::from(2)), ("b", Value::from(1.5)), ("c", Value::U64(u64::MAX))];
    room.write(|tx| {
        let mut table = tx.table("t")?;
        for (key, value) in rows {
            table.put(key, &Value::from([("n", value)]))?;
        }
        let decimal = Value::Decimal(Decimal::new("1.75").unwrap());
        Ok(table.put("d", &Value::from([("n", decimal)]))?)
    })
    .unwrap();
    let table = room.table::<Value>("t").unwrap();
    table.indexes().declare("n", Index::on(["n"])).unwrap().wait_ready(DEADLINE).unwrap();
    let keys: Vec<_> = table.query().index("n").rows().map(|row| row.unwrap().0).collect();
    assert_eq!(keys, ["b", "d", "a", "c"].map(Key::from));
}

#[test]
fn an_index_that_was_dropped_is_not_the_one_that_has_its_name_now() {
    let (_instance, _user, room) = room();
    let indexes = room.table::<Value>("t").unwrap().indexes();
    let dropped = indexes.declare("n", Index::on(["n"]).unique()).unwrap();
    assert!(indexes.drop("n").unwrap());
    indexes.declare("n", Index::on(["m"])).unwrap();
    assert!(matches!(dropped.progress(), Err(IndexError::Unknown { .. })));
    assert!(matches!(dropped.wait_ready(DEADLINE), Err(IndexError::Unknown { .. })));
    let told = dropped.duplicates().unwrap().next();
    assert!(matches!(told, Some(Err(IndexError::Unknown { .. }))));
}

#[test]
fn a_wait_for_an_index_may_be_for_ever() {
    let (_instance, _user, room) = room();
    room.write(|tx| Ok(tx.table("t")?.put(1, &Value::from([("n", 1)]))?)).unwrap();
    let table = room.table::<Value>("t").unwrap();
    let index = table.indexes().declare("n", Index::on(["n"])).unwrap();
    assert!(index.wait_ready(Duration::MAX).unwrap());
}

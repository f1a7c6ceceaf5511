//! JSON Lines: what is exported and imported again is equal, and a bad line is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod top_ten;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use common::{message, push, room, texts};
use proptest::prelude::*;
use top_ten::{TopTen, score};
use weald::{
    BadLineReason, Database, DatabaseSettings, Decimal, ExportError, Instance, JSON_BAD_LINES_MAX,
    JSON_BATCH_LINES, JSON_LINE_MAX, JsonExport, JsonImport, JsonImportError, Key, OnBadLine,
    OnExisting, Path, Timestamp, Ulid, Value,
};

const HEADER: &str = "{\"format\":\"weald-jsonl\",\"version\":1}\n";

fn lines(database: &Database) -> String {
    let mut file = Vec::new();
    let report = database.export_json(&mut file).unwrap();
    assert_eq!(report.bytes, file.len() as u64);
    let found = file.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(report.rows + 1, found as u64);
    assert!(report.left_out.is_empty() && report.one_way.is_empty(), "{report:?}");
    String::from_utf8(file).unwrap()
}

fn empty() -> Database {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user("bob", None).unwrap();
    user.create_database(DatabaseSettings::named("Copy")).unwrap()
}

fn table(database: &Database, name: &str) -> Vec<(Key, Value)> {
    database.table::<Value>(name).unwrap().rows().map(Result::unwrap).collect()
}

fn value() -> impl Strategy<Value = Value> {
    let special = prop_oneof![
        Just(Value::Null),
        Just(Value::U64(u64::MAX)),
        Just(Value::U64((1 << 53) + 1)),
        Just(Value::F64(-0.0)),
        Just(Value::F64(f64::INFINITY)),
        Just(Value::F64(5e-324)),
        Just(Value::from([("$bytes", "AA==")])),
        Just(Value::from([("$$float", "inf")])),
    ];
    let scalar = prop_oneof![
        special,
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("a number", |n| !n.is_nan()).prop_map(Value::F64),
        any::<String>().prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        any::<i64>().prop_map(|ms| Value::Timestamp(Timestamp(ms))),
        Just(Value::Decimal(Decimal::new("-1.10e9").unwrap())),
    ];
    scalar.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Value::Map),
        ]
    })
}

fn key() -> impl Strategy<Value = Key> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(Key::Integer),
        any::<String>().prop_map(Key::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Key::Bytes),
        any::<[u8; 16]>().prop_map(|bytes| Key::Ulid(Ulid::from_bytes(bytes))),
    ];
    scalar.prop_recursive(2, 8, 4, |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(Key::Tuple)
    })
}

fn fields() -> impl Strategy<Value = BTreeMap<String, Value>> {
    proptest::collection::btree_map(any::<String>(), value(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_and_imported_is_equal(
        rows in proptest::collection::btree_map(key(), fields(), 0..12),
        items in proptest::collection::vec(value(), 0..6),
        document in fields(),
    ) {
        let (here, there) = (empty(), empty());
        here.write(|tx| {
            for (key, row) in &rows {
                tx.table::<Value>("rows")?.put(key, &Value::Map(row.clone()))?;
            }
            for item in &items {
                tx.log::<Value>("items")?.push(item)?;
            }
            Ok(tx.doc("about")?.set(Path::root(), &Value::Map(document.clone()))?)
        }).unwrap();
        let file = lines(&here);
        let report = there.import_json(file.as_bytes()).unwrap();
        prop_assert_eq!((report.written, report.bytes), (report.lines, file.len() as u64));
        prop_assert_eq!(table(&there, "rows"), table(&here, "rows"));
        let log = there.log::<Value>("items").unwrap().head(100).unwrap();
        prop_assert_eq!(log.into_iter().map(|item| item.value.unwrap()).collect::<Vec<_>>(), items);
        let about = |database: &Database| database.doc("about").unwrap().value().unwrap();
        prop_assert_eq!(about(&there), about(&here));
        prop_assert_eq!(about(&there), Value::Map(document));
    }

    #[test]
    fn no_bytes_make_an_import_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let there = empty();
        let file = [HEADER.as_bytes(), &noise].concat();
        let _ = there.import_json(noise.as_slice());
        let _ = there.import_json(file.as_slice());
        let options = JsonImport::new().bad_lines(OnBadLine::Skip);
        there.import_json_with(file.as_slice(), options).unwrap();
    }
}

#[test]
fn lines_are_plain_json_that_other_programs_read() {
    let (_, _, room) = room();
    push(&room, "hello");
    room.write(|tx| {
        tx.table("notes")?.put("first", &message("a note"))?;
        tx.table("notes")?.put((7_i64, vec![1_u8]), &message("another"))?;
        Ok(tx.doc("about")?.set(["owner", "name"], "alice")?)
    })
    .unwrap();
    let file = lines(&room);
    let read: Vec<serde_json::Value> =
        file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read[0]["format"], "weald-jsonl");
    assert_eq!(read[0]["database"], room.id().to_string());
    assert_eq!(read[0]["name"], "Demo");
    assert_eq!(read[0]["stores"].as_array().unwrap().len(), 3);
    let of = |store: &str| {
        let found: Vec<_> = read[1..].iter().filter(|line| line["store"] == store).collect();
        found
    };
    let notes = of("notes");
    assert_eq!(
        *notes[0],
        serde_json::json!({
            "store": "notes", "type": "table", "key": "first", "value": { "text": "a note" }
        })
    );
    assert_eq!(notes[1]["key"], serde_json::json!([7, { "$bytes": "AQ==" }]));
    assert_eq!(of("about")[0]["key"], serde_json::json!(["owner", "name"]));
    assert_eq!(of("about")[0]["value"], "alice");
    let item = of("messages")[0];
    assert_eq!(item["value"]["text"], "hello");
    assert_eq!(item["author"], room.key().to_string());
    let stored = room.log::<common::Message>("messages").unwrap().tail(1).unwrap().remove(0);
    assert_eq!(item["time"], stored.time.millis());
    assert_eq!(item["key"]["entry"], stored.entry.to_string());
}

#[test]
fn many_rows_go_through_in_bounded_batches_and_large_values_with_them() {
    let here = empty();
    let large = "\u{1}".repeat(1_000_000);
    for part in 0..4_i64 {
        here.write(|tx| {
            for number in 0..1_000 {
                tx.table("rows")?.put(part * 1_000 + number, &message(&number.to_string()))?;
            }
            Ok(())
        })
        .unwrap();
    }
    for key in [500_i64, 3_999] {
        here.write(|tx| Ok(tx.table("rows")?.put(key, &message(&large))?)).unwrap();
    }
    let there = empty();
    let mut told = Vec::new();
    let options = JsonImport::new().progress(|progress| {
        told.push((progress.items, progress.bytes));
        ControlFlow::Continue(())
    });
    let file = lines(&here);
    let report = there.import_json_with(file.as_bytes(), options).unwrap();
    assert_eq!((report.lines, report.written), (4_000, 4_000));
    assert!(table(&there, "rows") == table(&here, "rows"));
    assert!(there.entry_count().unwrap() > 4_000 / JSON_BATCH_LINES);
    assert_eq!(told.last(), Some(&(4_000, file.len() as u64)));
    assert!(told.len() >= 4 && told.is_sorted());
}

#[test]
fn a_row_that_is_there_is_replaced_kept_or_an_error() {
    let there = empty();
    let file = format!(
        "{HEADER}{}\n{}\n{}\n",
        r#"{"store":"notes","type":"table","key":"a","value":{"text":"new"}}"#,
        r#"{"store":"about","type":"doc","key":["name"],"value":"new"}"#,
        r#"{"store":"items","type":"log","value":"new"}"#,
    );
    let old = || {
        there
            .write(|tx| {
                tx.table("notes")?.put("a", &message("old"))?;
                Ok(tx.doc("about")?.set(["name"], "old")?)
            })
            .unwrap();
    };
    let now = || {
        let about = there.doc("about").unwrap().get(["name"]).unwrap().unwrap();
        let row = there.table::<common::Message>("notes").unwrap().get("a").unwrap().unwrap();
        (row.text, about.as_text().unwrap().to_owned())
    };
    let import = |existing| {
        old();
        there.import_json_with(file.as_bytes(), JsonImport::new().existing(existing))
    };
    let kept = import(OnExisting::Keep).unwrap();
    assert_eq!((kept.lines, kept.kept, kept.written), (3, 2, 1));
    assert_eq!(now(), ("old".to_owned(), "old".to_owned()));
    let refused = import(OnExisting::Refuse).unwrap_err();
    let JsonImportError::Line { bad, written: 0 } = refused else { panic!("{refused}") };
    assert!(matches!((bad.line, &bad.reason), (2, BadLineReason::Exists)), "{bad}");
    assert_eq!(now(), ("old".to_owned(), "old".to_owned()));
    let replaced = import(OnExisting::Replace).unwrap();
    assert_eq!((replaced.kept, replaced.written), (0, 3));
    assert_eq!(now(), ("new".to_owned(), "new".to_owned()));
    let items = there.log::<String>("items").unwrap().head(10).unwrap();
    assert_eq!(items.len(), 2, "items of logs are always added");
}

type Expected = fn(&BadLineReason) -> bool;

#[test]
fn a_bad_line_ends_the_import_with_its_number_or_is_skipped_and_told() {
    let good = r#"{"store":"notes","type":"table","key":"KEY","value":{"text":"x"}}"#;
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let long =
        format!(r#"{{"store":"items","type":"log","value":"{}"}}"#, "x".repeat(JSON_LINE_MAX));
    let large = format!(r#"{{"store":"items","type":"log","value":"{}"}}"#, "x".repeat(2 << 20));
    let deep = format!(r#"{{"store":"items","type":"log","value":{deep}}}"#);
    let bad: &[(&str, Expected)] = &[
        ("nonsense", |reason| matches!(reason, BadLineReason::Json(_))),
        ("{\"store\":\"a\"}", |reason| matches!(reason, BadLineReason::Json(_))),
        ("[1,2", |reason| matches!(reason, BadLineReason::Json(_))),
        (r#"{"store":"notes","type":"table","key":1.5,"value":{}}"#, |reason| {
            matches!(reason, BadLineReason::Key)
        }),
        (r#"{"store":"notes","type":"table","key":{"$bytes":"?"},"value":{}}"#, |reason| {
            matches!(reason, BadLineReason::Key)
        }),
        (r#"{"store":"about","type":"doc","key":"a","value":1}"#, |reason| {
            matches!(reason, BadLineReason::Path)
        }),
        (r#"{"store":"about","type":"doc","key":[],"value":1}"#, |reason| {
            matches!(reason, BadLineReason::Write(_))
        }),
        (r#"{"store":"notes","type":"table","key":"a","value":1}"#, |reason| {
            matches!(reason, BadLineReason::Write(_))
        }),
        (r#"{"store":"_settings","type":"table","key":"a","value":{}}"#, |reason| {
            matches!(reason, BadLineReason::Write(_))
        }),
        (r#"{"store":"notes","type":"log","value":1}"#, |reason| {
            matches!(reason, BadLineReason::Write(_))
        }),
        (&deep, |reason| matches!(reason, BadLineReason::Value(_))),
        (&large, |reason| matches!(reason, BadLineReason::Write(_))),
        (&long, |reason| matches!(reason, BadLineReason::TooLong)),
    ];
    let mut all = HEADER.to_owned();
    for (place, (line, expected)) in bad.iter().enumerate() {
        let there = empty();
        let before = good.replace("KEY", &format!("before {place}"));
        let after = good.replace("KEY", &format!("after {place}"));
        let file = format!("{HEADER}{before}\n\n{line}\n{after}\n");
        let failed = there.import_json(file.as_bytes()).unwrap_err();
        let JsonImportError::Line { bad, written: 1 } = failed else { panic!("{failed}") };
        assert!(bad.line == 4 && expected(&bad.reason), "{place}: {bad}");
        assert_eq!(table(&there, "notes").len(), 1, "what was before it is written");
        all.push_str(&format!("{before}\n{line}\n{after}\n"));
    }
    let there = empty();
    let options = JsonImport::new().bad_lines(OnBadLine::Skip);
    let report = there.import_json_with(all.as_bytes(), options).unwrap();
    let count = bad.len() as u64;
    assert_eq!((report.lines, report.written, report.bad), (3 * count, 2 * count, count));
    let found: Vec<u64> = report.bad_lines.iter().map(|bad| bad.line).collect();
    assert_eq!(found, (0..count).map(|place| 3 * place + 3).collect::<Vec<_>>());
    let noise = format!("{HEADER}{}", "x\n".repeat(JSON_BAD_LINES_MAX + 50));
    let options = JsonImport::new().bad_lines(OnBadLine::Skip);
    let report = there.import_json_with(noise.as_bytes(), options).unwrap();
    assert_eq!((report.bad, report.bad_lines.len()), (150, JSON_BAD_LINES_MAX));
}

#[test]
fn a_file_that_is_none_and_types_that_nobody_knows_are_told() {
    let there = empty();
    let header = |version: u64| format!("{{\"format\":\"weald-jsonl\",\"version\":{version}}}\n");
    for none in ["", "{}\n", "{\"format\":\"other\",\"version\":1}\n", "\u{0}\u{1}", &header(0)] {
        let failed = there.import_json(none.as_bytes()).unwrap_err();
        assert!(matches!(failed, JsonImportError::NoHeader), "{none}: {failed}");
    }
    let newer = there.import_json(header(2).as_bytes()).unwrap_err();
    assert!(matches!(newer, JsonImportError::NewerVersion { found: 2 }), "{newer}");
    let own = r#"{"store":"scores","type":"top-ten","key":{"$bytes":""},"value":[1]}"#;
    let report = there.import_json(format!("{HEADER}{own}\n{own}\n").as_bytes()).unwrap();
    assert_eq!((report.lines, report.written, report.left_out), (2, 0, 2));
    let left = &report.left_out_stores[0];
    assert_eq!((left.store.as_str(), left.type_name.as_str(), left.rows), ("scores", "top-ten", 2));
}

#[test]
fn counters_sets_and_lists_come_back() {
    let (here, there) = (empty(), empty());
    let sums: [(&str, &[i64]); 6] = [
        ("a", &[5, -7]),
        ("b", &[i64::MAX, i64::MAX, 1]),
        ("c", &[i64::MIN]),
        ("over", &[i64::MAX, i64::MAX, i64::MAX]),
        ("under", &[i64::MIN, i64::MIN, -1]),
        ("zero", &[1, -1]),
    ];
    here.write(|tx| {
        for (key, steps) in sums {
            steps.iter().try_for_each(|step| tx.counter("counts")?.add(key, *step))?;
        }
        for member in [Value::from("red"), Value::F64(-0.0), Value::from([("a", 1_i64)])] {
            tx.set::<Value>("members")?.add(&member)?;
        }
        let mut doc = tx.doc("doc")?;
        doc.set(["list"], &vec![1, 2])?;
        doc.list(["list"])?.insert(1, "between")?;
        Ok(doc.increment(["hits"], 3)?)
    })
    .unwrap();
    let file = lines(&here);
    for _ in 0..2 {
        let report = there.import_json(file.as_bytes()).unwrap();
        assert_eq!((report.written, report.left_out), (report.lines, 0));
        for (key, steps) in sums {
            let sum = steps.iter().copied().map(i128::from).sum::<i128>();
            assert_eq!(there.counter("counts").unwrap().value(key).unwrap(), sum, "{key}");
        }
        let members = |database: &Database| {
            let set = database.set::<Value>("members").unwrap();
            set.iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(members(&there), members(&here));
        assert_eq!(members(&there).len(), 3);
        let doc = |database: &Database| database.doc("doc").unwrap().value().unwrap();
        assert_eq!(doc(&there), doc(&here));
    }
}

#[test]
fn rows_of_an_apps_own_type_are_shown_and_what_is_not_understood_is_told() {
    let instance = Instance::in_memory_builder().store_type(TopTen).open().unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let game = alice.create_database(DatabaseSettings::named("Game")).unwrap();
    game.write(|tx| Ok(tx.own("scores", TopTen::NAME)?.push(&score("ann", 5))?)).unwrap();
    push(&game, "played");
    let (mut file, mut archive) = (Vec::new(), Vec::new());
    let report = game.export_json(&mut file).unwrap();
    assert_eq!((report.rows, report.left_out.len(), report.one_way.len()), (2, 0, 1));
    let told = &report.one_way[0];
    assert_eq!((told.store.as_str(), told.type_name.as_str()), ("scores", TopTen::NAME));
    assert_eq!(told.rows, 1);
    let report = empty().import_json(file.as_slice()).unwrap();
    assert_eq!((report.written, report.left_out), (1, 1));
    assert_eq!(report.left_out_stores[0].store, "scores");

    // A build without the type keeps the entries, and cannot say what is in them.
    game.export_archive(&mut archive).unwrap();
    let plain = Instance::in_memory().unwrap();
    let bob = plain.create_user("bob", None).unwrap();
    let copy = bob.import_archive(archive.as_slice()).unwrap().database;
    let report = copy.export_json(io::sink()).unwrap();
    assert_eq!((report.rows, report.one_way.len(), report.left_out.len()), (1, 0, 1));
    let told = &report.left_out[0];
    assert_eq!((told.store.as_str(), told.type_name.as_str()), ("scores", TopTen::NAME));
    let chosen = JsonExport::new().stores(["messages"]);
    assert!(copy.export_json_with(io::sink(), chosen).unwrap().left_out.is_empty());
}

#[test]
fn an_export_holds_one_moment_while_its_callback_writes() {
    let folder = tempfile::tempdir().unwrap();
    let on_disk = Instance::open(folder.path()).unwrap();
    for instance in [Instance::in_memory().unwrap(), on_disk] {
        let user = instance.create_user("alice", None).unwrap();
        let database = user.create_database(DatabaseSettings::named("Busy")).unwrap();
        database
            .write(|tx| {
                let mut rows = tx.table("rows")?;
                (0..2_500_i64).try_for_each(|key| rows.put(key, &message("x")))?;
                Ok(())
            })
            .unwrap();
        let mut calls = 0_i64;
        let options = JsonExport::new().progress(|_| {
            calls += 1;
            database.write(|tx| Ok(tx.table("rows")?.put(5_000 + calls, &message("y"))?)).unwrap();
            ControlFlow::Continue(())
        });
        let report = database.export_json_with(io::sink(), options).unwrap();
        assert_eq!((report.rows, calls), (2_500, 3));
        assert_eq!(database.table::<Value>("rows").unwrap().count().unwrap(), 2_503);
    }
}

#[test]
fn stores_can_be_chosen_and_both_ways_cancelled() {
    let (_, _, room) = room();
    push(&room, "hello");
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("x"))?)).unwrap();
    let mut file = Vec::new();
    let report = room.export_json_with(&mut file, JsonExport::new().stores(["notes"])).unwrap();
    assert_eq!(report.rows, 1);
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(text.contains("notes") && !text.contains("messages"));
    let stop = JsonExport::new().progress(|_| ControlFlow::Break(()));
    let cancelled = room.export_json_with(io::sink(), stop);
    assert!(matches!(cancelled, Err(ExportError::Cancelled)));
    let stop = JsonImport::new().progress(|_| ControlFlow::Break(()));
    let cancelled = empty().import_json_with(file.as_slice(), stop);
    assert!(matches!(cancelled, Err(JsonImportError::Cancelled)));
}

/// A reader that fails after its bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.0.read(bytes)
    }
}

#[test]
fn a_reader_that_fails_and_a_database_that_may_not_be_written_are_errors() {
    let (_, _, room) = room();
    push(&room, "hello");
    let file = lines(&room);
    let failed = empty().import_json(Broken(file.as_bytes())).unwrap_err();
    assert!(matches!(failed, JsonImportError::Read(_)), "{failed}");
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let private = empty();
    let mut archive = Vec::new();
    private.export_archive(&mut archive).unwrap();
    let closed = bob.import_archive(archive.as_slice()).unwrap().database;
    let failed = closed.import_json(file.as_bytes()).unwrap_err();
    assert!(matches!(failed, JsonImportError::Commit { line: 2, written: 0, .. }), "{failed}");
    assert!(texts(&closed).is_empty());
}

#[cfg(feature = "text")]
#[test]
fn texts_come_back_with_their_marks() {
    let (_instance, _user, database) = room();
    let long = "aé日😀 ".repeat(40_000);
    database
        .write(|tx| {
            tx.text("plain")?.insert(0, "hello")?;
            let mut rich = tx.text("rich")?;
            rich.insert(0, &long)?;
            rich.mark(0..4, "bold", &true)?;
            rich.mark(2..100_000, "size", &7)?;
            rich.mark(50_000..150_001, "link", "https://example.org")?;
            tx.text("empty")?.insert(0, "x")?;
            Ok(())
        })
        .unwrap();
    database.write(|tx| Ok(tx.text("empty")?.delete(0..1)?)).unwrap();
    let file = lines(&database);
    assert!(file.contains(r#""type":"text","key":0,"value":"hello""#));
    let rich = |database: &Database, name: &str| database.text(name).unwrap().rich().unwrap();

    // Into nothing, and into a text that has other words and marks.
    let copy = empty();
    for _ in 0..2 {
        copy.import_json(file.as_bytes()).unwrap();
        for name in ["plain", "rich", "empty"] {
            assert_eq!(rich(&copy, name), rich(&database, name));
        }
        copy.write(|tx| {
            tx.text("empty")?.insert(0, "full")?;
            tx.text("plain")?.insert(2, "other words")?;
            tx.text("plain")?.mark(0..16, "italic", &true)?;
            tx.text("rich")?.delete(3..150_000)?;
            Ok(tx.text("rich")?.mark(0..10, "bold", "very")?)
        })
        .unwrap();
    }

    // What is there can stay, also where the file goes on behind its end.
    let before = rich(&copy, "rich");
    let keep = JsonImport::new().existing(OnExisting::Keep);
    let report = copy.import_json_with(file.as_bytes(), keep).unwrap();
    assert_eq!((report.written, report.kept), (0, report.lines));
    assert_eq!(rich(&copy, "rich"), before);
}

#[cfg(feature = "text")]
#[test]
fn a_line_that_is_no_part_of_a_text_changes_nothing() {
    let database = empty();
    database.write(|tx| Ok(tx.text("note")?.insert(0, "as it was")?)).unwrap();
    let bad = [
        r#""key":-1,"value":"x""#,
        r#""key":"a","value":"x""#,
        r#""key":0,"value":7"#,
        r#""key":0,"value":[{"text":"x","marks":7}]"#,
        r#""key":0,"value":[{"text":"x","more":7}]"#,
        r#""key":0,"value":[{"marks":{"bold":true}}]"#,
        r#""key":0,"value":[{"text":"x"},{"text":"y","marks":{"bold":[1]}}]"#,
        r#""key":0,"value":[{"text":"x","marks":{"bold":null}}]"#,
        r#""key":0,"value":[{"text":"x","marks":{"":1}}]"#,
        r#""key":10,"value":"x""#,
    ];
    let long = format!(r#""key":0,"value":"{}""#, "x".repeat(2 << 20));
    let bad: Vec<&str> = bad.into_iter().chain([long.as_str()]).collect();
    let mut file = HEADER.to_owned();
    for line in &bad {
        file.push_str(&format!("{{\"store\":\"note\",\"type\":\"text\",{line}}}\n"));
    }
    let options = JsonImport::new().bad_lines(OnBadLine::Skip);
    let report = database.import_json_with(file.as_bytes(), options).unwrap();
    assert_eq!((report.bad, report.written), (bad.len() as u64, 0), "{report:?}");
    assert!(matches!(report.bad_lines[0].reason, BadLineReason::Text));
    assert_eq!(database.text("note").unwrap().read().unwrap(), "as it was");
}

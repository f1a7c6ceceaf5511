//! Indexes equal a full scan: under puts, edits, deletions and conflicts of two devices, whenever
//! they were declared, while they are built, after a restart and after state was made again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::cmp::Ordering;

use common::{DEADLINE, room};
use proptest::prelude::*;
use weald::{
    ByIndex, Database, DatabaseSettings, Index, IndexProgress, Instance, Key, Level, Query, Table,
    Value,
};

type Row = (Key, Value);
/// Kind, number, text.
type Rank = (u8, f64, String);
type Ranked = (Vec<Rank>, Row);

#[derive(Clone, Debug)]
enum Step {
    Put { who: usize, key: i64, row: Value },
    Edit { who: usize, key: i64, value: Value },
    RemoveField { who: usize, key: i64 },
    Delete { who: usize, key: i64 },
    Exchange,
    Declare { who: usize },
    Drop { who: usize },
    Rebuild { who: usize },
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0..4_i64).prop_map(Value::from),
        2 => (0..8_i32).prop_map(|halves| Value::F64(f64::from(halves) / 2.0)),
        3 => "[ab]{0,2}".prop_map(Value::Text),
        1 => Just(Value::Null),
        1 => Just(Value::List(Vec::new())),
    ]
}

fn row() -> impl Strategy<Value = Value> {
    let inner = prop::option::of(0..2_i64);
    (prop::option::of(value()), inner).prop_map(|(n, x)| {
        let inner = x.map(|x| ("x".to_owned(), Value::from(x))).into_iter().collect();
        let mut fields = vec![("m".to_owned(), Value::Map(inner))];
        fields.extend(n.map(|n| ("n".to_owned(), n)));
        Value::Map(fields.into_iter().collect())
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (who, key) = (0..2_usize, 0..6_i64);
    prop_oneof![
        8 => (who.clone(), key.clone(), row()).prop_map(|(who, key, row)| Step::Put { who, key, row }),
        6 => (who.clone(), key.clone(), value())
            .prop_map(|(who, key, value)| Step::Edit { who, key, value }),
        2 => (who.clone(), key.clone()).prop_map(|(who, key)| Step::RemoveField { who, key }),
        3 => (who.clone(), key).prop_map(|(who, key)| Step::Delete { who, key }),
        4 => Just(Step::Exchange),
        3 => who.clone().prop_map(|who| Step::Declare { who }),
        1 => who.clone().prop_map(|who| Step::Drop { who }),
        1 => who.prop_map(|who| Step::Rebuild { who }),
    ]
}

struct Site {
    instance: Instance,
    room: Database,
}

impl Site {
    fn table(&self) -> Table<Value> {
        self.room.table("t").unwrap()
    }

    fn take(&self, from: &Self) {
        let parcels = from.room.parcels(0, usize::MAX).unwrap();
        self.instance.ingest(from.instance.device_key(), from.room.id(), parcels).unwrap();
    }

    fn declare(&self) {
        let indexes = self.table().indexes();
        indexes.declare("n", Index::on(["n"])).unwrap();
        let both = Index::on(["m", "x"]).and(["n"]).including_missing();
        indexes.declare("xn", both).unwrap();
    }
}

fn two() -> [Site; 2] {
    let (instance, _, room) = room();
    let here = Site { instance, room };
    let instance = Instance::in_memory().unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    let parcels = here.room.parcels(0, usize::MAX).unwrap();
    instance.ingest(here.instance.device_key(), here.room.id(), parcels).unwrap();
    instance.mark_complete(here.room.id()).unwrap();
    let room = bob.open_database(&here.room.id()).unwrap();
    [here, Site { instance, room }]
}

fn run(sites: &[Site; 2], step: Step) {
    match step {
        Step::Put { who, key, row } => {
            let put =
                sites[who].room.write(|tx| Ok(tx.table("t")?.put(Key::Integer(key), &row)?));
            put.unwrap();
        }
        Step::Edit { who, key, value } => {
            // There may be no such row; the transaction is dropped then.
            drop(
                sites[who].room.write(|tx| {
                    Ok(tx.table::<Value>("t")?.edit(Key::Integer(key), "n", &value)?)
                }),
            );
        }
        Step::RemoveField { who, key } => {
            drop(
                sites[who].room.write(|tx| {
                    Ok(tx.table::<Value>("t")?.remove_field(Key::Integer(key), "n")?)
                }),
            );
        }
        Step::Delete { who, key } => {
            let room = &sites[who].room;
            room.write(|tx| Ok(tx.table::<Value>("t")?.delete(Key::Integer(key))?)).unwrap();
        }
        Step::Exchange => {
            sites[0].take(&sites[1]);
            sites[1].take(&sites[0]);
        }
        Step::Declare { who } => sites[who].declare(),
        Step::Drop { who } => {
            let indexes = sites[who].table().indexes();
            indexes.drop("n").unwrap();
            indexes.drop("xn").unwrap();
        }
        Step::Rebuild { who } => sites[who].instance.rebuild(sites[who].room.id()).unwrap(),
    }
}

/// Where a value stands: missing, null, numbers, texts; `None` for what is not indexed.
fn rank(value: Option<&Value>) -> Option<Rank> {
    Some(match value {
        None => (0, 0.0, String::new()),
        Some(Value::Null) => (1, 0.0, String::new()),
        Some(Value::U64(number)) => (2, *number as f64, String::new()),
        Some(Value::I64(number)) => (2, *number as f64, String::new()),
        Some(Value::F64(number)) => (2, *number, String::new()),
        Some(Value::Text(text)) => (3, 0.0, text.clone()),
        Some(_) => return None,
    })
}

/// What a scan of all rows gives in the order of some fields.
fn scanned(table: &Table<Value>, fields: &[&[&str]], missing: bool) -> Vec<Ranked> {
    let mut all = Vec::new();
    for row in table.rows() {
        let (key, row) = row.unwrap();
        let field = |path: &&[&str]| rank(path.iter().try_fold(&row, |row, name| row.get(name)));
        let Some(ranks) = fields.iter().map(field).collect::<Option<Vec<_>>>() else { continue };
        if missing || ranks.iter().all(|rank| rank.0 > 0) {
            all.push((ranks, (key, row)));
        }
    }
    // Rows come by key, and the sort is stable.
    all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
    all
}

fn found(query: &Query<Row, ByIndex>) -> Vec<Row> {
    let rows: Vec<Row> = query.rows().map(Result::unwrap).collect();
    let mut reversed: Vec<Row> = query.clone().reverse().rows().map(Result::unwrap).collect();
    reversed.reverse();
    assert_eq!(rows, reversed);
    assert_eq!(query.count().unwrap(), rows.len() as u64);
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let page = query.page(2, cursor.as_ref()).unwrap();
        paged.extend(page.rows);
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    assert_eq!(rows, paged);
    rows
}

/// Compares the indexes, if they are declared, with a scan.
fn compare(site: &Site) {
    let table = site.table();
    if table.indexes().get("n").is_err() {
        return;
    }
    let all = scanned(&table, &[&["n"]], false);
    let expect = |query: Query<Row, ByIndex>, asked: &dyn Fn(&Rank) -> bool| {
        let rows = all.iter().filter(|(ranks, _)| asked(&ranks[0]));
        assert_eq!(found(&query), rows.map(|(_, row)| row.clone()).collect::<Vec<_>>());
    };
    let by_n = || table.query().index("n");
    expect(by_n(), &|_| true);
    expect(by_n().range(1..3), &|(kind, n, _)| *kind == 2 && (1.0..3.0).contains(n));
    expect(by_n().range(..=2), &|(kind, n, _)| *kind == 2 && *n <= 2.0);
    expect(by_n().equal(2), &|(kind, n, _)| *kind == 2 && *n == 2.0);
    expect(by_n().prefix("a"), &|(kind, _, text)| *kind == 3 && text.starts_with('a'));
    expect(by_n().range("a".."b"), &|(kind, _, text)| *kind == 3 && ("a".."b").contains(&&**text));
    let both = scanned(&table, &[&["m", "x"], &["n"]], true);
    let rows = |asked: &dyn Fn(&[Rank]) -> bool| -> Vec<Row> {
        both.iter().filter(|(ranks, _)| asked(ranks)).map(|(_, row)| row.clone()).collect()
    };
    let by_both = || table.query().index("xn");
    assert_eq!(found(&by_both()), rows(&|_| true));
    assert_eq!(found(&by_both().equal(1)), rows(&|ranks| ranks[0].0 == 2 && ranks[0].1 == 1.0));
    let within = by_both().equal(0).range(1..);
    let asked = |ranks: &[Rank]| {
        ranks[0].0 == 2 && ranks[0].1 == 0.0 && ranks[1].0 == 2 && ranks[1].1 >= 1.0
    };
    assert_eq!(found(&within), rows(&asked));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn indexes_equal_a_full_scan(
        steps in prop::collection::vec(step(), 1..24), look in any::<prop::sample::Index>(),
    ) {
        let sites = two();
        let look = look.index(steps.len());
        for (place, step) in steps.into_iter().enumerate() {
            run(&sites, step);
            if place == look {
                sites.iter().for_each(compare);
            }
        }
        run(&sites, Step::Exchange);
        for site in &sites {
            site.declare();
            for index in site.table().indexes().list().unwrap() {
                prop_assert!(index.wait_ready(DEADLINE).unwrap());
            }
            compare(site);
        }
        let digests = sites.each_ref().map(|site| site.room.state_digest().unwrap());
        prop_assert_eq!(digests[0], digests[1]);
    }
}

fn fill(room: &Database, rows: std::ops::Range<i64>) {
    room.write(|tx| {
        let mut table = tx.table("t")?;
        for number in rows {
            table
                .put(Key::Integer(number), &Value::from([("n", Value::from(number * 7 % 100))]))?;
        }
        Ok(())
    })
    .unwrap();
}

fn by_n(room: &Database) -> Vec<Row> {
    room.table::<Value>("t").unwrap().query().index("n").rows().map(Result::unwrap).collect()
}

fn by_scan(room: &Database) -> Vec<Row> {
    let table = room.table("t").unwrap();
    scanned(&table, &[&["n"]], false).into_iter().map(|(_, row)| row).collect()
}

#[test]
fn an_index_is_built_in_steps_between_commits() {
    let (_instance, _, room) = room();
    (0..3).for_each(|part| fill(&room, part * 1_200..(part + 1) * 1_200));
    let table = room.table::<Value>("t").unwrap();
    let index = table.indexes().declare("n", Index::on(["n"])).unwrap();
    let early: IndexProgress = index.progress().unwrap();
    assert!(early.done <= early.total, "{early:?}");
    // Rows on both sides of where the building is are changed meanwhile.
    room.write(|tx| {
        let mut table = tx.table::<Value>("t")?;
        table.edit(Key::Integer(0), "n", &1_000)?;
        table.edit(Key::Integer(3_599), "n", &-1)?;
        table.delete(Key::Integer(1_800))?;
        Ok(())
    })
    .unwrap();
    let rows = by_n(&room);
    assert_eq!((&rows[0].0, rows.len()), (&Key::Integer(3_599), 3_599));
    assert!(index.wait_ready(DEADLINE).unwrap());
    assert!(by_n(&room) == by_scan(&room));
    let ready = index.progress().unwrap();
    assert!(ready.is_ready && ready.done >= 3_599, "{ready:?}");
}

#[test]
fn building_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let id = {
        let instance = Instance::open(directory.path()).unwrap();
        let user = instance.create_user("alice", None).unwrap();
        let settings = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
        let room = user.create_database(settings).unwrap();
        (0..3).for_each(|part| fill(&room, part * 1_200..(part + 1) * 1_200));
        let table = room.table::<Value>("t").unwrap();
        table.indexes().declare("n", Index::on(["n"])).unwrap();
        table.indexes().declare("gone", Index::on(["n"])).unwrap();
        assert!(table.indexes().drop("gone").unwrap());
        // What is queued is done, and no next step begins.
        instance.close();
        room.id()
    };
    let instance = Instance::open(directory.path()).unwrap();
    let user = instance.login_user("alice", None).unwrap();
    let room = user.open_database(&id).unwrap();
    let indexes = room.table::<Value>("t").unwrap().indexes();
    assert!(indexes.get("n").unwrap().wait_ready(DEADLINE).unwrap());
    assert!(by_n(&room) == by_scan(&room));
    assert_eq!(indexes.list().unwrap().len(), 1);
}

#[test]
fn a_version_of_the_past_is_asked_by_index_as_it_was() {
    let (_instance, _, room) = room();
    fill(&room, 0..20);
    let table = room.table::<Value>("t").unwrap();
    table.indexes().declare("n", Index::on(["n"])).unwrap().wait_ready(DEADLINE).unwrap();
    let (before, tips) = (by_n(&room), room.tips().unwrap());
    room.write(|tx| {
        let mut table = tx.table::<Value>("t")?;
        table.delete(Key::Integer(3))?;
        Ok(table.edit(Key::Integer(4), "n", &-5)?)
    })
    .unwrap();
    assert!(by_n(&room) == by_scan(&room));
    let past = room.at(&tips).unwrap().table::<Value>("t").unwrap();
    let then: Vec<Row> = past.query().index("n").rows().map(Result::unwrap).collect();
    assert_eq!(then, before);
    assert_eq!(past.query().index("n").equal(-5).count().unwrap(), 0);
}

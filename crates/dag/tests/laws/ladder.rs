//! The ladder against plain sums: whatever comes and goes in whatever groups, and however often it is
//! read back, buckets hold what is needed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

use proptest::prelude::*;
use weald_dag::{
    EntryId, Graph, Head, KeyRange, Ladder, Local, MemoryStore, Number, Order, Overlay, Parcel,
    RUNG_GENERATIONS, RUNGS_MAX, Rung, Snapshot, Space, Standing, Store, StoreError, Sums, Time,
    append, index,
};

use crate::make::{root, signed};

const DATABASE: u32 = 7;
const LADDER: Space = Space::new("ladder", DATABASE);

fn id(n: u64) -> EntryId {
    EntryId::from_bytes(*blake3::hash(&n.to_be_bytes()).as_bytes())
}

/// Rows with nothing but a ladder and an entry that carries the head.
struct Rows {
    rows: Overlay,
    ladder: Ladder,
    /// The generation of each needed entry.
    needed: BTreeMap<u64, u64>,
    parcel: Parcel,
}

impl Rows {
    fn new() -> Self {
        let rows = Overlay::new(MemoryStore::new().snapshot().unwrap());
        let ladder = Ladder::new(DATABASE, &Head::default());
        let parcel = signed(root(), Vec::new()).into_parcel();
        Self { rows, ladder, needed: BTreeMap::new(), parcel }
    }

    fn add(&mut self, n: u64, generation: u64) {
        if let Entry::Vacant(place) = self.needed.entry(n) {
            place.insert(generation);
            self.ladder.add(&self.rows, generation, &id(n)).unwrap();
        }
    }

    fn take(&mut self, n: u64) {
        if let Some(generation) = self.needed.remove(&n) {
            self.ladder.take(&self.rows, generation, &id(n)).unwrap();
        }
    }

    fn greatest(&self) -> u64 {
        self.needed.values().max().copied().unwrap_or(0)
    }

    fn finish(&mut self) {
        let generation = self.greatest();
        self.ladder.lower(&self.rows, generation).unwrap();
        let open = self.ladder.save(&mut self.rows, generation);
        let needed = self.needed.len() as u64;
        let head = Head { tips: Vec::new(), clock: Time::ZERO, needed, generation, open };
        let standing = Standing::Visible;
        let parents = Vec::new();
        let local = Local { standing, generation, epoch: 0, parents, head: Some(head) };
        append(&mut self.rows, DATABASE, Number(0), &local, &self.parcel);
    }

    fn graph(&self) -> Graph<'_> {
        Graph::new(&self.rows, DATABASE)
    }

    fn restart(&mut self) {
        let head = self.graph().head().unwrap().unwrap().1;
        self.ladder = Ladder::new(DATABASE, &head);
    }

    fn below(&self, end: u64) -> Sums {
        let mut sums = Sums::default();
        let below = self.needed.iter().filter(|(_, generation)| **generation < end);
        below.for_each(|(n, _)| sums.add(&id(*n)));
        sums
    }

    fn assert_sums(&self) {
        let mut expected: BTreeMap<u64, Sums> = BTreeMap::new();
        for (n, generation) in &self.needed {
            let first = generation / RUNG_GENERATIONS * RUNG_GENERATIONS;
            expected.entry(first).or_default().add(&id(*n));
        }
        assert_eq!(self.graph().buckets().unwrap(), expected);
        let greatest = self.greatest();
        let asked = [greatest + 1, 0, 300, 2 * RUNG_GENERATIONS, greatest, u64::MAX, 512];
        let first = |generation| generation / RUNG_GENERATIONS * RUNG_GENERATIONS;
        let end = |asked| if asked > greatest { u64::MAX } else { first(asked) };
        let expected = asked.map(|asked| self.below(end(asked)));
        assert_eq!(self.graph().below(&asked).unwrap(), expected);
        self.assert_ladder();
    }

    fn assert_ladder(&self) {
        let ladder = self.graph().ladder().unwrap();
        assert!(ladder.len() <= RUNGS_MAX);
        let open = self.greatest() / RUNG_GENERATIONS * RUNG_GENERATIONS;
        assert_eq!(ladder.first().map(|rung| rung.generation), (open > 0).then_some(open));
        assert!(ladder.windows(2).all(|two| two[0].generation > two[1].generation));
        for Rung { generation, below } in ladder {
            assert_eq!(generation % RUNG_GENERATIONS, 0);
            assert_eq!(below, self.below(generation));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u64),
    Take(u64),
    /// Takes away all that is above a generation.
    Cut(u64),
    Finish,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let generation = || prop_oneof![0_u64..600, 0_u64..20_000];
    prop_oneof![
        8 => (0_u64..40, generation()).prop_map(|(n, generation)| Step::Add(n, generation)),
        4 => (0_u64..40).prop_map(Step::Take),
        1 => generation().prop_map(Step::Cut),
        4 => Just(Step::Finish),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn buckets_hold_what_is_needed_whatever_comes_and_goes(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut rows = Rows::new();
        rows.finish();
        for step in steps {
            match step {
                Step::Add(n, generation) => rows.add(n, generation),
                Step::Take(n) => rows.take(n),
                Step::Cut(end) => {
                    let all = rows.needed.iter().filter(|(_, generation)| **generation >= end);
                    let all: Vec<u64> = all.map(|(n, _)| *n).collect();
                    all.into_iter().for_each(|n| rows.take(n));
                }
                Step::Finish => {
                    rows.finish();
                    rows.assert_sums();
                }
                Step::Restart => {
                    rows.finish();
                    rows.restart();
                }
            }
        }
        rows.finish();
        rows.assert_sums();
    }
}

fn bucket_rows(rows: &Overlay) -> usize {
    let mut count = 0;
    rows.range(LADDER, KeyRange::all(), Order::Ascending, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    count
}

#[test]
fn entries_on_top_of_each_other_leave_one_row_for_each_bucket() {
    let mut rows = Rows::new();
    for generation in 0..3 * RUNG_GENERATIONS {
        rows.add(generation, generation);
        rows.finish();
        let closed = usize::try_from(generation / RUNG_GENERATIONS).unwrap();
        assert_eq!(bucket_rows(&rows.rows), closed);
    }
    rows.assert_sums();
}

#[test]
fn the_ladder_of_a_long_history_is_short() {
    let mut rows = Rows::new();
    for n in 0..4_000 {
        rows.add(n, n * RUNG_GENERATIONS);
    }
    rows.finish();
    let ladder = rows.graph().ladder().unwrap();
    assert!((20..40).contains(&ladder.len()), "{}", ladder.len());
    let least = ladder.last().unwrap().generation;
    assert!(least < 4_000 * RUNG_GENERATIONS / 3);

    rows.add(4_000, 1 << 50);
    rows.finish();
    assert_eq!(rows.graph().ladder().unwrap().len(), RUNGS_MAX);
}

#[test]
fn a_damaged_bucket_is_told() {
    let mut rows = Rows::new();
    rows.add(1, 0);
    rows.add(2, 1_000);
    rows.finish();
    let first = 0_u64.to_be_bytes();
    let row = rows.rows.get(LADDER, &first).unwrap().unwrap();
    let open = 3_u64.to_be_bytes();
    let empty = [0; 9];
    let damages: [(&[u8], &[u8]); 5] = [
        (&first, &row[..row.len() - 1]),
        (&first, &empty),
        (&first, &[row.as_slice(), &[0]].concat()),
        (&open, &row),
        (&[1], &row),
    ];
    for (key, damaged) in damages {
        rows.rows.put(LADDER, key, damaged);
        assert!(matches!(rows.graph().below(&[]), Err(StoreError::Corrupt { .. })));
        rows.rows.remove(LADDER, key);
        rows.rows.put(LADDER, first, row.clone());
        rows.assert_sums();
    }
}

#[test]
fn the_ids_of_what_is_needed_are_visited_and_no_others() {
    let mut rows = Overlay::new(MemoryStore::new().snapshot().unwrap());
    let parcel = signed(root(), Vec::new()).into_parcel();
    let mut put = |number: u64, standing: Standing, needed: u64| {
        let head = Some(Head { needed, ..Head::default() });
        let local = Local { standing, generation: 0, epoch: 0, parents: Vec::new(), head };
        append(&mut rows, DATABASE, Number(number), &local, &parcel);
        index(&mut rows, DATABASE, &id(number), Number(number));
        let mut seen = BTreeMap::new();
        Graph::new(&rows, DATABASE)
            .each_needed_id(&mut |number, id| {
                seen.insert(number, id);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(seen.iter().all(|(number, seen)| *seen == id(number.0)));
        seen.into_keys().map(|number| number.0).collect::<Vec<_>>()
    };
    assert_eq!(put(0, Standing::Visible, 1), [0]);
    assert_eq!(put(1, Standing::HiddenNeeded, 2), [0, 1]);
    assert_eq!(put(2, Standing::Hidden, 2), [0, 1]);
    assert_eq!(put(4, Standing::Visible, 3), [0, 1, 4]);
}

//! An app's own store type: the laws, transactions, replicas, watches, builds without the type.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod top_ten;

use common::{DEADLINE, message, push};
use proptest::prelude::*;
use top_ten::{Score, TopTen, score, top};
use weald::own::{MemoryView, OwnDraft, laws};
use weald::{
    Database, DatabaseSettings, DraftError, Event, Filter, Instance, Level, OpenError, ReadError,
    RowKey, StoreNameError, User, Value, WriteError,
};

const NAME: &str = "scores";
const ALL: usize = usize::MAX;

fn instance(name: &str) -> (Instance, User) {
    let instance = Instance::in_memory_builder().store_type(TopTen).open().unwrap();
    let user = instance.create_user(name, None).unwrap();
    (instance, user)
}

fn board() -> (Instance, Database) {
    let (instance, user) = instance("alice");
    let settings = DatabaseSettings::named("Game").grant_anyone(Level::Write(10));
    (instance, user.create_database(settings).unwrap())
}

fn play(database: &Database, scores: &[Score]) {
    database.write(|tx| Ok(tx.own(NAME, TopTen::NAME)?.extend(scores)?)).unwrap();
}

fn shown(database: &Database) -> Vec<u32> {
    let view = database.own(NAME, TopTen::NAME).unwrap().view().unwrap();
    top(&view).unwrap().into_iter().map(|score| score.points).collect()
}

fn copy(from: &Database, of: &Instance, to: &Instance) {
    let parcels = from.parcels(0, ALL).unwrap();
    to.ingest(of.device_key(), from.id(), parcels).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_board_keeps_the_laws(sections in proptest::collection::vec(proptest::collection::vec(0..40_u32, 1..8), 0..6), bad in any::<bool>()) {
        let mut payloads: Vec<Vec<u8>> = sections.iter().map(|points| {
            let mut draft = OwnDraft::new(TopTen::NAME, 1);
            for points in points {
                draft.push(&Value::from_serde(&score("somebody", *points)).unwrap()).unwrap();
            }
            draft.encode()
        }).collect();
        if bad {
            let mut draft = OwnDraft::new(TopTen::NAME, 1);
            draft.push(&Value::from("no score")).unwrap();
            payloads.push(draft.encode());
        }
        laws::store_type_laws(|| TopTen, &laws::stamped(payloads));
    }
}

#[test]
fn reads_inside_see_own_operations_and_a_refused_one_leaves_no_trace() {
    let (_instance, game) = board();
    play(&game, &[score("ann", 5)]);
    let committed = game.write(|tx| {
        let mut scores = tx.own(NAME, TopTen::NAME)?;
        scores.push(&score("bea", 9))?;
        assert_eq!(top(&scores.view())?, [score("bea", 9), score("ann", 5)]);
        let refused = scores.push("no score");
        assert!(matches!(refused, Err(WriteError::Draft(DraftError::Limit(_)))), "{refused:?}");
        let refused = scores.extend([Value::F64(f64::NAN)]);
        assert!(matches!(refused, Err(WriteError::Value(_))), "{refused:?}");
        scores.push(&score("cid", 7))?;
        assert_eq!(top(&scores.view())?.len(), 3);
        tx.log("messages")?.push(&message("played"))?;
        Ok(())
    });
    assert!(committed.unwrap().id.is_some());
    assert_eq!(shown(&game), [9, 7, 5]);
    let nothing = game.write(|tx| Ok(tx.own(NAME, TopTen::NAME)?.extend([] as [Score; 0])?));
    assert_eq!(nothing.unwrap().id, None);
}

#[test]
fn replicas_converge_and_watches_tell() {
    let (here, game) = board();
    let (there, bob) = instance("bob");
    copy(&game, &here, &there);
    there.mark_complete(game.id()).unwrap();
    let his = bob.open_database(&game.id()).unwrap();
    for round in 0..8 {
        play(&game, &[score("alice", round * 3), score("alice", 50 - round)]);
        play(&his, &[score("bob", round * 5)]);
    }
    let mut watch = his.watch(Filter::all());
    copy(&game, &here, &there);
    copy(&his, &there, &here);
    assert_eq!(shown(&game), shown(&his));
    assert_eq!(shown(&game)[..3], [50, 49, 48]);
    assert_eq!(shown(&game).len(), top_ten::PLACES);
    assert_eq!(game.state_digest().unwrap(), his.state_digest().unwrap());
    assert!(here.verify().unwrap().is_sound() && there.verify().unwrap().is_sound());
    here.rebuild(game.id()).unwrap();
    assert_eq!(game.state_digest().unwrap(), his.state_digest().unwrap());
    let event = watch.recv_timeout(DEADLINE).unwrap();
    let Event::Changed { store, key, .. } = event else { panic!("{event:?}") };
    assert_eq!(store, NAME);
    assert!(matches!(key, RowKey::Other(_)));
}

#[test]
fn what_was_pushed_out_is_there_in_the_past() {
    let (_instance, game) = board();
    play(&game, &[score("ann", 5), score("bea", 9)]);
    let early = game.tips().unwrap();
    let better: Vec<Score> = (10..30).map(|points| score("cid", points)).collect();
    play(&game, &better);
    assert_eq!(shown(&game), (20..30).rev().collect::<Vec<_>>());
    let past = game.at(&early).unwrap().own(NAME, TopTen::NAME).unwrap().view().unwrap();
    assert_eq!(top(&past).unwrap(), [score("bea", 9), score("ann", 5)]);
    let names: Vec<_> = game.stores().unwrap().into_iter().map(|store| store.type_name).collect();
    assert_eq!(names, [TopTen::NAME]);
}

#[test]
fn a_program_without_the_type_keeps_what_one_with_it_folds_later() {
    let directory = tempfile::tempdir().unwrap();
    let (here, game) = board();
    play(&game, &[score("ann", 5), score("bea", 9)]);
    push(&game, "hello");
    {
        let old = Instance::open(directory.path()).unwrap();
        let bob = old.create_user("bob", None).unwrap();
        copy(&game, &here, &old);
        old.mark_complete(game.id()).unwrap();
        let his = bob.open_database(&game.id()).unwrap();
        assert_eq!(common::texts(&his), ["hello"]);
        let unknown = his.own(NAME, TopTen::NAME).map(drop);
        let Err(ReadError::Name(StoreNameError::UnknownType { type_name })) = unknown else {
            panic!("{unknown:?}")
        };
        assert_eq!(type_name, TopTen::NAME);
        assert!(matches!(his.begin().unwrap().own(NAME, "top-ten"), Err(WriteError::Name(_))));
    }
    let new = Instance::builder(directory.path()).store_type(TopTen).open().unwrap();
    let bob = new.login_user("bob", None).unwrap();
    let his = bob.open_database(&game.id()).unwrap();
    // Commits come after what waited was folded.
    push(&his, "hello to you");
    assert_eq!(shown(&his), [9, 5]);
}

#[test]
fn names_of_stores_and_types_clash_with_typed_errors() {
    let (_instance, game) = board();
    play(&game, &[score("ann", 5)]);
    push(&game, "hello");
    let clash = game.log::<u8>(NAME).map(drop);
    let Err(ReadError::Name(StoreNameError::OtherType { found, wanted, .. })) = clash else {
        panic!("{clash:?}")
    };
    assert_eq!((found.as_str(), wanted), (TopTen::NAME, "log"));
    assert!(matches!(game.own("messages", TopTen::NAME), Err(ReadError::Name(_))));
    let mut tx = game.begin().unwrap();
    tx.own("new", TopTen::NAME).unwrap().push(&score("ann", 1)).unwrap();
    assert!(matches!(tx.table::<u8>("new"), Err(WriteError::Name(_))));
    assert!(tx.own("new", TopTen::NAME).is_ok());
    // Built-in types have an API of their own.
    assert!(matches!(game.own("messages", "log"), Err(ReadError::Name(_))));
    let twice = Instance::in_memory_builder().store_type(TopTen).store_type(TopTen).open();
    assert!(matches!(twice, Err(OpenError::StoreType { name: "top-ten" })));
    struct Table;
    impl weald::own::StoreType for Table {
        fn name(&self) -> &'static str {
            "table"
        }
        fn check(&self, _: &[u8]) -> Result<(), weald::own::Void> {
            Ok(())
        }
        fn apply(
            &self,
            _: &[u8],
            _: &weald::own::EntryStamp,
            _: &mut dyn weald::own::ViewMut,
            _: &mut Vec<weald::own::Change>,
        ) -> Result<(), weald::own::ApplyError> {
            Ok(())
        }
    }
    let taken = Instance::in_memory_builder().store_type(Table).open();
    assert!(matches!(taken, Err(OpenError::StoreType { name: "table" })));
    assert_eq!(MemoryView::new().rows().count(), 0);
}

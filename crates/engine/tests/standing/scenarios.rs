//! What the law says, case by case.

use weald_auth::{AuthRefusal, Level};
use weald_dag::{Graph, Standing};
use weald_engine::{Commit, CommitError, load_authority, why_hidden};

use crate::site::{Site, key};
use crate::world::{Act, World, grant, limit};

fn revoke(on: u8) -> Act {
    Act::Settings(vec![limit(on, None)])
}

fn why(world: &World, entry: weald_dag::EntryId) -> Option<AuthRefusal> {
    let (snapshot, number) = (world.site.store.snapshot().unwrap(), world.site.number(world.id));
    let authority = load_authority(&*snapshot, number).unwrap();
    why_hidden(&*snapshot, number, &authority, &entry).unwrap()
}

#[test]
fn what_a_revoked_writer_backdates_is_hidden_and_what_was_seen_stays() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    let seen = world.add(&[root], 2, &Act::Table(1)).unwrap();
    let limit = world.add(&[seen], 1, &revoke(2)).unwrap();
    let back = world.add(&[root], 2, &Act::Table(2)).unwrap();
    assert!(world.add(&[limit], 2, &Act::Table(3)).is_none());
    assert_eq!(world.hidden(), [back].into());
    assert_eq!(world.tips(), [limit]);
    assert!(matches!(why(&world, back), Some(AuthRefusal::Limited { by, .. }) if by == limit));
    assert_eq!(why(&world, seen), None);
    world.site.restart();
    let later = world.add(&[limit], 1, &Act::Table(4)).unwrap();
    assert_eq!(world.tips(), [later]);
    world.site.assert_sound(world.id);
}

#[test]
fn a_revocation_takes_back_what_was_written_beside_it_and_tells_of_it() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    let mut parent = root;
    let before = world.site.digest(world.id);
    for n in 0..200 {
        parent = world.add(&[parent], 2, &Act::Many(n % 30)).unwrap();
    }
    world.site.restart();
    let limit = world.add(&[root], 1, &revoke(2)).unwrap();
    let shift = world.shifts.pop().unwrap();
    assert_eq!((shift.appeared, shift.vanished), (0, 200));
    assert_eq!(shift.authors, [key(2).public()].into());
    assert!(shift.changes.len() > 200);
    assert_eq!(world.tips(), [limit]);
    assert_eq!(world.site.head(world.id).needed, 2);
    assert_eq!(world.site.digest(world.id), before);
    world.site.assert_sound(world.id);
}

#[test]
fn who_outranks_the_limiter_undoes_its_limit_and_all_comes_back() {
    let mut world = World::new(vec![grant(2, Level::Admin(1)), grant(3, Level::Write(5))]);
    let root = world.root();
    let mine = world.add(&[root], 3, &Act::Many(1)).unwrap();
    let next = world.add(&[mine], 3, &Act::Tally).unwrap();
    let before = world.site.digest(world.id);
    let limited = world.add(&[root], 2, &revoke(3)).unwrap();
    assert_eq!(world.hidden(), [mine, next].into());
    let undone = world.add(&[root], 1, &revoke(2)).unwrap();
    assert_eq!(world.hidden(), [limited].into());
    let shift = world.shifts.pop().unwrap();
    assert_eq!((shift.appeared, shift.vanished), (2, 1));
    assert_eq!(world.site.tips(world.id), [next, undone].into());
    assert_eq!(world.site.digest(world.id), before);
    world.site.assert_sound(world.id);
}

#[test]
fn hidden_parents_of_a_visible_merge_are_needed_and_never_tips() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    let limit = world.add(&[root], 1, &revoke(2)).unwrap();
    let first = world.add(&[root], 2, &Act::Table(1)).unwrap();
    let second = world.add(&[first], 2, &Act::Table(1)).unwrap();
    assert_eq!(world.site.head(world.id).needed, 2);
    assert_eq!(world.site.standings(world.id)[&second], Standing::Hidden);
    // Somebody else has written on it, without knowing of the limit.
    world.site.restart();
    let merge = world.add(&[second], 1, &Act::Table(2)).unwrap();
    let standings = world.site.standings(world.id);
    assert_eq!(standings[&first], Standing::HiddenNeeded);
    assert_eq!(standings[&second], Standing::HiddenNeeded);
    assert_eq!(world.site.tips(world.id), [limit, merge].into());
    assert_eq!(world.site.head(world.id).needed, 5);
    world.site.assert_sound(world.id);
}

#[test]
fn a_commit_after_a_revocation_stands_on_what_is_visible() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    for n in 0..3 {
        world.add(&[root], 2, &Act::Log(n)).unwrap();
    }
    world.add(&[root], 1, &revoke(2)).unwrap();
    let database = world.site.number(world.id);
    let commit = |author| Commit {
        database,
        key: key(author),
        sections: vec![("tally".into(), weald_crdt::OwnDraft::new("tally", 1).encode())],
        required: Vec::new(),
    };
    let mut done = world.site.commit(vec![commit(1), commit(2), commit(1)]);
    assert!(matches!(done.remove(1), Err(CommitError::NotPermitted { .. })));
    assert_eq!(world.site.tips(world.id), [done[1].as_ref().unwrap().id].into());
    assert_eq!(world.site.head(world.id).needed, 4);
    world.site.assert_sound(world.id);
}

#[test]
fn nothing_is_committed_that_would_be_hidden() {
    // More tips than parents: the limit is not before what is written.
    let mut world = World::new(vec![grant(2, Level::Admin(1)), grant(0, Level::Write(9))]);
    let root = world.root();
    for n in 0..40 {
        world.add(&[root], 1, &Act::Log(n)).unwrap();
    }
    let limit = world.add(&[root], 1, &revoke(2)).unwrap();
    let database = world.site.number(world.id);
    let settings = |author| Commit {
        database,
        key: key(author),
        sections: vec![("_settings".into(), crate::world::encoded(&[grant(3, Level::Write(9))]))],
        required: Vec::new(),
    };
    let (before, rows) = (world.site.head(world.id), world.site.listed("entries", world.id).len());
    let refused = world.site.commit(vec![settings(2)]).pop().unwrap();
    assert!(matches!(refused, Err(CommitError::NotPermitted { .. })), "{refused:?}");
    assert_eq!(world.site.head(world.id), before);
    assert_eq!(world.site.listed("entries", world.id).len(), rows);
    let done = world.site.commit(vec![settings(1)]).pop().unwrap().unwrap();
    let snapshot = world.site.store.snapshot().unwrap();
    let graph = Graph::new(&*snapshot, database);
    let limit = graph.number(&limit).unwrap().unwrap();
    assert!(graph.reaches(done.number, limit).unwrap());
    world.site.assert_sound(world.id);
}

#[test]
fn settings_of_who_was_revoked_fall_with_what_they_gave() {
    let mut world = World::new(vec![grant(2, Level::Admin(1))]);
    let root = world.root();
    let gave = world.add(&[root], 2, &Act::Settings(vec![grant(3, Level::Write(4))])).unwrap();
    let used = world.add(&[gave], 3, &Act::Doc(1)).unwrap();
    let limit = world.add(&[root], 1, &revoke(2)).unwrap();
    assert_eq!(world.hidden(), [gave, used].into());
    assert!(why(&world, gave).is_some() && why(&world, used).is_some());
    assert_eq!(world.tips(), [limit]);
    // One batch, in one group, on a site that has nothing yet.
    let mut other = Site::new();
    other.ingest(world.id, world.pool.clone());
    assert_eq!(other.needed(world.id), world.site.needed(world.id));
    other.assert_sound(world.id);
}

#[test]
fn damage_to_a_standing_is_found_and_the_entry_is_named() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    world.add(&[root], 1, &revoke(2)).unwrap();
    let back = world.add(&[root], 2, &Act::Table(2)).unwrap();
    world.add(&[back], 1, &Act::Table(3)).unwrap();
    world.site.assert_sound(world.id);
    for standing in [Standing::Visible, Standing::Hidden] {
        let mut rows = world.site.rows();
        let database = world.site.number(world.id);
        let number = Graph::new(&rows, database).number(&back).unwrap().unwrap();
        weald_dag::restand(&mut rows, database, number, standing).unwrap();
        world.site.apply(rows);
        let findings = world.site.findings(world.id);
        assert!(findings.iter().any(|found| found.contains(&format!("{back:?}"))), "{findings:?}");
    }
}

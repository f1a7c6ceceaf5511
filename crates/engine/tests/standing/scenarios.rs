//! What the law says, case by case.

use weald_auth::{AuthRefusal, Level};
use weald_dag::{Graph, Standing, Verdict};
use weald_engine::{
    Commit, CommitError, Engine, HiddenMax, StoreTypes, has_unfolded, load_authority, why_hidden,
};

use crate::site::{NOW, Site, key};
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
fn of_too_many_tips_those_after_the_newest_settings_are_parents() {
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
    // Settings that are hidden are not what one stands on.
    let hidden = world.add(&[root], 2, &Act::Settings(vec![grant(3, Level::Read)])).unwrap();
    assert!(world.hidden().contains(&hidden));
    let done = world.site.commit(vec![settings(1)]).pop().unwrap().unwrap();
    let snapshot = world.site.store.snapshot().unwrap();
    let graph = Graph::new(&*snapshot, database);
    let limit = graph.number(&limit).unwrap().unwrap();
    assert!(graph.reaches(done.number, limit).unwrap());
    world.site.assert_sound(world.id);
}

#[test]
fn nothing_is_committed_that_would_be_hidden() {
    let mut world = World::new(vec![grant(2, Level::Admin(1)), grant(3, Level::Write(9))]);
    let root = world.root();
    let limits = vec![limit(2, None), limit(3, None)];
    let limit = world.add(&[root], 1, &Act::Settings(limits)).unwrap();
    // More tips with settings than parents: the limit is not before what is written.
    for n in 0..40 {
        let named = vec![grant(4, Level::Write(20 + n))];
        world.add(&[root], 1, &Act::Settings(named)).unwrap();
    }
    let database = world.site.number(world.id);
    let commit = |author, name: &str, payload| Commit {
        database,
        key: key(author),
        sections: vec![(name.into(), payload)],
        required: Vec::new(),
    };
    let settings = crate::world::encoded(&[grant(5, Level::Write(9))]);
    let data = weald_crdt::OwnDraft::new("tally", 1).encode();
    let both = [commit(2, "_settings", settings.clone()), commit(3, "tally", data.clone())];
    let spaces = ["entries", "ids", "settings", "epochs", "hidden", "state"];
    let before = spaces.map(|name| world.site.listed(name, world.id));
    for commit in both {
        let refused = world.site.commit(vec![commit]).pop().unwrap();
        let Err(CommitError::NotPermitted { reason }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains(&*limit.short()), "{reason}");
        assert_eq!(spaces.map(|name| world.site.listed(name, world.id)), before);
    }
    for commit in [commit(1, "_settings", settings), commit(1, "tally", data)] {
        let made = world.site.commit(vec![commit]).pop().unwrap().unwrap();
        assert_eq!(made.standing, Standing::Visible);
    }
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

#[test]
fn of_what_nobody_needs_no_more_is_kept_than_there_is_room_for() {
    let mut world = World::new(vec![grant(2, Level::Admin(1)), grant(3, Level::Write(5))]);
    let root = world.root();
    let limit =
        world.add(&[root], 1, &Act::Settings(vec![limit(2, None), limit(3, None)])).unwrap();
    let mut site = Site::new();
    site.ingest(world.id, world.pool.clone());
    site.engine.keep_hidden(HiddenMax { entries: 2, bytes: 10_000 });
    let known = world.pool.len();
    let first = world.add(&[root], 3, &Act::Log(1)).unwrap();
    world.add(&[first], 3, &Act::Log(2)).unwrap();
    let over = world.add(&[root], 3, &Act::Log(3)).unwrap();
    world.add(&[over], 3, &Act::Log(3)).unwrap();
    world.add(&[root], 2, &Act::Settings(vec![grant(4, Level::Read)])).unwrap();
    world.add(&[limit], 1, &Act::Log(4)).unwrap();
    let verdicts = site.ingest(world.id, world.pool[known..].to_vec()).verdicts;
    let verdicts: Vec<_> = verdicts.into_iter().map(|(_, verdict)| verdict).collect();
    assert!(matches!(verdicts[..2], [Verdict::Stored(_), Verdict::Stored(_)]), "{verdicts:?}");
    // The newest stays, and with it what it descends from.
    assert_eq!(verdicts[2], Verdict::Unwanted);
    assert_eq!(verdicts[3], Verdict::Missing(vec![over]));
    assert_eq!(verdicts[4], Verdict::Unwanted);
    assert!(matches!(verdicts[5], Verdict::Stored(_)));
    site.assert_sound(world.id);
    // What is not the newest makes room, and comes again when it is needed.
    let again = site.ingest(world.id, world.pool[known + 2..known + 4].to_vec()).verdicts;
    assert!(again.iter().all(|(_, verdict)| matches!(verdict, Verdict::Stored(_))), "{again:?}");
    assert!(!site.standings(world.id).contains_key(&first));
    site.assert_sound(world.id);
    site.restart();
    let merge = world.add(&[first], 1, &Act::Log(5)).unwrap();
    let merged = world.pool.last().unwrap().clone();
    let missing = site.ingest(world.id, vec![merged.clone()]).verdicts.pop().unwrap().1;
    assert_eq!(missing, Verdict::Missing(vec![first]));
    site.ingest(world.id, vec![world.pool[known].clone(), merged]);
    assert!(site.tips(world.id).contains(&merge));
    assert_eq!(site.needed(world.id), world.site.needed(world.id));
    assert_eq!(site.digest(world.id), world.site.digest(world.id));
    site.assert_sound(world.id);
}

#[test]
fn what_was_visible_once_makes_no_room_for_what_comes_hidden() {
    let writers = (3..5).map(|writer| grant(writer, Level::Write(5)));
    let mut world = World::new([grant(2, Level::Admin(1))].into_iter().chain(writers).collect());
    let root = world.root();
    let kept: Vec<_> = (0..4).map(|n| world.add(&[root], 3, &Act::Table(n)).unwrap()).collect();
    world.site.engine.keep_hidden(HiddenMax { entries: 2, bytes: 10_000 });
    // A weak administrator hides the history of others, one of whom fills what room there is.
    let limits = Act::Settings(vec![limit(3, None), limit(4, None)]);
    world.add(&[root], 2, &limits).unwrap();
    for n in 0..6 {
        let draft = world.draft(&[root], 4, &Act::Log(n));
        let verdict = world.site.ingest(world.id, vec![draft]).verdicts.pop().unwrap().1;
        assert!(matches!(verdict, Verdict::Stored(_) | Verdict::Unwanted), "{verdict:?}");
        world.site.assert_sound(world.id);
        if n == 3 {
            world.site.restart();
            world.site.engine.keep_hidden(HiddenMax { entries: 2, bytes: 10_000 });
        }
    }
    let standings = world.site.standings(world.id).into_keys();
    assert!(standings.filter(|id| !world.ids.contains(id)).count() <= 2);
    // A stronger one takes that back, and nothing of the history is lost.
    world.add(&[root], 1, &Act::Settings(vec![limit(2, None)])).unwrap();
    let needed = world.site.needed(world.id);
    assert!(kept.iter().all(|entry| needed.get(entry) == Some(&true)), "{needed:?}");
    world.site.assert_sound(world.id);
}

#[test]
fn a_store_whose_type_is_not_known_is_right_when_it_is() {
    let mut world = World::new(vec![grant(2, Level::Write(5)), grant(3, Level::Write(5))]);
    let root = world.root();
    let first = world.add(&[root], 2, &Act::Tally).unwrap();
    world.add(&[first], 1, &Act::Tally).unwrap();
    let known = world.pool.len();
    world.add(&[root], 3, &Act::Tally).unwrap();
    world.add(&[root], 1, &revoke(2)).unwrap();
    world.add(&[first], 2, &Act::Tally).unwrap();
    for is_known_at_first in [true, false] {
        let mut site = Site::new();
        if !is_known_at_first {
            site.engine = Engine::new(StoreTypes::built_in());
        }
        site.ingest(world.id, world.pool[..known].to_vec());
        site.engine = Engine::new(StoreTypes::built_in());
        site.ingest(world.id, world.pool[known..].to_vec());
        assert!(has_unfolded(&*site.store.snapshot().unwrap()).unwrap());
        assert_eq!(site.needed(world.id), world.site.needed(world.id));
        site.restart();
        let mut rows = site.rows();
        assert!(site.engine.catch_up(&mut rows).unwrap() > 0);
        site.apply(rows);
        assert_eq!(site.digest(world.id), world.site.digest(world.id));
        assert!(site.listed("stale", world.id).is_empty());
        site.assert_sound(world.id);
    }
}

#[test]
fn a_store_that_has_only_lost_is_folded_whole_by_who_knows_its_type() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    for _ in 0..3 {
        world.add(&[root], 2, &Act::Votes).unwrap();
    }
    let first = world.add(&[root], 1, &Act::Votes).unwrap();
    let known = world.pool.len();
    world.add(&[first], 1, &revoke(2)).unwrap();
    let mut site = Site::new();
    site.ingest(world.id, world.pool[..known].to_vec());
    site.engine = Engine::new(StoreTypes::built_in());
    site.ingest(world.id, world.pool[known..].to_vec());
    assert!(has_unfolded(&*site.store.snapshot().unwrap()).unwrap());
    site.restart();
    let mut rows = site.rows();
    assert_eq!(site.engine.catch_up(&mut rows).unwrap(), 1);
    site.apply(rows);
    assert!(!has_unfolded(&*site.store.snapshot().unwrap()).unwrap());
    assert_eq!(site.listed("state", world.id), world.site.listed("state", world.id));
    site.assert_sound(world.id);
}

#[test]
fn what_a_shift_changes_is_told_with_what_rows_held() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    let first = world.add(&[root], 1, &Act::Table(1)).unwrap();
    let second = world.add(&[first], 2, &Act::Table(1)).unwrap();
    world.add(&[second], 2, &Act::Tally).unwrap();
    let before = world.site.listed("state", world.id);
    world.site.engine.record([world.id].into());
    world.add(&[first], 1, &revoke(2)).unwrap();
    let after = world.site.listed("state", world.id);
    let shift = world.shifts.pop().unwrap();
    assert_eq!(shift.changes.len(), 2);
    let holds = |rows: &[(Vec<u8>, Vec<u8>)], row: &Option<Vec<u8>>| match row {
        Some(row) => rows.iter().any(|(_, found)| found == row),
        None => true,
    };
    for change in &shift.changes {
        let values = change.values.as_ref().unwrap();
        assert_ne!(values.before, values.after);
        assert!(holds(&before, &values.before) && holds(&after, &values.after));
    }
}

#[test]
fn a_group_that_is_given_up_leaves_nothing_of_a_shift() {
    let mut world = World::new(vec![grant(2, Level::Write(5))]);
    let root = world.root();
    let mut parent = root;
    for n in 0..5 {
        parent = world.add(&[parent], 2, &Act::Many(n)).unwrap();
    }
    let mut site = Site::new();
    site.ingest(world.id, world.pool.clone());
    let (digest, head) = (site.digest(world.id), site.head(world.id));
    world.add(&[root], 1, &revoke(2)).unwrap();
    let last = vec![world.pool.last().unwrap().clone()];
    let mut rows = site.rows();
    let given_up = site.engine.ingest(&mut rows, world.id, last.clone(), NOW).unwrap();
    assert!(given_up.folded[0].shift.is_some());
    drop(rows);
    site.engine.forget();
    assert_eq!((site.digest(world.id), site.head(world.id)), (digest, head));
    site.assert_sound(world.id);
    site.ingest(world.id, last);
    assert_eq!(site.digest(world.id), world.site.digest(world.id));
    assert_eq!(site.head(world.id).needed, 2);
}

#[test]
fn a_revocation_costs_what_is_beside_it_and_not_history() {
    let reads = |history: u8| {
        let mut world = World::new(vec![grant(2, Level::Write(5))]);
        let mut parent = world.root();
        for n in 0..history {
            parent = world.add(&[parent], 1, &Act::Log(n)).unwrap();
        }
        let mut beside = parent;
        for n in 0..5 {
            beside = world.add(&[beside], 2, &Act::Log(n)).unwrap();
        }
        world.site.restart();
        let limit = world.draft(&[parent], 1, &revoke(2));
        // What loading reads is not counted.
        let rows = world.site.rows();
        world.site.engine.authority(&rows, world.site.number(world.id)).unwrap();
        drop(rows);
        world.site.reads_of(world.id, limit)
    };
    let (few, many) = (reads(20), reads(120));
    assert_eq!(few, many);
}

#[test]
fn limits_on_who_shows_nothing_do_not_cost_history_each_time() {
    let mut world = World::new(vec![grant(3, Level::Read), grant(4, Level::Write(5))]);
    let root = world.root();
    let mut parent = root;
    for n in 0..200 {
        parent = world.add(&[parent], 1, &Act::Log(n)).unwrap();
    }
    // A reader limits itself again and again, beside all of history.
    let leave = Act::Settings(vec![limit(3, None)]);
    let reads: Vec<u64> = (0..6)
        .map(|_| {
            let draft = world.draft(&[root], 3, &leave);
            world.site.reads_of(world.id, draft)
        })
        .collect();
    assert!(reads[0] > 200 && reads[4..].iter().all(|reads| *reads < 100), "{reads:?}");
    world.site.assert_sound(world.id);
    // Who has written something loses it all the same.
    let wrote = world.add(&[parent], 4, &Act::Log(1)).unwrap();
    world.add(&[root], 4, &Act::Settings(vec![limit(4, None)])).unwrap();
    assert!(world.hidden().contains(&wrote));
    world.site.assert_sound(world.id);
}

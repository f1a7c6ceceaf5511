//! Between rounds: own commits go at once, what came from others is announced first.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, Parcel};
use weald_sync::DatabaseStatus;
use weald_sync::limits::{HAVE_MAX, RELAY_MAX_MS, RELAY_MIN_MS};
use world::{Node, World, chain, child, database_of};

/// Nodes that hold the same, linked as told and settled.
fn settled(nodes: usize, links: &[(usize, usize)]) -> (World, DatabaseId) {
    let parcels = chain(3);
    let database = database_of(&parcels);
    let node = |n: usize| Node::with(u8::try_from(n).unwrap() + 1, database, &parcels);
    let mut world = World::new((0..nodes).map(node).collect());
    for (a, b) in links {
        let link = world.link(*a, *b);
        world.sync(link, database);
    }
    world.run();
    (world, database)
}

fn status(world: &World, link: usize, side: usize, database: DatabaseId) -> DatabaseStatus {
    world.links[link][side].session.statuses()[&database].clone()
}

#[test]
fn own_commits_go_at_once_and_what_was_relayed_after_a_pause() {
    let (mut world, database) = settled(3, &[(0, 1), (1, 2)]);
    let before = world.now;
    world.commit(0, database, "from the first");
    world.deliver();
    assert_eq!((world.nodes[1].count(database), world.nodes[2].count(database)), (4, 3));
    let due = world.links[1][0].session.deadline().unwrap();
    assert!((before + RELAY_MIN_MS..=before + RELAY_MAX_MS).contains(&due), "{due}");
    assert!(world.announce());
    world.deliver();
    world.assert_equal(database);
    assert!(world.links.iter().flatten().all(|end| end.session.deadline().is_none()));
}

#[test]
fn what_both_have_from_a_third_is_told_once_and_not_sent() {
    let (mut world, database) = settled(3, &[(0, 1), (0, 2), (1, 2)]);
    let frames =
        |world: &World| world.links[2].iter().map(|end| end.frames_received).sum::<usize>();
    let before = frames(&world);
    for n in 0..5 {
        world.commit(0, database, &format!("entry {n}"));
        world.deliver();
    }
    world.run();
    world.assert_equal(database);
    // All five in one announcement, and its answer.
    assert_eq!(frames(&world) - before, 2);
    assert!(world.nodes.iter().all(|node| node.duplicates == 0));
    assert_eq!(status(&world, 2, 0, database).cost.entries_out, 0);
}

#[test]
fn of_what_is_announced_only_what_is_lacking_is_sent() {
    let (mut world, database) = settled(3, &[(0, 1), (0, 2), (1, 2)]);
    let first = world.nodes[0].commit(database, "told to both").1;
    let second = world.nodes[0].commit(database, "told to one").1;
    for (node, parcels) in [(1, vec![first.clone(), second]), (2, vec![first])] {
        world.nodes[node].ingest(database, parcels);
        world.relayed_at(node, database);
    }
    world.run();
    world.assert_equal(database);
    assert!(world.nodes.iter().all(|node| node.duplicates == 0));
    let [to_two, to_one] = [0, 1].map(|side| status(&world, 2, side, database).cost.entries_out);
    assert_eq!((to_two, to_one), (1, 0));
}

#[test]
fn own_commits_take_along_what_they_need_of_what_was_relayed() {
    let (mut world, database) = settled(3, &[(0, 1), (1, 2)]);
    world.commit(0, database, "from the first");
    world.deliver();
    world.commit(1, database, "an answer");
    world.deliver();
    world.assert_equal(database);
    world.run();
    assert!(world.nodes.iter().all(|node| node.duplicates == 0));
}

#[test]
fn more_than_fits_in_an_announcement_arrives_and_mostly_once() {
    let (mut world, database) = settled(4, &[(0, 1), (1, 2), (0, 3), (3, 2)]);
    let count = 5 * HAVE_MAX;
    let mut parcels: Vec<Parcel> = Vec::new();
    for n in 0..count {
        parcels.push(world.nodes[0].commit(database, &format!("entry {n}")).1);
    }
    world.committed_at(0, database);
    world.run();
    world.assert_equal(database);
    let duplicates: usize = world.nodes.iter().map(|node| node.duplicates).sum();
    assert!(duplicates <= count / HAVE_MAX, "{duplicates}");
}

#[test]
fn what_comes_while_an_announcement_has_no_answer_is_announced_after_it() {
    let (mut world, database) = settled(3, &[(0, 1), (1, 2)]);
    world.commit(0, database, "one");
    world.deliver();
    assert!(world.announce());
    // The announcement is on its way to the third; the second hears of more meanwhile.
    let extra = world.nodes[0].commit(database, "two").1;
    world.nodes[1].ingest(database, vec![extra]);
    world.relayed_at(1, database);
    assert!(world.links[1][0].session.deadline().is_some(), "an answer is waited for");
    world.deliver();
    assert_eq!(world.nodes[2].count(database), 4);
    world.run();
    world.assert_equal(database);
}

#[test]
fn what_comes_while_a_round_runs_is_announced_after_it() {
    let (mut world, database) = settled(3, &[(0, 1), (1, 2)]);
    world.relate(1, 0, database);
    world.commit(0, database, "one");
    while world.step(0, 1) {}
    assert_eq!(world.nodes[1].count(database), 4);
    world.run();
    world.assert_equal(database);
    assert!(world.nodes.iter().all(|node| node.duplicates == 0));
}

#[test]
fn nothing_is_announced_to_who_may_not_read() {
    let (mut world, database) = settled(3, &[(0, 1), (1, 2)]);
    let first = world.nodes[0].device.public();
    world.nodes[1].readers = Some(vec![first]);
    world.commit(0, database, "not for the third");
    let received = world.links[1][1].frames_received;
    world.run();
    assert_eq!(world.nodes[1].count(database), 4);
    assert_eq!(world.nodes[2].count(database), 3);
    // The database is left; that is all the third hears.
    assert_eq!(world.links[1][1].frames_received - received, 1);
}

#[test]
fn a_branch_that_was_relayed_while_its_announcement_was_answered_is_not_lost() {
    let (mut world, database) = settled(2, &[(0, 1)]);
    let tip = world.nodes[0].commit(database, "base").1;
    world.committed_at(0, database);
    world.run();
    let key = world.nodes[0].device.clone();
    let branches: Vec<Parcel> = (0..40u8).map(|n| child(&key, &[&tip], vec![b'b', n])).collect();
    for branch in branches {
        world.nodes[0].ingest(database, vec![branch]);
        world.relayed_at(0, database);
        world.step(0, 1);
        world.announce();
        world.step(0, 0);
    }
    world.run();
    world.assert_equal(database);
}

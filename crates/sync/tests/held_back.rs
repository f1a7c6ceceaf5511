//! Entries whose time lies too far ahead arrive in a later round, and nothing is complete before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, Parcel, Time};
use world::{Node, WALL, World, chain, child_at, database_of};

const MINUTE: u64 = 60_000;

/// Makes a node whose clock is 20 minutes ahead.
fn ahead(database: DatabaseId, parcels: &[Parcel]) -> Node {
    let mut node = Node::with(1, database, parcels);
    node.wall += 20 * MINUTE;
    node
}

/// Commits an entry after `parent` at a node that is ahead, with its time.
fn commit_ahead(world: &mut World, database: DatabaseId, parent: &Parcel) {
    let time = Time::from_millis(WALL + 15 * MINUTE);
    let parcel = child_at(&world.nodes[0].device, &[parent], b"ahead".to_vec(), time);
    world.nodes[0].ingest(database, vec![parcel]);
    world.committed_at(0, database);
    world.run();
}

fn pass_an_hour(world: &mut World) {
    world.nodes.iter_mut().for_each(|node| node.wall += 60 * MINUTE);
}

#[test]
fn what_was_held_back_arrives_in_a_later_round() {
    for starts in [0, 1] {
        let parcels = chain(300);
        let database = database_of(&parcels);
        let nodes = vec![ahead(database, &parcels), Node::with(2, database, &parcels)];
        let mut world = World::new(nodes);
        let link = world.link(1, 0);
        world.sync(link, database);
        commit_ahead(&mut world, database, &parcels[299]);
        world.relate(link, starts, database);
        world.run();
        assert_eq!(world.nodes[1].count(database), 300, "its time is still ahead");
        assert_eq!(world.nodes[1].duplicates, 0);
        assert_eq!(world.settled(link, 0), Some((1, false)));
        pass_an_hour(&mut world);
        world.commit(0, database, "after it");
        world.run();
        world.relate(link, starts, database);
        world.run();
        world.assert_equal(database);
        assert_eq!(world.nodes[1].count(database), 302);
        assert_eq!(world.settled(link, 0).map(|(_, complete)| complete), Some(true));
    }
}

#[test]
fn nothing_is_complete_while_tips_are_held_back() {
    let parcels = chain(3);
    let database = database_of(&parcels);
    let mut world = World::new(vec![ahead(database, &parcels), Node::new(2)]);
    commit_ahead(&mut world, database, &parcels[1]);
    let link = world.link(1, 0);
    world.sync(link, database);
    assert_eq!(world.nodes[1].count(database), 3);
    assert!(!world.nodes[1].is_complete(database));
    pass_an_hour(&mut world);
    world.sync(link, database);
    world.assert_equal(database);
    assert!(world.nodes[1].is_complete(database));
}

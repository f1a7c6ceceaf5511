//! What a peer offers: pages of what the proven keys may read, and nothing of all else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, SecretKey};
use weald_sync::limits::{DISCOVERED_PAGE, DISCOVERIES_PER_LINK_MAX, DISCOVERY_PAUSE_MS};
use weald_sync::{Event, ListedDatabase};
use world::{Node, World, child, database_of};

/// A node that holds so many databases, and one that holds none.
fn pair(databases: usize) -> World {
    let mut holder = Node::new(1);
    let key = SecretKey::from_seed(&[7; 32]);
    for n in 0..databases {
        let root = vec![child(&key, &[], format!("root {n}").into_bytes())];
        holder.ingest(database_of(&root), root.clone());
        holder.complete(database_of(&root));
    }
    let mut world = World::new(vec![holder, Node::new(2)]);
    world.link(1, 0);
    world.run();
    world
}

fn ask(world: &mut World, after: Option<DatabaseId>) -> Event {
    let now = world.now;
    world.links[0][0].session.discover(now, after, &world.nodes[1]);
    world.run();
    world.links[0][0].events.pop().unwrap()
}

fn page(world: &mut World, after: Option<DatabaseId>) -> (Vec<ListedDatabase>, Option<DatabaseId>) {
    match ask(world, after) {
        Event::Discovered { databases, next } => (databases, next),
        other => panic!("{other:?}"),
    }
}

#[test]
fn p43_all_that_may_be_read_comes_in_pages_once() {
    let mut world = pair(2 * DISCOVERED_PAGE + 3);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (databases, next) = page(&mut world, after);
        assert!(databases.len() <= DISCOVERED_PAGE);
        all.extend(databases);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 2 * DISCOVERED_PAGE + 3);
    assert!(all.is_sorted_by(|a, b| a.id < b.id));
    assert!(all.iter().all(|listed| listed.entries == 1 && listed.name.starts_with("database")));
}

#[test]
fn a_key_is_proven_for_discovery_and_a_stranger_sees_nothing() {
    let mut world = pair(3);
    let user = SecretKey::from_seed(&[77; 32]);
    world.nodes[0].readers = Some(vec![user.public()]);
    assert_eq!(page(&mut world, None), (vec![], None));
    world.nodes[1].keys = vec![user];
    assert_eq!(page(&mut world, None).0.len(), 3);
    let nowhere = DatabaseId::from_bytes([3; 32]);
    assert_eq!(world.links[0][1].session.peer_keys(&nowhere).len(), 1, "and for nothing else");
}

#[test]
fn what_is_dropped_in_a_session_is_not_offered_in_it() {
    let mut world = pair(3);
    let (databases, _) = page(&mut world, None);
    let (now, nodes) = (world.now, &world.nodes);
    world.links[0][1].session.drop_relation(now, &databases[2].id, &nodes[0]);
    world.run();
    assert_eq!(page(&mut world, None).0, databases[..2]);
}

#[test]
fn who_asks_without_end_is_told_to_wait_and_may_ask_again() {
    let mut world = pair(1);
    for _ in 0..DISCOVERIES_PER_LINK_MAX {
        assert_eq!(page(&mut world, None).0.len(), 1);
    }
    assert!(matches!(ask(&mut world, None), Event::NotDiscovered));
    world.now += DISCOVERY_PAUSE_MS;
    assert_eq!(page(&mut world, None).0.len(), 1);
    assert!(world.links[0].iter().all(|end| end.closed.is_none()));
}

#[test]
fn an_answer_is_owed() {
    let mut world = pair(1);
    let now = world.now;
    let session = &mut world.links[0][0].session;
    assert_eq!(session.deadline(), None);
    session.discover(now, None, &world.nodes[1]);
    assert!(session.deadline().is_some());
    world.run();
    assert_eq!(world.links[0][0].session.deadline(), None);
}

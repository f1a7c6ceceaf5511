//! Requests for access in a session: carried whole, answered alike, and opened at once when it is granted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, RequestId};
use weald_sync::limits::REQUEST_BYTES_MAX;
use weald_sync::{Event, RequestAnswer};
use world::{Node, World, chain, database_of};

fn ask(world: &mut World, request: &[u8]) {
    let (now, node) = (world.now, world.links[0][0].node);
    let nodes = &world.nodes;
    world.links[0][0].session.ask(now, request.to_vec(), &nodes[node]);
    world.run();
}

fn answer(world: &mut World, request: &RequestId, answer: RequestAnswer) {
    let (now, node) = (world.now, world.links[0][1].node);
    let nodes = &world.nodes;
    world.links[0][1].session.answer(now, request, answer, &nodes[node]);
    world.run();
}

#[test]
fn a_request_arrives_as_it_was_sent_and_its_answers_name_it() {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link(0, 1);
    world.run();
    let request = vec![7; REQUEST_BYTES_MAX];
    ask(&mut world, &request);
    ask(&mut world, &vec![7; REQUEST_BYTES_MAX + 1]);
    let events = &world.links[0][1].events;
    let asked = events.iter().filter(|event| matches!(event, Event::Asked { .. })).count();
    assert_eq!(asked, 1, "one that is too long is not sent");
    let came = |event: &Event| matches!(event, Event::Asked { request: r } if *r == request);
    assert!(events.iter().any(came));
    let id = RequestId::of(&request);
    for said in [RequestAnswer::Unavailable, RequestAnswer::Approved] {
        answer(&mut world, &id, said.clone());
        let last = world.links[0][0].events.last().unwrap();
        assert!(
            matches!(last, Event::Answered { request, answer } if *request == id && *answer == said)
        );
    }
}

#[test]
fn an_overlong_reason_ends_the_session() {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link(0, 1);
    world.run();
    let reason = "x".repeat(1_000);
    answer(&mut world, &RequestId::of(b"any"), RequestAnswer::Rejected { reason });
    assert!(world.links[0][0].closed.is_some());
}

/// One who was told that there is no such database has it as soon as it may read: nobody waits for the next
/// round by the clock.
#[test]
fn p48_a_grant_opens_what_was_denied_at_once() {
    let parcels = chain(20);
    let database: DatabaseId = database_of(&parcels);
    let mut world = World::new(vec![Node::new(1), Node::with(2, database, &parcels)]);
    world.nodes[1].readers = Some(vec![]);
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 0);
    world.commit(1, database, "one that grants nothing");
    world.run();
    assert_eq!(world.nodes[0].count(database), 0);
    world.nodes[1].readers = None;
    world.commit(1, database, "the grant");
    world.run();
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 22);
}

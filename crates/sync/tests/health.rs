//! Whether the peer is still there: asked for where a link is silent, and never where that is not wanted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_sync::CloseReason;
use weald_sync::limits::HEALTH_EVERY_MS;
use world::{Node, World, chain, database_of};

fn pair() -> World {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link_with(0, 1, |dialler, responder| {
        dialler.health_every = Some(HEALTH_EVERY_MS);
        responder.health_every = Some(HEALTH_EVERY_MS);
    });
    world.run();
    world
}

/// Lets the deadlines of the given ends come, one after the other, until a time.
fn run_until(world: &mut World, time: u64, swallow: bool) {
    loop {
        let ends = || [0, 1].into_iter();
        let deadline = |world: &World, side: usize| world.links[0][side].session.deadline();
        let next = ends().filter_map(|side| deadline(world, side)).min();
        let Some(next) = next.filter(|next| *next <= time) else { break };
        world.now = world.now.max(next);
        for side in ends() {
            let end = &mut world.links[0][side];
            end.session.handle_deadline(world.now, &world.nodes[end.node]);
            world.drain(0, side);
        }
        if swallow {
            world.links[0].iter_mut().for_each(|end| end.inbox.clear());
        }
        world.run();
    }
    world.now = time;
}

#[test]
fn p28_a_link_that_swallows_all_is_noticed_within_ninety_seconds() {
    let mut world = pair();
    let start = world.now;
    run_until(&mut world, start + HEALTH_EVERY_MS + HEALTH_EVERY_MS / 2, true);
    for end in &world.links[0] {
        assert!(matches!(end.closed, Some(CloseReason::Silent)), "{:?}", end.closed);
        assert_eq!(end.session.deadline(), None);
    }
}

#[test]
fn p28_a_link_on_which_nothing_happens_stays() {
    let mut world = pair();
    let (start, before) = (world.now, world.links[0].each_ref().map(|end| end.frames_received));
    run_until(&mut world, start + 60 * HEALTH_EVERY_MS, false);
    let frames = world.links[0].each_ref().map(|end| end.frames_received);
    for (side, end) in world.links[0].iter().enumerate() {
        assert!(end.closed.is_none(), "{:?}", end.closed);
        assert_eq!(end.session.round_trip(), Some(0));
        assert!(frames[side] - before[side] <= 2 * 60, "one question and one answer a minute");
    }
    let parcels = chain(3);
    let database = database_of(&parcels);
    world.nodes[0] = Node::with(1, database, &parcels);
    world.relate(0, 1, database);
    world.run();
    world.assert_equal(database);
}

#[test]
fn nobody_is_asked_who_answers_or_where_it_is_not_wanted() {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link(0, 1);
    world.run();
    for end in &world.links[0] {
        assert_eq!((end.session.deadline(), end.session.round_trip()), (None, None));
    }
}

#[test]
fn a_round_trip_is_as_long_as_it_took() {
    let mut world = pair();
    let start = world.now;
    let session = &mut world.links[0][0].session;
    let due = session.deadline().unwrap();
    assert_eq!(due, start + HEALTH_EVERY_MS);
    session.handle_deadline(due, &world.nodes[0]);
    world.now = due + 20;
    world.step(0, 1);
    world.now = due + 45;
    world.run();
    assert_eq!(world.links[0][0].session.round_trip(), Some(45));
}

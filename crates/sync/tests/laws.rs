//! Laws: any two overlapping graphs converge, under any schedule; no bytes make a session panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use weald_dag::{EntryId, Parcel};
use weald_sync::{Event, Role, Session};
use world::{Node, World, closed, database_of, options, random_graph};

/// Splits a graph in two closed parts that overlap.
fn split(parcels: &[Parcel], picks: &[bool], common: usize) -> [Vec<Parcel>; 2] {
    let pick = |at: usize| picks[at % picks.len()];
    let a = closed(parcels, |at| at < common || (pick(at) && pick(at * 7 + 1)));
    let b = closed(parcels, |at| at < common || (!pick(at) && pick(at * 3 + 2)));
    [a, b]
}

fn union(parts: &[Vec<Parcel>]) -> BTreeSet<EntryId> {
    parts.iter().flatten().map(|parcel| parcel.entry.id()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_overlapping_graphs_converge_in_few_round_trips(
        seed in any::<u64>(),
        size in 1..700usize,
        width in 1..40usize,
        merges in 1..8usize,
        picks in prop::collection::vec(any::<bool>(), 1..200),
        shared in 0..700usize,
        simultaneous in any::<bool>(),
    ) {
        let parcels = random_graph(seed, size, width, merges);
        let database = database_of(&parcels);
        let parts = split(&parcels, &picks, shared);
        let all = union(&parts);
        let nodes = vec![Node::with(1, database, &parts[0]), Node::with(2, database, &parts[1])];
        let mut world = World::new(nodes);
        let link = world.link(0, 1);
        if simultaneous {
            world.run();
            world.relate(link, 1, database);
        }
        world.sync(link, database);
        prop_assert!(world.nodes.iter().all(|node| node.ids(database) == all));
        for side in 0..2 {
            let (round_trips, _) = world.settled(link, side).unwrap();
            // Two, one where a filter let too little through, and half of one where both began at once.
            prop_assert!(round_trips <= 3 + u32::from(simultaneous), "{round_trips}");
            let status = &world.links[link][side].session.statuses()[&database];
            prop_assert_eq!(status.pending_in + status.pending_out, 0);
            let classes = status.classes.unwrap();
            prop_assert_eq!(classes.theirs.missing + classes.ours.missing, 0);
        }
    }

    #[test]
    fn peers_converge_under_any_schedule_of_commits_and_cuts(
        seed in any::<u64>(),
        actions in prop::collection::vec((0..12u8, 0..3usize, 0..2usize), 1..400),
    ) {
        let parcels = random_graph(seed, 400, 6, 3);
        let database = database_of(&parcels);
        let nodes = vec![
            Node::with(1, database, &closed(&parcels, |at| at % 5 == 0)),
            Node::with(2, database, &closed(&parcels, |at| at % 7 == 0)),
            Node::new(3),
        ];
        let mut world = World::new(nodes);
        world.slow = true;
        let ends = [(0, 1), (1, 2), (2, 0)];
        for (a, b) in ends {
            let link = world.link(a, b);
            world.relate(link, 0, database);
            world.relate(link, 1, database);
        }
        for (n, (action, which, side)) in actions.into_iter().enumerate() {
            match action {
                0 if world.nodes[which].is_complete(database) => {
                    world.commit(which, database, &format!("{n}"));
                }
                1 if n % 5 == 0 => {
                    world.cut(which);
                    let fresh = world.link(ends[which].0, ends[which].1);
                    world.links.swap(which, fresh);
                    world.links.pop();
                    world.relate(which, side, database);
                }
                2 => world.relate(which, side, database),
                3..5 => drop(world.answer()),
                _ => drop(world.step(which, side)),
            }
        }
        world.run();
        for link in 0..3 {
            world.relate(link, 0, database);
        }
        world.run();
        world.assert_equal(database);
        prop_assert!(world.nodes[2].is_complete(database));
    }

    #[test]
    fn no_frame_makes_a_fresh_session_panic(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
        dialler in any::<bool>(),
    ) {
        let node = Node::new(1);
        let role = if dialler { Role::Dialler } else { Role::Responder };
        let mut session = Session::new(options(role, &node.device, 3), 0);
        for frame in frames {
            session.handle_frame(1, &frame, &node);
        }
        prop_assert!(session.peer().is_none());
        while session.poll().is_some() {}
    }

    #[test]
    fn changed_plain_frames_neither_panic_nor_store_what_is_not_true(
        seed in any::<u64>(),
        changes in prop::collection::vec((0..30usize, any::<usize>(), any::<u8>()), 1..4),
        random in prop::option::of((0..30usize, prop::collection::vec(any::<u8>(), 0..200))),
    ) {
        let parcels = random_graph(seed, 300, 6, 3);
        let database = database_of(&parcels);
        let all = union(std::slice::from_ref(&parcels));
        let a = Node::with(1, database, &closed(&parcels, |at| at % 5 == 0));
        let b = Node::with(2, database, &closed(&parcels, |at| at % 7 == 0));
        let mut world = World::new(vec![a, b]);
        let link = world.link_with(0, 1, |a, b| (a.plain, b.plain) = (true, true));
        world.relate(link, 0, database);
        for n in 0..200 {
            let side = n % 2;
            for (at, byte, value) in &changes {
                if let Some(frame) = world.links[link][side].inbox.front_mut()
                    && *at == n
                    && !frame.is_empty()
                {
                    let byte = byte % frame.len();
                    frame[byte] ^= value;
                }
            }
            if let Some((at, bytes)) = &random
                && *at == n
            {
                let frame = [&[3, 0], bytes.as_slice()].concat();
                world.links[link][side].inbox.push_front(frame);
            }
            world.step(link, side);
        }
        world.run();
        prop_assert!(world.nodes.iter().all(|node| node.ids(database).is_subset(&all)));
        for end in &world.links[link] {
            let refused = end.events.iter().any(|event| matches!(event, Event::Refused { .. }));
            prop_assert!(!refused);
        }
    }
}

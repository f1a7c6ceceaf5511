//! What a peer does wrong ends its session with a typed reason, and harms nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, EntryId, Parcel, SecretKey, Time};
use weald_sync::limits::{FRAME_MAX, HANDSHAKE_MAX_MS, KEYS_MAX, SILENCE_MAX_MS};
use weald_sync::{
    CloseReason, DatabaseState, Event, Farewell, PeerFault, Role, Session, SessionOptions,
};
use world::{Node, World, chain, child, child_at, database_of, options};

fn pair(parcels: &[Parcel]) -> (World, DatabaseId) {
    let database = database_of(parcels);
    (World::new(vec![Node::new(1), Node::with(2, database, parcels)]), database)
}

fn has(world: &World, side: usize, what: impl Fn(&Event) -> bool) -> bool {
    world.links[0][side].events.iter().any(what)
}

#[test]
fn a_database_that_may_not_be_read_looks_like_one_that_is_not_there() {
    let (mut world, database) = pair(&chain(5));
    world.nodes[1].readers = Some(vec![]);
    world.link(0, 1);
    world.sync(0, database);
    let denied = |event: &Event| matches!(event, Event::Denied { .. });
    assert!(has(&world, 0, denied));
    assert!(!has(&world, 1, |event| matches!(event, Event::Opened { .. })));
    let frames = world.links[0][0].frames_received;
    let bytes = world.links[0][0].bytes_received;

    let mut other = World::new(vec![Node::new(1), Node::new(2)]);
    other.link(0, 1);
    other.sync(0, database);
    assert!(has(&other, 0, denied));
    assert_eq!(
        (other.links[0][0].frames_received, other.links[0][0].bytes_received),
        (frames, bytes)
    );
    assert_eq!(world.links[0][0].session.statuses()[&database].state, DatabaseState::Denied);
    assert_eq!(world.nodes[0].count(database), 0);
    assert!(world.links[0][0].closed.is_none(), "other databases go on");
}

#[test]
fn a_key_that_is_proven_opens_what_it_may_read() {
    let (mut world, database) = pair(&chain(50));
    let user = SecretKey::from_seed(&[77; 32]);
    world.nodes[1].readers = Some(vec![user.public()]);
    world.nodes[0].keys = vec![user.clone()];
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 50);
    assert!(world.links[0][1].session.peer_keys(&database).contains(&user.public()));

    let (mut world, database) = pair(&chain(50));
    world.nodes[1].readers = Some(vec![user.public()]);
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 0);
    world.nodes[0].keys = vec![user];
    let (now, nodes) = (world.now, &world.nodes);
    world.links[0][0].session.prove(now, &nodes[0]);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 50, "a key proven later counts too");
}

#[test]
fn the_key_of_the_side_that_was_dialled_counts_in_the_first_round() {
    let parcels = chain(50);
    let database = database_of(&parcels);
    let ahead = Node::with(1, database, &parcels);
    let mut world = World::new(vec![ahead, Node::with(2, database, &parcels[..20])]);
    let user = SecretKey::from_seed(&[77; 32]);
    world.nodes[0].readers = Some(vec![user.public()]);
    world.nodes[1].keys = vec![user];
    world.link(0, 1);
    world.sync(0, database);
    world.assert_equal(database);
    assert_eq!(classes(&world, 1).theirs.held, 1);
    assert_eq!(world.links[0][1].session.statuses()[&database].rounds, 1);
}

#[test]
fn whoever_may_not_read_here_may_still_be_read_from() {
    let parcels = chain(50);
    let database = database_of(&parcels);
    let behind = Node::with(1, database, &parcels[..20]);
    let mut world = World::new(vec![behind, Node::with(2, database, &parcels)]);
    world.nodes[0].readers = Some(vec![]);
    let own = world.nodes[0].commit(database, "not for the peer").1.entry.id();
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 51);
    assert!(!world.nodes[1].ids(database).contains(&own));
    assert_eq!(classes(&world, 1).theirs.withheld, 1);
}

#[test]
fn more_refused_tips_than_reasons_fit() {
    let mut parcels = chain(2);
    let key = SecretKey::from_seed(&[200; 32]);
    let trunk = parcels[1].clone();
    let leaves = (0..600).map(|n| child(&key, &[&trunk], format!("leaf {n}").into_bytes()));
    let leaves: Vec<Parcel> = leaves.collect();
    parcels.extend(leaves.iter().cloned());
    let database = database_of(&parcels);
    let mut receiver = Node::new(1);
    receiver.refuses.extend(leaves.iter().map(|leaf| leaf.entry.id()));
    let mut world = World::new(vec![receiver, Node::with(2, database, &parcels)]);
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(classes(&world, 1).ours.refused, 600);
    assert!(world.links[0].iter().all(|end| end.closed.is_none()));
}

#[test]
fn whoever_loses_the_right_to_read_gets_nothing_more() {
    let (mut world, database) = pair(&chain(5));
    world.link(0, 1);
    world.sync(0, database);
    world.commit(1, database, "before");
    world.run();
    assert_eq!(world.nodes[0].count(database), 6);
    world.nodes[1].readers = Some(vec![]);
    world.commit(1, database, "after");
    world.run();
    assert_eq!(world.nodes[0].count(database), 6);
    assert!(has(&world, 0, |event| matches!(event, Event::Left { .. })));
}

#[test]
fn another_device_than_the_expected_one_is_refused_by_both() {
    let (mut world, _) = pair(&chain(2));
    let expected = SecretKey::from_seed(&[99; 32]).public();
    world.link_with(0, 1, |dialler, _| dialler.expected_peer = Some(expected));
    world.run();
    let closed = world.links[0][1].closed.as_ref();
    assert!(matches!(closed, Some(CloseReason::WrongPeer { .. })), "{closed:?}");
    let closed = world.links[0][0].closed.as_ref();
    assert!(matches!(closed, Some(CloseReason::Told(Farewell::WrongPeer))), "{closed:?}");
    assert!(world.links[0].iter().all(|end| end.session.peer().is_none()));
}

#[test]
fn the_expected_device_is_not_trusted_on_first_use() {
    let (mut world, _) = pair(&chain(2));
    let expected = world.nodes[1].device.public();
    world.link_with(0, 1, |dialler, _| dialler.expected_peer = Some(expected));
    world.link(0, 1);
    world.run();
    let first_use = |link: usize| {
        world.links[link][0].events.iter().any(
            |event| matches!(event, Event::Authenticated { first_use: true, peer, .. } if *peer == expected),
        )
    };
    assert!(!first_use(0));
    assert!(first_use(1));
    assert_eq!(world.links[1][0].session.peer_name(), Some("node 5"));
}

#[test]
fn a_device_does_not_sync_with_itself() {
    let mut world = World::new(vec![Node::new(1), Node::new(1)]);
    world.link(0, 1);
    world.run();
    assert!(matches!(world.links[0][1].closed, Some(CloseReason::Ourselves)));
}

#[test]
fn sealing_must_be_agreed_on_and_bindings_must_be_equal() {
    type Change = fn(&mut SessionOptions, &mut SessionOptions);
    let changes: [(Change, bool); 5] = [
        (|a, b| (a.plain, b.plain) = (true, true), true),
        (|a, _| a.plain = true, false),
        (|a, b| (a.channel_binding, b.channel_binding) = (Some(vec![1]), Some(vec![1])), true),
        (|a, b| (a.channel_binding, b.channel_binding) = (Some(vec![1]), Some(vec![2])), false),
        (|a, _| a.channel_binding = Some(vec![1]), false),
    ];
    for (at, (change, works)) in changes.into_iter().enumerate() {
        let (mut world, database) = pair(&chain(20));
        world.link_with(0, 1, change);
        world.sync(0, database);
        assert_eq!(world.nodes[0].count(database) == 20, works, "change {at}");
        assert_eq!(world.links[0][0].closed.is_none(), works, "change {at}");
    }
}

/// Runs a transfer and lets `change` do something to the frame of this index to one side.
fn with_changed_frame(
    side: usize,
    index: usize,
    change: impl FnOnce(&mut std::collections::VecDeque<Vec<u8>>),
) -> Option<CloseReason> {
    let (mut world, database) = pair(&chain(4_000));
    world.link(0, 1);
    world.relate(0, 0, database);
    let mut change = Some(change);
    loop {
        let end = &mut world.links[0][side];
        if end.frames_received >= index
            && end.inbox.len() > 1
            && let Some(change) = change.take()
        {
            change(&mut end.inbox);
        }
        if !(world.step(0, 0) | world.step(0, 1)) {
            assert!(change.is_none(), "the transfer has that many frames");
            return world.links[0][side].closed.clone();
        }
    }
}

#[test]
fn sealed_frames_that_are_changed_repeated_or_moved_end_the_session() {
    let tampered = with_changed_frame(0, 3, |inbox| inbox[0][40] ^= 1);
    assert!(matches!(tampered, Some(CloseReason::Fault(PeerFault::Tampered))), "{tampered:?}");
    let repeated = with_changed_frame(0, 3, |inbox| {
        let frame = inbox[0].clone();
        inbox.insert(1, frame);
    });
    assert!(matches!(repeated, Some(CloseReason::Fault(PeerFault::OutOfOrder { .. }))));
    let swapped = with_changed_frame(0, 3, |inbox| inbox.swap(0, 1));
    assert!(matches!(swapped, Some(CloseReason::Fault(PeerFault::OutOfOrder { .. }))));
    let lost = with_changed_frame(0, 3, |inbox| drop(inbox.pop_front()));
    assert!(matches!(lost, Some(CloseReason::Fault(PeerFault::OutOfOrder { .. }))));
    let injected = with_changed_frame(0, 3, |inbox| inbox.push_front(vec![3, 0, 0]));
    assert!(matches!(injected, Some(CloseReason::Fault(PeerFault::Unexpected { .. }))));
    let goodbye = with_changed_frame(0, 3, |inbox| inbox.push_front(vec![4, 0]));
    assert!(matches!(goodbye, Some(CloseReason::Fault(_))), "a forged goodbye is no goodbye");
    let long = with_changed_frame(0, 3, |inbox| inbox.push_front(vec![2; FRAME_MAX + 1]));
    assert!(matches!(long, Some(CloseReason::Fault(PeerFault::TooLong { .. }))));
}

#[test]
fn any_changed_byte_of_the_handshake_is_noticed() {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link(0, 1);
    world.drain(0, 0);
    let length = world.links[0][1].inbox[0].len();
    for at in 0..length {
        let mut world = World::new(vec![Node::new(1), Node::new(2)]);
        world.link(0, 1);
        world.drain(0, 0);
        world.links[0][1].inbox[0][at] ^= 4;
        world.run();
        let closed = world.links[0].iter().any(|end| end.closed.is_some());
        let open = world.links[0].iter().all(|end| end.session.peer().is_some());
        assert!(closed || !open, "byte {at}");
        assert!(world.links[0][1].session.peer().is_none(), "byte {at}");
    }
}

#[test]
fn a_proof_of_one_session_is_none_in_another() {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link(0, 1);
    world.link(0, 1);
    for link in 0..2 {
        // Hello there, hello and proof back; the proof of the dialler is on its way.
        world.step(link, 1);
        world.step(link, 0);
        world.step(link, 0);
    }
    let of_first = world.links[0][1].inbox[0].clone();
    world.links[1][1].inbox[0] = of_first;
    world.run();
    assert!(matches!(world.links[1][1].closed, Some(CloseReason::Fault(PeerFault::BadProof))));
    assert!(world.links[1][1].session.peer().is_none());
    assert!(world.links[0][1].session.peer().is_some());
}

#[test]
fn nothing_is_answered_before_the_proof() {
    let node = Node::new(2);
    for frame in [vec![], vec![2; 40], vec![3, 0, 0], vec![1; 65], vec![0, 1, 2], vec![9]] {
        let mut session = Session::new(options(Role::Responder, &node.device, 1), 0);
        session.handle_frame(1, &frame, &node);
        assert!(session.is_closed(), "{frame:?}");
        assert!(session.peer().is_none());
    }
}

#[test]
fn p63_versions_that_do_not_overlap_are_told_to_both() {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link(0, 1);
    world.drain(0, 0);
    let hello = &mut world.links[0][1].inbox[0];
    let at = hello.windows(9).position(|bytes| bytes == b"\x68versions").unwrap() + 9;
    assert_eq!(hello[at..at + 3], [0x82, 1, 1]);
    (hello[at + 1], hello[at + 2]) = (7, 9);
    world.run();
    assert!(matches!(world.links[0][1].closed, Some(CloseReason::Version { min: 7, max: 9 })));
    assert!(matches!(world.links[0][0].closed, Some(CloseReason::Told(Farewell::Version))));
}

#[test]
fn deadlines_end_what_does_not_go_on() {
    let (mut world, database) = pair(&chain(5));
    world.link(0, 1);
    world.drain(0, 0);
    let nodes = &world.nodes;
    let session = &mut world.links[0][0].session;
    let deadline = session.deadline().unwrap();
    assert_eq!(deadline, world.now + HANDSHAKE_MAX_MS);
    session.handle_deadline(deadline - 1, &nodes[0]);
    assert!(!session.is_closed());
    session.handle_deadline(deadline, &nodes[0]);
    world.drain(0, 0);
    assert!(matches!(world.links[0][0].closed, Some(CloseReason::HandshakeTimeout)));

    world.link(0, 1);
    world.run();
    assert_eq!(world.links[1][0].session.deadline(), None, "nothing is owed");
    world.relate(1, 0, database);
    let nodes = &world.nodes;
    let session = &mut world.links[1][0].session;
    assert_eq!(session.deadline(), Some(world.now + SILENCE_MAX_MS));
    session.handle_deadline(world.now + SILENCE_MAX_MS, &nodes[0]);
    world.drain(1, 0);
    assert!(matches!(world.links[1][0].closed, Some(CloseReason::Silent)));
}

#[test]
fn closing_tells_the_peer() {
    let (mut world, _) = pair(&chain(5));
    world.link(0, 1);
    world.run();
    world.links[0][0].session.close(5);
    world.run();
    assert!(matches!(world.links[0][0].closed, Some(CloseReason::Requested)));
    assert!(matches!(world.links[0][1].closed, Some(CloseReason::Told(Farewell::Done))));
}

#[test]
fn a_wrong_signature_ends_the_session_and_is_not_stored() {
    let parcels = chain(4);
    let database = database_of(&parcels);
    let mut world = World::new(vec![Node::new(1), Node::with(2, database, &parcels)]);
    world.link(0, 1);
    world.sync(0, database);
    let (stranger, honest) = (SecretKey::from_seed(&[3; 32]), parcels.last().unwrap());
    let mut forged = child(&stranger, &[honest], b"forged".to_vec());
    let other = child(&stranger, &[honest], b"another".to_vec());
    forged.signature = other.signature;
    // The liar stores what it forged, as no honest node would.
    world.nodes[1].store_unverified(database, forged);
    world.committed_at(1, database);
    world.run();
    let closed = world.links[0][0].closed.as_ref();
    assert!(matches!(closed, Some(CloseReason::Fault(PeerFault::Entry(_)))), "{closed:?}");
    assert!(matches!(world.links[0][1].closed, Some(CloseReason::Told(Farewell::Fault))));
    assert_eq!(world.nodes[0].count(database), 4);
}

fn classes(world: &World, side: usize) -> weald_sync::Classes {
    let settled = world.links[0][side].events.iter().rev().find_map(|event| match event {
        Event::Settled { classes, .. } => Some(*classes),
        _ => None,
    });
    settled.unwrap()
}

#[test]
fn refused_and_held_back_tips_are_classed_and_only_the_latter_are_offered_again() {
    let mut parcels = chain(3);
    let key = SecretKey::from_seed(&[200; 32]);
    let trunk = parcels.last().unwrap().clone();
    let bad = child(&key, &[&trunk], b"bad".to_vec());
    let after_bad = child(&key, &[&bad], b"after bad".to_vec());
    let late = Time::from_millis(world::WALL + 3_600_000);
    let early = child_at(&key, &[&trunk], b"ahead of its time".to_vec(), late);
    let after_early = child(&key, &[&early], b"after it".to_vec());
    let good = child(&key, &[&trunk], b"good".to_vec());
    parcels.extend([bad.clone(), after_bad, early, after_early, good]);
    let database = database_of(&parcels);
    let mut sender = Node::new(2);
    sender.wall += 7_200_000;
    sender.ingest(database, parcels.clone());
    sender.complete(database);
    let mut receiver = Node::new(1);
    receiver.refuses.insert(bad.entry.id());
    let mut world = World::new(vec![receiver, sender]);
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 4, "the trunk and the good one");
    let theirs = classes(&world, 0).theirs;
    assert_eq!((theirs.held, theirs.refused, theirs.held_back, theirs.missing), (1, 1, 1, 0));
    assert_eq!(classes(&world, 1).ours, theirs);
    assert!(!world.settled(0, 0).unwrap().1, "what is held back is still to come");
    let refused = |id: EntryId| {
        has(&world, 0, move |e| matches!(e, Event::Refused { entry, .. } if *entry == id))
    };
    assert!(refused(bad.entry.id()));

    let sent = world.links[0][1].session.statuses()[&database].cost.entries_out;
    world.sync(0, database);
    world.relate(0, 1, database);
    world.run();
    let again = world.links[0][1].session.statuses()[&database].cost.entries_out;
    assert_eq!(sent + 4, again, "in each round the two held back, and nothing that was declined");
    assert_eq!(classes(&world, 0).theirs, theirs);
}

#[test]
fn a_session_proves_a_bounded_number_of_keys() {
    let (mut world, database) = pair(&chain(5));
    let keys: Vec<SecretKey> = (0..=u8::try_from(KEYS_MAX).unwrap())
        .map(|n| SecretKey::from_seed(&[n + 100; 32]))
        .collect();
    world.nodes[0].keys = keys;
    world.link(0, 1);
    world.sync(0, database);
    assert_eq!(world.links[0][1].session.peer_keys(&database).len(), KEYS_MAX + 1);
    assert_eq!(world.nodes[0].count(database), 5);
}

#[test]
fn a_database_is_left_and_taken_up_again() {
    let (mut world, database) = pair(&chain(500));
    world.link(0, 1);
    for steps in 0..30 {
        world.relate(0, 0, database);
        for n in 0..steps {
            world.step(0, n % 2);
        }
        let node = &world.nodes[0];
        world.links[0][0].session.drop_relation(5, &database, node);
        for n in 0..steps % 3 {
            world.step(0, n % 2);
        }
    }
    world.sync(0, database);
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 500);
}

#[test]
fn what_was_dropped_is_unknown_to_the_peer_until_it_is_related_again() {
    for before in [false, true] {
        let (mut world, database) = pair(&chain(5));
        world.link(0, 1);
        if !before {
            world.sync(0, database);
            assert_eq!(world.nodes[0].count(database), 5);
        }
        // The side that was dialled and never related it itself.
        world.links[0][1].session.drop_relation(5, &database, &world.nodes[1]);
        world.commit(1, database, "after the drop");
        world.run();
        world.sync(0, database);
        assert_eq!(world.nodes[0].count(database), if before { 0 } else { 5 });
        assert_eq!(
            world.links[0][0].session.statuses()[&database].state,
            weald_sync::DatabaseState::Denied
        );
        world.relate(0, 1, database);
        world.run();
        world.assert_equal(database);
        assert_eq!(world.nodes[0].count(database), 6);
    }
}

#[test]
fn what_was_withheld_goes_once_the_key_is_proven() {
    let (mut world, database) = pair(&chain(5));
    let user = SecretKey::from_seed(&[77; 32]);
    world.nodes[1].readers = Some(vec![user.public()]);
    world.link(0, 1);
    world.relate(0, 1, database);
    world.sync(0, database);
    assert_eq!(world.nodes[0].count(database), 0);
    world.nodes[0].keys = vec![user];
    world.links[0][0].session.prove(5, &world.nodes[0]);
    world.run();
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 5);
    assert!(world.nodes[0].is_complete(database));
}

//! A peer that asks without end, or asks and does not read, costs a bounded amount and is dropped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_sync::limits::{CONTROLS_MAX, OUTBOX_MAX_BYTES, PROOFS_MAX, UNKNOWN_NAMES_MAX};
use weald_sync::{CloseReason, Output, PeerFault};
use world::{Node, World, chain, database_of};

/// Makes a link without seals, past the handshake.
fn open_link() -> World {
    let mut world = World::new(vec![Node::new(1), Node::new(2)]);
    world.link_with(0, 1, |a, b| (a.plain, b.plain) = (true, true));
    world.run();
    world
}

/// Makes an open frame of controls.
fn frame(controls: &[u8]) -> Vec<u8> {
    [&[3, 0, 0], controls].concat()
}

fn leave(name: u8) -> Vec<u8> {
    [b"\xa1\x65Leave\x50".as_slice(), &[name; 16]].concat()
}

fn hear(world: &mut World, frame: &[u8]) {
    let World { links, nodes, now, .. } = world;
    links[0][1].session.handle_frame(*now, frame, &nodes[1]);
}

fn last_output(world: &mut World) -> (usize, Option<Output>) {
    let (mut bytes, mut last) = (0, None);
    while let Some(output) = world.links[0][1].session.poll() {
        if let Output::Send(frame) = &output {
            bytes += frame.len();
        }
        last = Some(output);
    }
    (bytes, last)
}

#[test]
fn a_message_carries_a_bounded_number_of_controls() {
    let mut world = open_link();
    hear(&mut world, &frame(&leave(9).repeat(CONTROLS_MAX)));
    assert!(!world.links[0][1].session.is_closed());
    hear(&mut world, &frame(&leave(9).repeat(CONTROLS_MAX + 1)));
    let (_, last) = last_output(&mut world);
    let Some(Output::Close(CloseReason::Fault(PeerFault::TooMany { what, .. }))) = last else {
        panic!("{last:?}");
    };
    assert_eq!(what, "controls in a message");
}

/// A control that proves no key at all, for one of many names.
fn no_keys(name: u32) -> Vec<u8> {
    let head = b"\xa1\x64Keys\xa2\x64name\x50".as_slice();
    [head, &name.to_le_bytes(), &[0; 12], b"\x66proofs\x80"].concat()
}

#[test]
fn names_for_which_no_key_is_proven_are_bounded_too() {
    let mut world = open_link();
    let bound = u32::try_from(PROOFS_MAX).unwrap();
    hear(&mut world, &frame(&(0..bound).flat_map(no_keys).collect::<Vec<_>>()));
    assert!(!world.links[0][1].session.is_closed());
    hear(&mut world, &frame(&no_keys(bound)));
    let (_, last) = last_output(&mut world);
    let Some(Output::Close(CloseReason::Fault(PeerFault::TooMany { what, .. }))) = last else {
        panic!("{last:?}");
    };
    assert_eq!(what, "keys");
}

#[test]
fn a_peer_that_does_not_read_is_dropped() {
    let mut world = open_link();
    let frame = frame(&leave(9).repeat(CONTROLS_MAX));
    let mut heard = 0;
    while !world.links[0][1].session.is_closed() {
        hear(&mut world, &frame);
        heard += frame.len();
        assert!(heard <= 2 * OUTBOX_MAX_BYTES);
    }
    let (sent, last) = last_output(&mut world);
    assert!(matches!(last, Some(Output::Close(CloseReason::NotRead { .. }))), "{last:?}");
    assert_eq!(sent, 0, "what it does not read is not kept for it");
}

#[test]
fn a_peer_that_reads_may_ask_on() {
    let mut world = open_link();
    let frame = frame(&leave(9).repeat(CONTROLS_MAX));
    let mut answered = 0;
    while answered <= OUTBOX_MAX_BYTES {
        hear(&mut world, &frame);
        let (sent, _) = last_output(&mut world);
        assert!(sent > 0);
        // What is sent is compressed.
        answered += frame.len();
    }
    assert!(!world.links[0][1].session.is_closed());
}

fn announce(name: u16) -> Vec<u8> {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&name.to_be_bytes());
    let head = b"\xa1\x61a\xa2\x61n\x50".as_slice();
    [head, &id, b"\x61r\x01"].concat()
}

#[test]
fn unknown_names_are_bounded_and_repeating_one_is_not_counted() {
    let mut world = open_link();
    for _ in 0..20 {
        hear(&mut world, &frame(&announce(1).repeat(500)));
        assert!(!world.links[0][1].session.is_closed());
        last_output(&mut world);
    }
    for name in 0..=u16::try_from(UNKNOWN_NAMES_MAX).unwrap() {
        hear(&mut world, &frame(&announce(name)));
    }
    let (_, last) = last_output(&mut world);
    let Some(Output::Close(CloseReason::Fault(PeerFault::TooMany { what, .. }))) = last else {
        panic!("{last:?}");
    };
    assert_eq!(what, "unknown names");
}

#[test]
fn a_want_outside_a_round_is_a_fault() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let nodes = vec![Node::with(1, database, &parcels), Node::with(2, database, &parcels)];
    let mut world = World::new(nodes);
    world.link_with(0, 1, |a, b| (a.plain, b.plain) = (true, true));
    world.relate(0, 0, database);
    let name = loop {
        world.step(0, 0);
        world.drain(0, 0);
        let announced = world.links[0][1].inbox.iter().find_map(|frame| {
            let at = frame
                .windows(7)
                .position(|bytes| matches!(bytes, [0x61, b'a', _, 0x61, b'n', 0x50, _]))?;
            Some(frame[at + 6..at + 22].to_vec())
        });
        if let Some(name) = announced {
            break name;
        }
        world.step(0, 1);
    };
    world.run();
    assert!(world.settled(0, 1).is_some());
    let want = [b"\xa1\x61w\xa3\x61n\x50", name.as_slice(), b"\x61i\x40\x61d\x01"];
    hear(&mut world, &frame(&want.concat()));
    let (_, last) = last_output(&mut world);
    assert!(matches!(
        last,
        Some(Output::Close(CloseReason::Fault(PeerFault::Unexpected {
            what: "a want of no running round"
        })))
    ));
}

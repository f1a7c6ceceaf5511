//! A peer that asks without end, or asks and does not read, costs a bounded amount and is dropped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_sync::limits::{CONTROLS_MAX, OUTBOX_MAX_BYTES};
use weald_sync::{CloseReason, Output, PeerFault};
use world::{Node, World};

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

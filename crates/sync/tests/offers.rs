//! What is offered, and when: who gets hold of a database first offers it to a peer that waits for it
//! too; what a peer hides and does not keep is not offered live again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::SecretKey;
use world::{Node, World, chain, child, database_of};

/// Found by simulation, seeds 0, 20 and 70: both sides wanted a database that neither held; a
/// refusal that was on its way ended the offer that one made once it held all, or was taken for an
/// answer to it.
#[test]
fn a_refusal_that_crosses_an_offer_ends_nothing() {
    let parcels = chain(20);
    let database = database_of(&parcels);
    for steps in 0..8 {
        for offers in [0, 1] {
            let mut world = World::new(vec![Node::new(1), Node::new(2)]);
            let link = world.link(0, 1);
            world.run();
            world.relate(link, 0, database);
            world.relate(link, 1, database);
            for _ in 0..steps {
                world.step(link, 0);
                world.step(link, 1);
            }
            world.nodes[offers].ingest(database, parcels.clone());
            world.nodes[offers].complete(database);
            world.relate(link, offers, database);
            world.run();
            world.assert_equal(database);
            assert!(world.nodes.iter().all(|node| node.is_complete(database)), "{steps} {offers}");
        }
    }
}

#[test]
fn what_a_peer_hides_and_does_not_keep_is_offered_again_in_a_round_and_not_live() {
    let key = SecretKey::from_seed(&[9; 32]);
    let mut parcels = chain(5);
    let trunk = parcels[4].clone();
    let hidden = child(&key, &[&trunk], b"hidden there".to_vec());
    parcels.push(hidden.clone());
    let database = database_of(&parcels);
    let mut receiver = Node::new(1);
    receiver.hides.insert(hidden.entry.id());
    let mut world = World::new(vec![receiver, Node::with(2, database, &parcels)]);
    let link = world.link(0, 1);
    world.sync(link, database);
    assert_eq!(world.nodes[0].count(database), 5);
    assert_eq!(world.settled(link, 0).map(|(_, complete)| complete), Some(true));
    let sent = |world: &World| world.links[link][1].session.statuses()[&database].cost.entries_out;
    assert_eq!(sent(&world), 6);
    for n in 0..3 {
        let live = child(&key, &[&trunk], vec![n]);
        world.nodes[1].ingest(database, vec![live]);
        world.committed_at(1, database);
        world.run();
    }
    assert_eq!((world.nodes[0].count(database), sent(&world)), (8, 9));
    world.relate(link, 0, database);
    world.run();
    assert_eq!(sent(&world), 10, "once a round");
    world.nodes[0].hides.clear();
    world.relate(link, 0, database);
    world.run();
    world.assert_equal(database);
}

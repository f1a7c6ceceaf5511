//! Who gets hold of a database first offers it to a peer that waits for it too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use world::{Node, World, chain, database_of};

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

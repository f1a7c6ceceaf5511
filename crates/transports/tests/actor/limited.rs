//! What all links of an actor carry together can be limited; it comes later then, and all of it comes.

use weald_transports::{ActorOptions, BandwidthLimit};

use crate::site::{Site, within};
use crate::wires::Wires;

#[tokio::test]
async fn what_is_limited_either_way_arrives_whole() {
    let both =
        BandwidthLimit { up_bytes_per_second: Some(400_000), down_bytes_per_second: Some(200_000) };
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        alice.fill(room, 2_000);
        let options = || ActorOptions { bandwidth: Some(both), ..ActorOptions::default() };
        let (a, b) = (alice.start_with(options()), bob.start_with(options()));
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        within("joining", b.sync_with(vec![address], None, Some(room))).await.unwrap();
        bob.assert_equal(&alice, room);
        bob.say(room, "back");
        alice.reaches(room, 2_002).await;
    }
}

#[tokio::test]
async fn a_transfer_that_is_held_up_goes_on_when_the_limit_is_lifted() {
    let wires = Wires::Memory(weald_transports::MemoryNetwork::new());
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    // At the least rate this takes longer than the test waits for.
    alice.fill(room, 30_000);
    let least = BandwidthLimit { up_bytes_per_second: Some(0), ..BandwidthLimit::default() };
    let (a, b) = (alice.start(), bob.start());
    a.set_bandwidth_limit(Some(least));
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    let joining = b.sync_with(vec![address], None, Some(room));
    let (joined, ()) = tokio::join!(within("joining", joining), async {
        bob.reaches(room, 1).await;
        assert!(!bob.holds(room));
        a.set_bandwidth_limit(None);
    });
    joined.unwrap();
    bob.assert_equal(&alice, room);
}

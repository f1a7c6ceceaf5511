//! Two and more sites come to hold the same, and stay so.

use std::sync::Arc;

use weald_transports::{MemoryNetwork, PeerState, SyncEvent};

use crate::site::{Site, event, within};
use crate::wires::Wires;

#[tokio::test]
async fn p13_p14_p55_one_who_joins_late_gets_all_and_both_are_live_from_then_on() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        alice.fill(room, 3000);
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        let joined = b.sync_with(vec![address.clone()], None, Some(room));
        assert_eq!(within("joining", joined).await.unwrap(), alice.public());
        assert!(bob.holds(room));
        bob.assert_equal(&alice, room);
        alice.say(room, "hello bob");
        bob.reaches(room, 3002).await;
        bob.say(room, "hello alice");
        alice.reaches(room, 3003).await;
        alice.assert_equal(&bob, room);
        let status = b.peer(&alice.public()).unwrap();
        assert_eq!(status.state, PeerState::Connected);
        assert_eq!(status.record.addresses, [address]);
        assert!(status.databases[&room].last_success.is_some());
        assert!(status.databases[&room].session.as_ref().unwrap().cost.entries_in >= 3001);
    }
}

#[tokio::test]
async fn p57_both_directions_move_in_one_operation() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        within("joining", b.sync_with(vec![address.clone()], None, Some(room))).await.unwrap();
        drop(b);
        alice.fill(room, 300);
        bob.fill(room, 200);
        let b = bob.start();
        wires.plug(&b, "bob");
        let synced = b.sync_with(vec![address], Some(alice.public()), Some(room));
        within("syncing", synced).await.unwrap();
        assert_eq!(bob.count(room), 501);
        alice.reaches(room, 501).await;
        alice.assert_equal(&bob, room);
    }
}

#[tokio::test]
async fn p15_p26_after_a_restart_of_either_side_what_is_new_comes_by_itself() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        within("joining", b.sync_with(vec![address.clone()], None, Some(room))).await.unwrap();
        b.stop().await;
        alice.say(room, "while bob is away");
        let b = bob.start();
        wires.plug(&b, "bob");
        bob.reaches(room, 2).await;
        a.stop().await;
        bob.say(room, "while alice is away");
        let a = alice.start();
        wires.serve_again(&a, "alice", &address).await;
        alice.reaches(room, 3).await;
        alice.assert_equal(&bob, room);
    }
}

#[tokio::test]
async fn p25_entries_pass_on_from_a_to_c_by_b() {
    for wires in Wires::all() {
        let sites = [Site::new(1), Site::new(2), Site::new(3)];
        let [alice, bob, carol] = &sites;
        let room = alice.found();
        let (a, b, c) = (alice.start(), bob.start(), carol.start());
        let at_alice = wires.serve(&a, "alice").await;
        let at_bob = wires.serve(&b, "bob").await;
        wires.plug(&c, "carol");
        within("b joins", b.sync_with(vec![at_alice], None, Some(room))).await.unwrap();
        within("c joins", c.sync_with(vec![at_bob], None, Some(room))).await.unwrap();
        alice.say(room, "from a");
        carol.reaches(room, 2).await;
        carol.say(room, "from c");
        alice.reaches(room, 3).await;
        bob.reaches(room, 3).await;
        for site in [alice, carol] {
            site.assert_equal(bob, room);
        }
        assert_eq!(b.peers().len(), 2);
    }
}

#[tokio::test]
async fn p13_without_a_database_all_that_both_may_is_synced() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        let rooms = [alice.found(), alice.found()];
        for room in rooms {
            let joined = b.sync_with(vec![address.clone()], None, Some(room));
            within("joining", joined).await.unwrap();
        }
        drop(b);
        let own = bob.found_for(None);
        rooms.iter().for_each(|room| alice.say(*room, "new"));
        let b = bob.start();
        wires.plug(&b, "bob");
        within("syncing all", b.sync_with(vec![address], None, None)).await.unwrap();
        for room in rooms {
            bob.assert_equal(&alice, room);
        }
        assert!(!alice.holds(own), "what nobody was let into went over");
    }
}

#[tokio::test]
async fn many_join_at_once_and_hear_each_other() {
    for wires in Wires::all() {
        let alice = Site::new(1);
        let room = alice.found();
        alice.fill(room, 500);
        let a = alice.start();
        let address = wires.serve(&a, "alice").await;
        let others: Vec<Arc<Site>> = (2..10).map(Site::new).collect();
        let actors: Vec<_> = others.iter().map(|site| site.start()).collect();
        let joins = actors.iter().enumerate().map(|(n, actor)| {
            wires.plug(actor, &format!("site {n}"));
            // Each asks twice at once: one link serves both.
            let twice = [(); 2].map(|()| actor.sync_with(vec![address.clone()], None, Some(room)));
            futures_util::future::join_all(twice)
        });
        let joined = within("joining", futures_util::future::join_all(joins)).await;
        assert!(joined.iter().flatten().all(Result::is_ok), "{joined:?}");
        others.iter().for_each(|site| site.say(room, "here"));
        let expected = 501 + others.len() as u64;
        alice.reaches(room, expected).await;
        for site in &others {
            site.reaches(room, expected).await;
            site.assert_equal(&alice, room);
        }
    }
}

#[tokio::test]
async fn two_who_dial_each_other_keep_one_link_and_lose_nothing() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        let (a, b) = (alice.start(), bob.start());
        let at_alice = wires.serve(&a, "alice").await;
        let at_bob = wires.serve(&b, "bob").await;
        within("joining", b.sync_with(vec![at_alice.clone()], None, Some(room))).await.unwrap();
        for _ in 0..5 {
            let there = a.sync_with(vec![at_bob.clone()], Some(bob.public()), Some(room));
            let back = b.sync_with(vec![at_alice.clone()], Some(alice.public()), Some(room));
            let (there, back) = within("syncing", async { tokio::join!(there, back) }).await;
            there.unwrap();
            back.unwrap();
            alice.say(room, "one");
            bob.say(room, "two");
        }
        alice.reaches(room, 11).await;
        bob.reaches(room, 11).await;
        alice.assert_equal(&bob, room);
    }
}

#[tokio::test]
async fn p39_p41_p51_peers_and_servers_are_listed_and_a_known_peer_can_be_synced_by_its_key() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let room = alice.found();
        let (a, b) = (alice.start(), bob.start());
        let mut events = b.events();
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        assert_eq!(a.servers(), [("wires".to_owned(), address.clone())]);
        assert!(b.servers().is_empty());
        let connected = within("connecting", b.connect(vec![address.clone()], None)).await;
        assert_eq!(connected.unwrap(), alice.public());
        let dialled = event("connected", &mut events, |event| match event {
            SyncEvent::Connected { peer, dialled, .. } => Some((*peer, *dialled)),
            _ => None,
        });
        assert_eq!(dialled.await, (alice.public(), true));
        let synced = b.sync_with_known(alice.public(), Some(room));
        within("syncing", synced).await.unwrap();
        bob.assert_equal(&alice, room);
        let peers = b.peers();
        assert_eq!(peers.len(), 1);
        assert!(peers[0].record.databases.contains(&room));
        assert!(peers[0].record.name.starts_with("site "));
        within("hushing", a.stop_accepting()).await.unwrap();
        assert!(a.servers().is_empty());
    }
}

#[tokio::test]
async fn a_stranger_who_only_proves_a_key_costs_the_host_no_row() {
    let wires = Wires::Memory(MemoryNetwork::new());
    let alice = Site::new(1);
    let a = alice.start();
    let address = wires.serve(&a, "alice").await;
    for seed in 10..14 {
        let stranger = Site::new(seed);
        let actor = stranger.start();
        wires.plug(&actor, "stranger");
        within("connecting", actor.connect(vec![address.clone()], None)).await.unwrap();
        within("stopping", actor.stop()).await;
        // Who dials keeps whom it dialled.
        assert_eq!(stranger.peer_records().len(), 1);
    }
    assert_eq!(a.peers().len(), 4);
    within("stopping", a.stop()).await;
    assert_eq!(alice.peer_records(), []);
}

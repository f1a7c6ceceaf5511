//! Peers that mean harm cost bounded memory and time, are refused for a while, and disturb nobody else.

use std::sync::Arc;

use weald_dag::DatabaseId;
use weald_sync::{CloseReason, PeerFault};
use weald_transports::{
    ActorHandle, Address, DIAL_STAGGER, DialError, ListenError, Listener, MemoryNetwork,
    PeerRecord, PeerState, SyncError, SyncEvent, Transport,
};

use crate::attacker::Attacker;
use crate::site::{Site, event, within};
use crate::wires::Wires;

/// Alice serves; bob and carol sync a room with her.
struct Town {
    network: MemoryNetwork,
    alice: ActorHandle,
    address: Address,
    room: DatabaseId,
    bob: Arc<Site>,
    carol: Arc<Site>,
    _handles: [ActorHandle; 2],
}

impl Town {
    async fn new() -> Self {
        let network = MemoryNetwork::new();
        let (site, bob, carol) = (Site::new(1), Site::new(2), Site::new(3));
        let room = site.found();
        let (alice, b, c) = (site.start(), bob.start(), carol.start());
        let wires = Wires::Memory(network.clone());
        let address = wires.serve(&alice, "alice").await;
        wires.plug(&b, "bob");
        wires.plug(&c, "carol");
        for handle in [&b, &c] {
            let joined = handle.sync_with(vec![address.clone()], None, Some(room));
            within("joining", joined).await.unwrap();
        }
        Self { network, alice, address, room, bob, carol, _handles: [b, c] }
    }

    /// Bob and carol go on talking while the attacker is at work.
    async fn talk(&self, times: usize) {
        for n in 0..times {
            let (from, to) =
                if n % 2 == 0 { (&self.bob, &self.carol) } else { (&self.carol, &self.bob) };
            let before = from.count(self.room);
            from.say(self.room, &format!("message {n}"));
            to.reaches(self.room, before + 1).await;
        }
    }

    async fn prove(&self, attacker: &Arc<Site>, seed: u8) -> Option<Attacker> {
        Attacker::prove(&self.network, attacker, &self.address, seed).await
    }

    /// Waits until the link to a peer has ended, and returns why.
    async fn ended(&self, peer: &Arc<Site>) -> Option<SyncError> {
        let ended = async {
            loop {
                let status = self.alice.peer(&peer.public());
                if let Some(status) = status.filter(|status| status.state != PeerState::Connected) {
                    return status.last_error;
                }
                tokio::task::yield_now().await;
            }
        };
        within("the end of the link", ended).await
    }
}

#[tokio::test]
async fn whoever_breaks_the_protocol_is_told_apart_by_its_key_and_refused_for_a_while() {
    let town = Town::new().await;
    let mallory = Site::new(66);
    let mut attacker = town.prove(&mallory, 1).await.unwrap();
    attacker.twist(Box::new(|_| vec![vec![0xff; 1000]]));
    attacker.session.relate(0, town.room, &*mallory);
    attacker.flush().await;
    attacker.until_closed().await;
    let error = town.ended(&mallory).await;
    let fault =
        matches!(error, Some(SyncError::Session(CloseReason::Fault(PeerFault::Garbled { .. }))));
    assert!(fault, "{error:?}");
    // By the same key it is sent away at once; others come in as before.
    for seed in 2..5 {
        let again = town.prove(&mallory, seed).await;
        if let Some(mut again) = again {
            again.until_closed().await;
        }
        assert_ne!(town.alice.peer(&mallory.public()).unwrap().state, PeerState::Connected);
    }
    let stranger = Site::new(67);
    assert!(town.prove(&stranger, 1).await.is_some());
    town.talk(10).await;
}

#[tokio::test]
async fn a_sealed_frame_that_was_changed_on_the_way_has_nobody_refused() {
    let town = Town::new().await;
    let victim = Site::new(66);
    let mut link = town.prove(&victim, 1).await.unwrap();
    link.session.relate(0, town.room, &*victim);
    while let Some(output) = link.session.poll() {
        let weald_sync::Output::Send(mut frame) = output else { continue };
        *frame.last_mut().unwrap() ^= 1;
        link.raw(frame).await;
    }
    link.until_closed().await;
    let error = town.ended(&victim).await;
    assert!(matches!(error, Some(SyncError::Session(CloseReason::Fault(_)))), "{error:?}");
    let again = town.prove(&victim, 2).await;
    assert!(again.is_some());
    let connected = async {
        while town.alice.peer(&victim.public()).unwrap().state != PeerState::Connected {
            tokio::task::yield_now().await;
        }
    };
    within("being let in", connected).await;
}

#[tokio::test]
async fn tips_that_nobody_has_end_in_rounds_that_end_and_disturb_nobody() {
    let town = Town::new().await;
    let liar = Site::new(66);
    // The liar has the room, and names another tip than the one that it has.
    let joiner = liar.start();
    Wires::Memory(town.network.clone()).plug(&joiner, "liar");
    let joined = joiner.sync_with(vec![town.address.clone()], None, Some(town.room));
    within("joining", joined).await.unwrap();
    within("leaving", joiner.stop()).await;
    let tip = *liar.tips(town.room).first().unwrap();
    let mut attacker = town.prove(&liar, 1).await.unwrap();
    attacker.twist(Box::new(move |mut message| {
        let at = message.windows(32).position(|part| part == tip.as_bytes());
        if let Some(at) = at {
            message[at..at + 32].fill(9);
        }
        vec![message]
    }));
    attacker.session.relate(0, town.room, &*liar);
    attacker.flush().await;
    let mut frames = 0;
    let (_, ()) = tokio::join!(town.talk(20), async {
        // It is asked for what it named a bounded number of times.
        while frames < 400 {
            let turn = attacker.turn();
            match tokio::time::timeout(std::time::Duration::from_secs(2), turn).await {
                Ok(true) => frames += 1,
                _ => break,
            }
        }
    });
    assert!(frames < 400, "the liar is asked for ever");
    town.talk(4).await;
}

#[tokio::test]
async fn a_flood_of_requests_for_access_ends_and_disturbs_nobody() {
    let town = Town::new().await;
    let mallory = Site::new(66);
    let mut attacker = town.prove(&mallory, 1).await.unwrap();
    let flood = async {
        let (mut asked, mut drawn) = (0u64, 1u64);
        loop {
            // What compresses would be a small flood.
            let request = std::iter::repeat_with(|| {
                drawn ^= drawn << 13;
                drawn ^= drawn >> 7;
                drawn ^= drawn << 17;
                drawn.to_be_bytes()
            });
            let request = request.take(120).flatten().collect();
            attacker.session.ask(0, request, &*mallory);
            asked += 1;
            if asked.is_multiple_of(64) && !attacker.flush().await {
                return attacker.taken;
            }
        }
    };
    let (taken, ()) = tokio::join!(flood, town.talk(20));
    assert!(taken < 64 << 20, "{taken} bytes of a flood were taken");
    let error = town.ended(&mallory).await;
    let typed = matches!(
        error,
        Some(
            SyncError::NotRead
                | SyncError::Session(CloseReason::NotRead { .. } | CloseReason::Fault(_))
        )
    );
    assert!(typed, "{error:?}");
    let again = town.prove(&mallory, 2).await;
    if let Some(mut again) = again {
        again.until_closed().await;
    }
    assert_ne!(town.alice.peer(&mallory.public()).unwrap().state, PeerState::Connected);
    town.talk(4).await;
}

#[tokio::test]
async fn who_asks_for_much_and_reads_nothing_holds_a_bounded_part_of_it() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let (room, other) = (alice.found(), alice.found());
    alice.fill(room, 5_000);
    let (a, b) = (alice.start(), bob.start());
    let wires = Wires::Memory(network.clone());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    let mallory = Site::new(66);
    let mut attacker = Attacker::prove(&network, &mallory, &address, 1).await.unwrap();
    attacker.session.relate(0, room, &*mallory);
    attacker.flush().await;
    // Nothing is read from now on; bob gets all of both rooms meanwhile.
    for room in [room, other] {
        let joined = b.sync_with(vec![address.clone()], None, Some(room));
        within("joining", joined).await.unwrap();
        bob.assert_equal(&alice, room);
    }
    let written = async {
        loop {
            let status = a.peer(&mallory.public()).unwrap().databases.remove(&room);
            if let Some(session) = status.and_then(|status| status.session) {
                return session;
            }
            tokio::task::yield_now().await;
        }
    };
    let sent = within("the status", written).await.cost.entry_bytes_out;
    assert!(sent <= (weald_sync::limits::WINDOW_BYTES + (1 << 20)) as u64, "{sent}");
}

#[tokio::test]
async fn a_thousand_links_of_one_host_leave_room_for_others() {
    let town = Town::new().await;
    let (mut held, mallory) = (Vec::new(), Site::new(66));
    for n in 0..1_000u64 {
        // Said nothing but hello, they are on their way to being proven for as long as that may take.
        held.extend(Attacker::dial(&town.network, &mallory, &town.address, n as u8).await);
    }
    let joiner = Site::new(9);
    let j = joiner.start();
    Wires::Memory(town.network.clone()).plug(&j, "joiner");
    let joined = j.sync_with(vec![town.address.clone()], None, Some(town.room));
    within("joining beside a thousand links", joined).await.unwrap();
    town.talk(10).await;
    // Proven by many keys they stay bounded, too, and two of one key stay at most.
    held.clear();
    let mut proven = Vec::new();
    for seed in 0..20 {
        proven.extend(town.prove(&mallory, seed).await);
    }
    town.talk(4).await;
    let mut open = 0;
    for attacker in &mut proven {
        open += usize::from(attacker.raw_soon(vec![1]).await);
    }
    assert!(open <= 20);
    assert_eq!(town.alice.peers().iter().filter(|peer| peer.key() == mallory.public()).count(), 1);
}

#[tokio::test]
async fn trickled_bytes_over_http_disturb_nobody() {
    use tokio::io::AsyncWriteExt as _;
    let (alice, bob, carol) = (Site::new(1), Site::new(2), Site::new(3));
    let room = alice.found();
    let (a, b, c) = (alice.start(), bob.start(), carol.start());
    let address = Wires::Http.serve(&a, "alice").await;
    let host = address.text().to_owned();
    let mut trickling = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let host = host.clone();
        trickling.spawn(async move {
            let Ok(mut socket) = tokio::net::TcpStream::connect(&host).await else { return };
            let head = b"POST /api/v0/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: 999\r\n\r\n";
            for byte in head.iter().chain(std::iter::repeat(&7)) {
                if socket.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
    }
    for (handle, name) in [(&b, "bob"), (&c, "carol")] {
        Wires::Http.plug(handle, name);
        let joined = handle.sync_with(vec![address.clone()], None, Some(room));
        within("joining", joined).await.unwrap();
    }
    for n in 0..10 {
        bob.say(room, &format!("message {n}"));
        carol.reaches(room, n + 2).await;
    }
    trickling.abort_all();
}

#[tokio::test]
async fn who_came_and_proved_nothing_is_told_of_once_a_second_with_how_many() {
    let town = Town::new().await;
    let mut events = town.alice.events();
    let garbage = town.network.transport("garbage");
    for _ in 0..50 {
        let mut link = garbage.dial(&town.address).await.unwrap();
        let _ = link.send(vec![0xff; 10].into()).await;
        within("being sent away", async { while let Ok(Some(_)) = link.recv().await {} }).await;
    }
    let (links, error) = event("being told", &mut events, |event| match event {
        SyncEvent::Rejected { links, error, .. } => Some((*links, error.clone())),
        _ => None,
    })
    .await;
    assert_eq!(links, 1, "the first is told at once");
    assert!(matches!(error, SyncError::Session(CloseReason::Fault(_))), "{error:?}");
    let more = std::iter::from_fn(|| events.try_next());
    let told = more.filter(|event| matches!(event, SyncEvent::Rejected { .. })).count();
    assert!(told < 10, "{told} events of 50 links");
}

/// A transport whose links to one address open at once, and to all others only after others would have won.
struct Uneven {
    inner: weald_transports::MemoryTransport,
    quick: Address,
}

impl Transport for Uneven {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn dial<'a>(
        &'a self,
        address: &'a Address,
    ) -> weald_transports::BoxFuture<'a, Result<weald_transports::Link, DialError>> {
        Box::pin(async move {
            if *address != self.quick {
                tokio::time::sleep(2 * DIAL_STAGGER).await;
            }
            self.inner.dial(address).await
        })
    }

    fn listen(&self) -> weald_transports::BoxFuture<'_, Result<Listener, ListenError>> {
        self.inner.listen()
    }
}

#[tokio::test]
async fn p40_whoever_poses_at_an_address_and_answers_sooner_does_not_keep_a_peer_from_being_reached()
 {
    let network = MemoryNetwork::new();
    let (alice, poser, bob) = (Site::new(1), Site::new(66), Site::new(2));
    let room = alice.found();
    let (a, p, b) = (alice.start(), poser.start(), bob.start());
    let wires = Wires::Memory(network.clone());
    let honest = wires.serve(&a, "alice").await;
    let quick = wires.serve(&p, "poser").await;
    let inner = network.transport("bob");
    b.register_transport("uneven", Arc::new(Uneven { inner, quick: quick.clone() }));
    let mut record = PeerRecord::new(alice.public());
    record.addresses = vec![quick, honest];
    record.databases.insert(room);
    b.register_peer(record);
    bob.reaches(room, 1).await;
}

#[tokio::test]
async fn a_stranger_that_is_linked_is_not_forgotten_for_those_that_only_make_keys() {
    let town = Town::new().await;
    for seed in 0..1_100u32 {
        let mut key = [77; 32];
        key[..4].copy_from_slice(&seed.to_be_bytes());
        drop(town.prove(&Site::of(key), 1).await.unwrap());
    }
    for honest in [&town.bob, &town.carol] {
        let status = town.alice.peer(&honest.public());
        assert!(status.is_some_and(|status| status.state == PeerState::Connected));
    }
    assert!(town.alice.peers().len() <= 1_024);
    town.talk(4).await;
}

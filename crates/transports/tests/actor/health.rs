//! A link that is dead without having been closed is noticed, and dialled anew once it works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use weald_sync::CloseReason;
use weald_transports::{
    ActorOptions, Address, Link, LinkReceiver, LinkSender, MemoryNetwork, SyncError, SyncEvent,
    Transport,
};

use crate::site::{Site, event, within};
use crate::wires::Wires;

/// Passes links on to an address; those that are open when it is told so carry nothing any more.
struct Middle {
    links: Arc<Links>,
    _carrying: JoinSet<()>,
}

#[derive(Default)]
struct Links {
    /// How many came.
    came: AtomicU64,
    /// How many of them carry nothing any more.
    dead: AtomicU64,
}

async fn carry(
    mut from: Box<dyn LinkReceiver>,
    mut to: Box<dyn LinkSender>,
    (number, links): (u64, Arc<Links>),
) {
    while let Ok(Some(frame)) = from.recv().await {
        let is_dead = number < links.dead.load(Ordering::SeqCst);
        if !is_dead && to.send(frame).await.is_err() {
            return;
        }
    }
    let _ = to.close().await;
}

impl Middle {
    async fn at(network: &MemoryNetwork, name: &str, address: Address) -> Self {
        let links = Arc::<Links>::default();
        let (known, transport) = (Arc::clone(&links), network.transport(name));
        let mut listener = transport.listen().await.unwrap();
        let mut carrying = JoinSet::new();
        carrying.spawn(async move {
            let mut both = JoinSet::new();
            while let Some(link) = listener.accept().await {
                let Ok(onward) = transport.dial(&address).await else { continue };
                let ((here_out, here_in), (there_out, there_in)) =
                    (link.split(), Link::split(onward));
                let number = known.came.fetch_add(1, Ordering::SeqCst);
                both.spawn(carry(here_in, there_out, (number, Arc::clone(&known))));
                both.spawn(carry(there_in, here_out, (number, Arc::clone(&known))));
            }
        });
        Self { links, _carrying: carrying }
    }

    fn swallow(&self) {
        let Links { came, dead } = &*self.links;
        dead.store(came.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn p28_a_link_that_carries_nothing_is_given_up_and_dialled_anew() {
    let network = MemoryNetwork::new();
    let (alice, bob) = (Site::new(1), Site::new(2));
    let room = alice.found();
    let often = |health_every| ActorOptions {
        retry_first: Duration::from_millis(100),
        health_every,
        ..ActorOptions::default()
    };
    // Only one of them looks, so it is known who notices.
    let a = alice.start_with(often(None));
    let b = bob.start_with(often(Some(Duration::from_secs(3))));
    let wires = Wires::Memory(network.clone());
    let address = wires.serve(&a, "alice").await;
    wires.plug(&b, "bob");
    let middle = Middle::at(&network, "middle", address).await;
    let address: Address = "memory:middle".parse().unwrap();
    within("joining", b.sync_with(vec![address], None, Some(room))).await.unwrap();
    let mut events = b.events();
    middle.swallow();
    let error = event("the dead link", &mut events, |event| match event {
        SyncEvent::Disconnected { error, .. } => Some(error.clone()),
        _ => None,
    });
    let error = error.await;
    assert!(matches!(error, Some(SyncError::Session(CloseReason::Silent))), "{error:?}");
    alice.say(room, "are you there?");
    bob.reaches(room, 2).await;
}

#[tokio::test]
async fn the_round_trip_time_is_in_the_status_soon_after_connecting() {
    for wires in Wires::all() {
        let (alice, bob) = (Site::new(1), Site::new(2));
        let (a, b) = (alice.start(), bob.start());
        let address = wires.serve(&a, "alice").await;
        wires.plug(&b, "bob");
        let peer = within("connecting", b.connect(vec![address], None)).await.unwrap();
        let measured = async {
            while b.peer(&peer).unwrap().round_trip.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("measuring", measured).await;
    }
}

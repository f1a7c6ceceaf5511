//! Twenty sites in a ring, a star and a random mesh: all come to hold the same, and little comes twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use weald_dag::{DatabaseId, PublicKey, Randomness};
use weald_transports::{
    ActorHandle, ActorOptions, Address, BoxFuture, CutReason, DialError, Link, LinkError,
    LinkReceiver, LinkSender, ListenError, Listener, MemoryNetwork, MemoryTransport, PeerState,
    Transport,
};

use crate::site::{DEADLINE, Site};

const SITES: usize = 20;
/// How many entries each site makes while all links work, and again while some are cut.
const ENTRIES: usize = 4;

/// Which sites dial which.
type Edges = Vec<(usize, usize)>;

fn name(site: usize) -> String {
    format!("site-{site}")
}

/// A memory transport of one site whose links can be cut.
struct Wires {
    inner: MemoryTransport,
    cut: watch::Receiver<BTreeSet<Address>>,
}

impl Transport for Wires {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Link, DialError>> {
        Box::pin(async move {
            if self.cut.borrow().contains(address) {
                return Err(DialError::NobodyListens { address: address.clone() });
            }
            let (sender, receiver) = self.inner.dial(address).await?.split();
            let half = || (address.clone(), self.cut.clone());
            let (sender, receiver) = (Half(sender, half()), Half(receiver, half()));
            Ok(Link::new(address.clone(), sender, receiver))
        })
    }

    fn listen(&self) -> BoxFuture<'_, Result<Listener, ListenError>> {
        self.inner.listen()
    }
}

struct Half<T: ?Sized>(Box<T>, (Address, watch::Receiver<BTreeSet<Address>>));

const CUT: LinkError = LinkError::Cut(CutReason::Dropped);

impl LinkSender for Half<dyn LinkSender> {
    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), LinkError>> {
        let (address, cut) = &self.1;
        if cut.borrow().contains(address) {
            return Box::pin(std::future::ready(Err(CUT)));
        }
        self.0.send(frame)
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.0.close()
    }
}

impl LinkReceiver for Half<dyn LinkReceiver> {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>> {
        let (address, cut) = &mut self.1;
        Box::pin(async {
            tokio::select! {
                biased;
                _ = cut.wait_for(|cut| cut.contains(address)) => Err(CUT),
                frame = self.0.recv() => frame,
            }
        })
    }
}

struct Member {
    site: Arc<Site>,
    actor: ActorHandle,
    cut: watch::Sender<BTreeSet<Address>>,
}

struct Mesh {
    members: Vec<Member>,
    edges: Edges,
    room: DatabaseId,
    made: u64,
}

fn address(site: usize) -> Address {
    format!("memory:{}", name(site)).parse().unwrap()
}

impl Mesh {
    /// Links sites; each edge is dialled by its second site, and leads to one that has joined.
    async fn new(edges: Edges) -> Self {
        let network = MemoryNetwork::new();
        let options = || ActorOptions {
            retry_first: Duration::from_millis(100),
            retry_max: Duration::from_millis(400),
            threads: 2,
            ..ActorOptions::default()
        };
        let member = |n: usize| {
            let site = Site::new(u8::try_from(n).unwrap() + 1);
            let actor = site.start_with(options());
            let cut = watch::Sender::new(BTreeSet::new());
            let inner = network.transport(&name(n));
            actor.register_transport("wires", Arc::new(Wires { inner, cut: cut.subscribe() }));
            Member { site, actor, cut }
        };
        let members: Vec<Member> = (0..SITES).map(member).collect();
        let room = members[0].site.found();
        for member in &members {
            member.actor.accept_connections().await.unwrap();
        }
        let mut mesh = Self { members, edges, room, made: 1 };
        for (to, from) in mesh.edges.clone() {
            let joined = mesh.members[from].actor.sync_with(vec![address(to)], None, Some(room));
            mesh.within("joining", joined).await.unwrap();
        }
        mesh.rest().await;
        mesh
    }

    async fn within<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(done) => done,
            Err(_) => {
                let counts: Vec<u64> =
                    self.members.iter().map(|member| member.site.count(self.room)).collect();
                panic!("{what} took too long; of {} there are {counts:?}", self.made)
            }
        }
    }

    /// Has every site make an entry now and then, so that what one makes is on its way while others make theirs.
    async fn write(&mut self) {
        for n in 0..ENTRIES {
            for member in &self.members {
                member.site.say(self.room, &format!("{n} of {}", member.site.public().short()));
                self.made += 1;
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        }
    }

    /// Waits until all hold the same.
    async fn rest(&mut self) {
        for member in &self.members {
            self.within("coming to rest", member.site.reaches(self.room, self.made)).await;
        }
        for member in &self.members {
            member.site.assert_equal(&self.members[0].site, self.room);
        }
    }

    fn peer(&self, site: usize) -> PublicKey {
        self.members[site].site.public()
    }

    /// Cuts some links and waits until that is noticed at both ends.
    async fn cut(&self, cut: &[(usize, usize)]) {
        for (to, from) in cut {
            self.members[*from].cut.send_modify(|cut| {
                cut.insert(address(*to));
            });
        }
        for (one, other) in cut.iter().flat_map(|(to, from)| [(*to, *from), (*from, *to)]) {
            let is_linked = || {
                let peer = self.members[one].actor.peer(&self.peer(other)).unwrap();
                matches!(peer.state, PeerState::Connected)
            };
            let mut events = self.members[one].actor.events();
            self.within("losing a link", async {
                while is_linked() {
                    events.next().await.unwrap();
                }
            })
            .await;
        }
    }

    fn heal(&self) {
        for member in &self.members {
            member.cut.send_replace(BTreeSet::new());
        }
    }

    /// Returns how many entries came, and how many of them again.
    fn received(&self) -> (u64, u64) {
        let sum = |count: fn(&Site) -> u64| self.members.iter().map(|m| count(&m.site)).sum();
        (
            sum(|site| site.received.load(Ordering::SeqCst)),
            sum(|site| site.duplicates.load(Ordering::SeqCst)),
        )
    }
}

/// Writes, cuts some links, writes, heals; returns the share of what came again, of a hundred.
#[allow(clippy::print_stdout, reason = "what comes twice is to be seen")]
async fn percent_again(topology: &str, edges: Edges, cut: &[(usize, usize)]) -> u64 {
    let mut mesh = Mesh::new(edges).await;
    let (before, again_before) = mesh.received();
    mesh.write().await;
    mesh.rest().await;
    let (live, again_live) = mesh.received();
    mesh.cut(cut).await;
    mesh.write().await;
    mesh.heal();
    mesh.rest().await;
    let (came, again) = mesh.received();
    println!(
        "{topology}: {came} entries came, {again} again; joining {before}/{again_before}, live {}/{}, \
         cut and healed {}/{}",
        live - before,
        again_live - again_before,
        came - live,
        again - again_live,
    );
    again * 100 / came
}

#[tokio::test]
async fn twenty_in_a_ring_come_to_hold_the_same_and_little_comes_twice() {
    let mut edges: Edges = (1..SITES).map(|n| (n - 1, n)).collect();
    edges.push((0, SITES - 1));
    let cut = [edges[2], edges[8], edges[14], edges[19]];
    assert!(percent_again("ring", edges, &cut).await < 10);
}

#[tokio::test]
async fn twenty_in_a_star_come_to_hold_the_same_and_little_comes_twice() {
    let edges: Edges = (1..SITES).map(|n| (0, n)).collect();
    let cut = edges[10..].to_vec();
    assert!(percent_again("star", edges, &cut).await < 10);
}

#[tokio::test]
async fn twenty_in_a_random_mesh_come_to_hold_the_same() {
    let mut chance = Randomness::from_seed([9; 32]);
    let mut draw = |below: usize| usize::from(chance.bytes::<1>()[0]) % below;
    let mut edges = BTreeSet::new();
    for n in 1..SITES {
        edges.insert((draw(n), n));
        edges.insert((draw(n), n));
    }
    let edges: Edges = edges.into_iter().collect();
    let cut: Edges = edges.iter().filter(|_| draw(3) == 0).copied().collect();
    percent_again("random mesh", edges, &cut).await;
}

//! Wires between sites and the links over them.
//!
//! Invariant: frames of one direction of a link arrive in order and whole, or a fault that was drawn
//! tampers with them, or the link is cut and nothing of it arrives any more.

use std::collections::BTreeMap;

use crate::chance::Chance;

/// Names a link; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// One of the two ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Where the link was dialled.
    Dialler,
    /// Where it was accepted.
    Responder,
}

impl End {
    /// Returns the other end.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Responder,
            Self::Responder => Self::Dialler,
        }
    }
}

/// What somebody on the path does to the next frame of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tampering {
    /// It does not arrive; later ones do.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the one behind it.
    Swap,
    /// One bit of it is turned.
    Flip,
    /// Its end is missing.
    Truncate,
    /// Random bytes arrive before it.
    Inject,
    /// A frame longer than any may be arrives before it.
    Oversize,
    /// The frame before it arrives again, in its place.
    Replay,
}

/// Every way to tamper.
pub(crate) const TAMPERINGS: [Tampering; 8] = [
    Tampering::Drop,
    Tampering::Duplicate,
    Tampering::Swap,
    Tampering::Flip,
    Tampering::Truncate,
    Tampering::Inject,
    Tampering::Oversize,
    Tampering::Replay,
];

/// More than a frame may be, sealed or not.
const OVERSIZE_BYTES: usize = (1 << 20) + (128 << 10);

/// How frames travel one way over a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// Milliseconds that every frame takes.
    pub(crate) latency: u64,
    /// Greatest number of milliseconds on top.
    pub(crate) jitter: u64,
    /// Bytes that pass in a millisecond.
    pub(crate) bandwidth: u64,
}

/// One direction of a link.
#[derive(Debug)]
struct Direction {
    quality: Quality,
    /// When the frame before arrives.
    last: u64,
    armed: Option<Tampering>,
    held: Option<Vec<u8>>,
    before: Vec<u8>,
    /// Bytes that were sent and have not arrived.
    in_flight: usize,
}

impl Direction {
    const fn new(quality: Quality) -> Self {
        Self { quality, last: 0, armed: None, held: None, before: Vec::new(), in_flight: 0 }
    }

    fn arrival(&mut self, now: u64, length: usize, chance: &mut Chance) -> u64 {
        let travel = self.quality.latency + chance.within(0..=self.quality.jitter);
        let sending = u64::try_from(length).unwrap_or(0) / self.quality.bandwidth.max(1);
        self.last = self.last.max(now + travel) + sending;
        self.last
    }

    fn tampered(&mut self, frame: Vec<u8>, chance: &mut Chance) -> Vec<Vec<u8>> {
        let before = std::mem::replace(&mut self.before, frame.clone());
        let held = self.held.take();
        let mut frames = match self.armed.take() {
            None => vec![frame],
            Some(Tampering::Drop) => Vec::new(),
            Some(Tampering::Duplicate) => vec![frame.clone(), frame],
            Some(Tampering::Swap) => {
                self.held = Some(frame);
                Vec::new()
            }
            Some(Tampering::Flip) => vec![flipped(frame, chance)],
            Some(Tampering::Truncate) => {
                let kept = chance.index(frame.len());
                vec![frame.into_iter().take(kept).collect()]
            }
            Some(Tampering::Inject) => vec![chance.bytes::<40>().to_vec(), frame],
            Some(Tampering::Oversize) => vec![vec![chance.bytes::<1>()[0]; OVERSIZE_BYTES], frame],
            Some(Tampering::Replay) => vec![before],
        };
        frames.extend(held);
        frames
    }
}

fn flipped(mut frame: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let place = chance.index(frame.len());
    if let Some(byte) = frame.get_mut(place) {
        *byte ^= 1 << chance.within(0..=7);
    }
    frame
}

/// One link: who is at its ends, and what travels.
#[derive(Debug)]
pub(crate) struct Link {
    dialler: usize,
    responder: usize,
    /// Set once it was cut or closed: nothing that is sent arrives any more.
    dead: bool,
    to_responder: Direction,
    to_dialler: Direction,
}

impl Link {
    /// Returns the site at an end.
    pub(crate) const fn site(&self, end: End) -> usize {
        match end {
            End::Dialler => self.dialler,
            End::Responder => self.responder,
        }
    }

    /// Returns whether frames still travel.
    pub(crate) const fn is_alive(&self) -> bool {
        !self.dead
    }

    /// Arms a tampering for the next frame towards an end.
    pub(crate) const fn arm(&mut self, to: End, tampering: Tampering) {
        self.towards(to).armed = Some(tampering);
    }

    const fn towards(&mut self, end: End) -> &mut Direction {
        match end {
            End::Dialler => &mut self.to_dialler,
            End::Responder => &mut self.to_responder,
        }
    }
}

/// All links, and which wires are down.
#[derive(Debug, Default)]
pub(crate) struct Network {
    next: u64,
    links: BTreeMap<LinkId, Link>,
    down: BTreeMap<(usize, usize), u64>,
}

const fn wire(a: usize, b: usize) -> (usize, usize) {
    if a < b { (a, b) } else { (b, a) }
}

impl Network {
    /// Opens a link, with how frames travel each way.
    pub(crate) fn open(
        &mut self,
        dialler: usize,
        responder: usize,
        out: Quality,
        back: Quality,
    ) -> LinkId {
        self.next += 1;
        let id = LinkId(self.next);
        let (to_responder, to_dialler) = (Direction::new(out), Direction::new(back));
        let link = Link { dialler, responder, dead: false, to_responder, to_dialler };
        self.links.insert(id, link);
        id
    }

    /// Returns a link.
    pub(crate) fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// Returns a link, to arm it.
    pub(crate) fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// Iterates over the links that frames still travel on.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().filter(|(_, link)| link.is_alive()).map(|(id, link)| (*id, link))
    }

    /// Sends a frame towards an end, and returns what arrives when.
    pub(crate) fn send(
        &mut self,
        id: LinkId,
        to: End,
        frame: Vec<u8>,
        now: u64,
        chance: &mut Chance,
    ) -> Vec<(u64, Vec<u8>)> {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.is_alive()) else {
            return Vec::new();
        };
        let direction = link.towards(to);
        let frames = direction.tampered(frame, chance);
        direction.in_flight += frames.iter().map(Vec::len).sum::<usize>();
        let timed = frames.into_iter();
        timed.map(|frame| (direction.arrival(now, frame.len(), chance), frame)).collect()
    }

    /// Takes note that a frame has arrived.
    pub(crate) fn arrived(&mut self, id: LinkId, to: End, length: usize) {
        if let Some(link) = self.links.get_mut(&id) {
            let direction = link.towards(to);
            direction.in_flight = direction.in_flight.saturating_sub(length);
        }
    }

    /// Returns how many bytes are on their way towards an end.
    pub(crate) fn in_flight(&self, id: LinkId, to: End) -> usize {
        let link = self.links.get(&id);
        link.map_or(0, |link| match to {
            End::Dialler => link.to_dialler.in_flight,
            End::Responder => link.to_responder.in_flight,
        })
    }

    /// Returns when what was sent towards an end has arrived.
    pub(crate) fn last_arrival(&self, id: LinkId, to: End) -> u64 {
        let link = self.links.get(&id);
        link.map_or(0, |link| match to {
            End::Dialler => link.to_dialler.last,
            End::Responder => link.to_responder.last,
        })
    }

    /// Ends a link: nothing that is sent from now on arrives.
    pub(crate) fn kill(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.dead = true;
        }
    }

    /// Takes a wire down; it comes up when it was brought up as often.
    pub(crate) fn take_down(&mut self, a: usize, b: usize) {
        *self.down.entry(wire(a, b)).or_default() += 1;
    }

    /// Brings a wire up that was taken down once.
    pub(crate) fn bring_up(&mut self, a: usize, b: usize) {
        if let Some(times) = self.down.get_mut(&wire(a, b)) {
            *times = times.saturating_sub(1);
        }
    }

    /// Returns whether links can be opened between two sites.
    pub(crate) fn is_up(&self, a: usize, b: usize) -> bool {
        self.down.get(&wire(a, b)).is_none_or(|times| *times == 0)
    }

    /// Brings all wires up and disarms every tampering.
    pub(crate) fn heal(&mut self) {
        self.down.clear();
        for link in self.links.values_mut() {
            link.to_dialler.armed = None;
            link.to_responder.armed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALITY: Quality = Quality { latency: 10, jitter: 30, bandwidth: 100 };

    fn frames(armed: Option<Tampering>) -> Vec<Vec<u8>> {
        let (mut network, mut chance) = (Network::default(), Chance::from_seed(1));
        let id = network.open(0, 1, QUALITY, QUALITY);
        let mut arrived = network.send(id, End::Responder, vec![0; 50], 0, &mut chance);
        if let Some(armed) = armed {
            network.link_mut(id).unwrap().arm(End::Responder, armed);
        }
        for n in 1..4 {
            arrived.extend(network.send(id, End::Responder, vec![n; 50], 0, &mut chance));
        }
        assert!(arrived.is_sorted_by_key(|(time, _)| *time));
        arrived.into_iter().map(|(_, frame)| frame).collect()
    }

    #[test]
    fn frames_arrive_in_order_unless_somebody_tampers() {
        let plain: Vec<Vec<u8>> = (0..4).map(|n| vec![n; 50]).collect();
        assert_eq!(frames(None), plain);
        for tampering in TAMPERINGS {
            assert_ne!(frames(Some(tampering)), plain, "{tampering:?}");
        }
    }

    #[test]
    fn nothing_is_sent_on_a_dead_link() {
        let (mut network, mut chance) = (Network::default(), Chance::from_seed(1));
        let id = network.open(0, 1, QUALITY, QUALITY);
        network.kill(id);
        assert!(network.send(id, End::Dialler, vec![1], 0, &mut chance).is_empty());
        assert_eq!(network.alive().count(), 0);
    }
}

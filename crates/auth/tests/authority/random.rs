//! Random graphs whose entries pass the door: concurrent grants, limits on others and on oneself,
//! demotions, new grants, invites, the wildcard, backdating, ground ids, expiry, data and settings.
//!
//! Invariant: a seed gives the same graph for as long as the rules of the door are the same.

use weald_auth::{Level, Operation, Subject};

use crate::graph::{Graph, KEYS};
use crate::replica::Replica;

/// Keys that administer and write; those after them are invites.
const PEOPLE: usize = 4;
/// Keys of invites.
const TICKETS: usize = 2;

/// A small generator of numbers that are the same everywhere.
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        // An odd step runs through all numbers; the mixing makes neighbours unlike.
        self.0 = self.0.wrapping_add(0x2545_f491_4f6c_dd1d);
        let mixed = (self.0 ^ self.0 >> 31).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 29
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn level(rng: &mut Rng) -> Level {
    let priority = rng.one(&[0, 0, 1, 2, 2, 5]);
    match rng.below(9) {
        0..6 => Level::Admin(priority),
        6..8 => Level::Write(priority),
        _ => Level::Read,
    }
}

fn expires(rng: &mut Rng) -> Option<u64> {
    rng.chance(12).then(|| rng.below(40) as u64)
}

fn operation(rng: &mut Rng) -> Operation {
    let person = Subject::Key(KEYS[rng.below(PEOPLE)]);
    let ticket = KEYS[PEOPLE + rng.below(TICKETS)];
    match rng.below(100) {
        0..6 => Operation::Set { key: "k".into(), value: rng.below(3).to_string() },
        6..13 => {
            let level = rng.one(&[Level::Write(3), Level::Write(10), Level::Read]);
            Operation::Grant { subject: Subject::Anyone, level, name: None, expires: expires(rng) }
        }
        13..50 => Operation::Grant {
            subject: person,
            level: level(rng),
            name: None,
            expires: expires(rng),
        },
        50..63 => Operation::Invite {
            key: ticket,
            gives: rng.one(&[Level::Write(1), Level::Write(2), Level::Write(5), Level::Read]),
            uses: rng.one(&[1, 1, 2]),
            expires: expires(rng),
        },
        _ => {
            let subjects = [person, person, person, person, Subject::Anyone, Subject::Key(ticket)];
            let demotions = [
                None,
                None,
                None,
                Some(Level::Write(3)),
                Some(Level::Write(0)),
                Some(Level::Admin(5)),
                Some(Level::Admin(2)),
                Some(Level::Read),
            ];
            Operation::Limit { subject: rng.one(&subjects), to: rng.one(&demotions) }
        }
    }
}

/// What an entry by `author` says: likely something that it may.
fn operations(rng: &mut Rng, author: usize) -> Option<Vec<Operation>> {
    if author >= PEOPLE && rng.chance(85) {
        let (subject, expires) = (Subject::Key(KEYS[rng.below(PEOPLE)]), None);
        let level = rng.one(&[Level::Write(1), Level::Write(2), Level::Write(5), Level::Read]);
        let count = if rng.chance(10) { 2 } else { 1 };
        return Some(vec![Operation::Grant { subject, level, name: None, expires }; count]);
    }
    if rng.chance(28) {
        return None;
    }
    if rng.chance(7) {
        let to = rng.one(&[None, Some(Level::Admin(5)), Some(Level::Write(2)), Some(Level::Read)]);
        return Some(vec![Operation::Limit { subject: Subject::Key(KEYS[author]), to }]);
    }
    let count = rng.one(&[1, 1, 1, 2, 3]);
    Some((0..count).map(|_| operation(rng)).collect())
}

/// Proposes an entry after some of those that are there.
pub(crate) fn propose(rng: &mut Rng, graph: &mut Graph) -> usize {
    let count = graph.entries.len();
    let first = if rng.chance(70) { count.saturating_sub(3) } else { 0 };
    let wanted = rng.one(&[1, 1, 2, 3]);
    let mut parents: Vec<usize> = (0..wanted).map(|_| first + rng.below(count - first)).collect();
    parents.sort_unstable();
    parents.dedup();
    let author = if rng.chance(25) { 0 } else { rng.below(PEOPLE + TICKETS) };
    let operations = operations(rng, author);
    let (step, grind) = (1 + rng.below(4) as u64, rng.below(4) as u8);
    let place = graph.add(&parents, author, step, operations, grind);
    if rng.chance(8) {
        graph.entries[place].writes_data = true;
    }
    place
}

/// Grows a graph of at most `size` entries that pass the door, and a replica that saw them in order.
pub(crate) fn grow(rng: &mut Rng, size: usize) -> (Graph, Replica) {
    let creator = |key: usize| Operation::Grant {
        subject: Subject::Key(KEYS[key]),
        level: Level::Admin(0),
        name: None,
        expires: None,
    };
    let root = if rng.chance(15) { vec![creator(1), creator(0)] } else { vec![creator(0)] };
    let mut graph = Graph::new(root);
    let mut replica = Replica::default();
    replica.receive(&graph, 0).expect("a root counts");
    for _ in 0..size * 6 {
        if graph.entries.len() == size {
            break;
        }
        let place = propose(rng, &mut graph);
        if replica.receive(&graph, place).is_err() {
            graph.entries.pop();
        }
    }
    (graph, replica)
}

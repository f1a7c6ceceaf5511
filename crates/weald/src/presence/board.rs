//! What was heard lately in an instance, and who watches for more.
//!
//! Invariant: of each author and topic the last message alone is kept, within bounds; the links of the actor are told
//! of what is said here and of nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use weald_dag::{DatabaseId, PublicKey};
use weald_sync::PresenceMessage;
use weald_transports::PresenceFeed;

use super::PRESENT_PER_DATABASE_MAX;
use super::heard::Heard;
use super::watch::{PresenceWatch, Queue};

/// How long anything is remembered at most.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// What is said and heard in an instance.
#[derive(Default)]
pub(crate) struct PresenceBoard(Mutex<State>);

#[derive(Default)]
struct State {
    rooms: BTreeMap<DatabaseId, Room>,
    watching: Vec<Watching>,
    /// The links of the actor, once there is one.
    links: Option<PresenceFeed>,
    closed: bool,
}

/// The last message of each author on each topic of a database.
type Room = BTreeMap<(String, PublicKey), Heard>;

struct Watching {
    database: DatabaseId,
    topic: String,
    queue: Weak<Queue>,
}

impl PresenceBoard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the links of an actor from now on.
    pub(crate) fn tell_by(&self, links: PresenceFeed) {
        self.state().links = Some(links);
    }

    /// Says something here and on all links.
    pub(super) fn publish(&self, database: DatabaseId, message: PresenceMessage) {
        let (links, message) = (self.state().links.clone(), Arc::new(message));
        if let Some(links) = links {
            links.tell(database, &message);
        }
        self.heard(database, message);
    }

    /// Takes note of a message that was said here, or was found genuine.
    pub(crate) fn heard(&self, database: DatabaseId, message: Arc<PresenceMessage>) {
        let heard = Heard { message, at: Instant::now() };
        let queues = self.state().hear(database, &heard);
        queues.into_iter().for_each(|queue| queue.push(heard.clone()));
    }

    pub(super) fn watch(&self, database: DatabaseId, topic: &str) -> PresenceWatch {
        let (queue, topic) = (Arc::<Queue>::default(), topic.to_owned());
        let mut state = self.state();
        if state.closed {
            queue.close();
        } else {
            let watching = Watching { database, topic, queue: Arc::downgrade(&queue) };
            state.watching.retain(|other| other.queue.strong_count() > 0);
            state.watching.push(watching);
        }
        PresenceWatch { queue }
    }

    /// Returns the last message of each author who was heard on a topic within this time, latest first.
    pub(super) fn who(&self, database: &DatabaseId, topic: &str, within: Duration) -> Vec<Heard> {
        let (state, within) = (self.state(), within.min(REMEMBERED));
        let room = state.rooms.get(database).into_iter().flatten();
        let heard = room.filter(|((of, _), heard)| of == topic && heard.age() < within);
        let mut heard: Vec<Heard> = heard.map(|(_, heard)| heard.clone()).collect();
        heard.sort_by_key(|heard| std::cmp::Reverse(heard.at));
        heard
    }

    /// Ends every watch; nothing is heard from now on.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        let watching = std::mem::take(&mut *state).watching;
        state.closed = true;
        drop(state);
        watching.iter().filter_map(|one| one.queue.upgrade()).for_each(|queue| queue.close());
    }
}

impl State {
    /// Remembers a message; returns the queues of those who watch for it.
    fn hear(&mut self, database: DatabaseId, heard: &Heard) -> Vec<Arc<Queue>> {
        if self.closed {
            return Vec::new();
        }
        let room = self.rooms.entry(database).or_default();
        let place = (heard.topic().to_owned(), heard.author());
        // Of two that overtook each other on the way the later one stays.
        if room.get(&place).is_none_or(|last| last.time() <= heard.time()) {
            room.insert(place, heard.clone());
        }
        if room.len() > PRESENT_PER_DATABASE_MAX {
            make_room(room);
        }
        let watching = self.watching.iter();
        let fits = watching.filter(|one| one.database == database && one.topic == heard.topic());
        fits.filter_map(|one| one.queue.upgrade()).collect()
    }
}

/// Forgets what was heard too long ago, and a quarter of the rest where that is not enough.
fn make_room(room: &mut Room) {
    room.retain(|_, heard| heard.age() < REMEMBERED);
    if room.len() <= PRESENT_PER_DATABASE_MAX {
        return;
    }
    let mut times: Vec<Instant> = room.values().map(|heard| heard.at).collect();
    times.sort_unstable();
    if let Some(from) = times.get(PRESENT_PER_DATABASE_MAX / 4) {
        let from = *from;
        room.retain(|_, heard| heard.at > from);
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    #[test]
    fn what_is_remembered_of_strangers_is_bounded_and_the_last_heard_stay() {
        let board = PresenceBoard::default();
        let database = DatabaseId::from_bytes([1; 32]);
        let mut last = None;
        for n in 0..3 * PRESENT_PER_DATABASE_MAX as u64 {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            let key = SecretKey::from_seed(&seed);
            let message = PresenceMessage::sign(&key, &database, "here".into(), vec![], n, [0; 16]);
            board.heard(database, Arc::new(message));
            last = Some(key.public());
        }
        let heard = board.who(&database, "here", Duration::MAX);
        assert!(heard.len() <= PRESENT_PER_DATABASE_MAX, "{}", heard.len());
        assert!(heard.len() >= PRESENT_PER_DATABASE_MAX / 2, "{}", heard.len());
        assert_eq!(heard.first().map(Heard::author), last);
    }

    #[test]
    fn of_one_author_the_latest_by_its_own_clock_stays() {
        let board = PresenceBoard::default();
        let (key, database) = (SecretKey::from_seed(&[1; 32]), DatabaseId::from_bytes([1; 32]));
        for (time, body) in [(2, vec![2]), (1, vec![1])] {
            let message =
                PresenceMessage::sign(&key, &database, "here".into(), body, time, [0; 16]);
            board.heard(database, Arc::new(message));
        }
        let heard = board.who(&database, "here", Duration::MAX);
        assert_eq!(heard.iter().map(Heard::body).collect::<Vec<_>>(), [[2]]);
    }
}

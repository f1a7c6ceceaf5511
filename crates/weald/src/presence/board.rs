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

use super::heard::Heard;
use super::watch::{PresenceWatch, Queue};
use super::{PRESENCE_TTL, PRESENT_PER_DATABASE_MAX, TOPICS_PER_AUTHOR_MAX};

/// How long anything is remembered at most.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How often what is older is looked for.
const SWEPT_EVERY: Duration = Duration::from_secs(60);

/// What is said and heard in an instance.
#[derive(Default)]
pub(crate) struct PresenceBoard(Mutex<State>);

#[derive(Default)]
struct State {
    rooms: BTreeMap<DatabaseId, Room>,
    watching: Vec<Watching>,
    /// The links of the actor, once there is one.
    links: Option<PresenceFeed>,
    /// When what is too old was looked for last.
    swept: Option<Instant>,
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
        self.sweep();
        let room = self.rooms.entry(database).or_default();
        let place = (heard.topic().to_owned(), heard.author());
        if !room.contains_key(&place) {
            make_room_of_author(room, &heard.author());
        }
        // Of two that overtook each other on the way the later one stays; who has set its clock back is here too.
        let last = room.get(&place);
        if last.is_none_or(|last| last.time() <= heard.time() || last.age() >= PRESENCE_TTL) {
            room.insert(place, heard.clone());
        }
        if room.len() > PRESENT_PER_DATABASE_MAX {
            make_room(room);
        }
        let watching = self.watching.iter();
        let fits = watching.filter(|one| one.database == database && one.topic == heard.topic());
        fits.filter_map(|one| one.queue.upgrade()).collect()
    }

    /// Forgets now and then what was heard too long ago in any database.
    fn sweep(&mut self) {
        if self.swept.is_some_and(|swept| swept.elapsed() < SWEPT_EVERY) {
            return;
        }
        self.swept = Some(Instant::now());
        self.rooms.retain(|_, room| {
            room.retain(|_, heard| heard.age() < REMEMBERED);
            !room.is_empty()
        });
    }
}

/// Forgets what an author said longest ago where it has spoken on so many topics: nobody else is forgotten for it.
fn make_room_of_author(room: &mut Room, author: &PublicKey) {
    let of_author = room.iter().filter(|((_, of), _)| of == author);
    let (count, oldest) = of_author.fold((0, None), |(count, oldest), (place, heard)| {
        let older = oldest.is_none_or(|(_, at)| heard.at < at);
        (count + 1, if older { Some((place, heard.at)) } else { oldest })
    });
    if count >= TOPICS_PER_AUTHOR_MAX
        && let Some(place) = oldest.map(|(place, _)| place.clone())
    {
        room.remove(&place);
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
    fn who_speaks_on_ever_more_topics_has_nobody_else_forgotten() {
        let board = PresenceBoard::default();
        let database = DatabaseId::from_bytes([1; 32]);
        let say = |seed: u8, topic: String, time| {
            let key = SecretKey::from_seed(&[seed; 32]);
            let message = PresenceMessage::sign(&key, &database, topic, vec![], time, [0; 16]);
            board.heard(database, Arc::new(message));
        };
        say(1, "here".into(), 0);
        for n in 0..2 * PRESENT_PER_DATABASE_MAX {
            say(2, format!("topic {n}"), n as u64);
        }
        say(2, "here".into(), 1);
        assert_eq!(board.who(&database, "here", Duration::MAX).len(), 2);
        let remembered = board.state().rooms.get(&database).unwrap().len();
        assert_eq!(remembered, 1 + TOPICS_PER_AUTHOR_MAX);
    }

    #[test]
    fn who_has_set_its_clock_back_is_here_once_what_it_said_before_is_old() {
        let board = PresenceBoard::default();
        let (key, database) = (SecretKey::from_seed(&[1; 32]), DatabaseId::from_bytes([1; 32]));
        let Some(before) = Instant::now().checked_sub(2 * PRESENCE_TTL) else { return };
        let say = |time, at| {
            let message = PresenceMessage::sign(&key, &database, "h".into(), vec![], time, [0; 16]);
            board.state().hear(database, &Heard { message: Arc::new(message), at });
        };
        say(9, before);
        assert!(board.who(&database, "h", PRESENCE_TTL).is_empty());
        say(1, Instant::now());
        assert_eq!(board.who(&database, "h", PRESENCE_TTL).len(), 1);
    }

    #[test]
    fn what_was_heard_too_long_ago_is_forgotten_in_every_database() {
        let board = PresenceBoard::default();
        let key = SecretKey::from_seed(&[1; 32]);
        let Some(before) = Instant::now().checked_sub(REMEMBERED) else { return };
        for n in 0..9 {
            let database = DatabaseId::from_bytes([n; 32]);
            let at = if n == 0 { before } else { Instant::now() };
            let message = PresenceMessage::sign(&key, &database, "h".into(), vec![], 1, [0; 16]);
            board.state().swept = None;
            board.state().hear(database, &Heard { message: Arc::new(message), at });
        }
        assert_eq!(board.state().rooms.len(), 8);
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

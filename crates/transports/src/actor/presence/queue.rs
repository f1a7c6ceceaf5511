//! What is to be said on one link and has not been yet.
//!
//! Invariant: it is bounded in bytes, and for each author in messages, so that who says much makes nobody else wait
//! long; under pressure of each author and topic the newest stays, and the oldest go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weald_dag::DatabaseId;
use weald_sync::PresenceMessage;

use crate::actor::limits::{PRESENCE_QUEUE_BYTES, PRESENCE_QUEUED_PER_AUTHOR};

/// A message and the database that it is about.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) database: DatabaseId,
    pub(crate) message: Arc<PresenceMessage>,
}

impl Said {
    /// Returns whether the other is said by the same author on the same topic.
    fn is_followed_by(&self, other: &Self) -> bool {
        self.is_of_author_of(other) && self.message.topic == other.message.topic
    }

    fn is_of_author_of(&self, other: &Self) -> bool {
        let of = |said: &Self| (said.database, said.message.author);
        of(self) == of(other)
    }
}

/// What waits to be said on one link.
#[derive(Debug, Default)]
pub(crate) struct PresenceQueue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    said: VecDeque<Said>,
    bytes: usize,
    /// Whether the link does not keep up.
    pressed: bool,
}

impl Waiting {
    fn keep(&mut self, keep: impl Fn(&Said) -> bool) {
        self.said.retain(keep);
        self.bytes = self.said.iter().map(|said| said.message.weight()).sum();
    }

    /// Makes room for one more of its author where so many of that author wait already.
    fn thin_out(&mut self, newest: &Said) {
        let of_author = |said: &Said| said.is_of_author_of(newest);
        if self.said.iter().filter(|said| of_author(said)).count() < PRESENCE_QUEUED_PER_AUTHOR {
            return;
        }
        let oldest = self.said.iter().position(of_author);
        if let Some(oldest) = oldest.and_then(|place| self.said.remove(place)) {
            self.bytes = self.bytes.saturating_sub(oldest.message.weight());
        }
    }

    fn pop(&mut self) -> Option<Said> {
        let said = self.said.pop_front()?;
        self.bytes = self.bytes.saturating_sub(said.message.weight());
        Some(said)
    }
}

impl PresenceQueue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, said: Said) {
        let mut waiting = self.lock();
        let bytes = said.message.weight();
        if waiting.pressed || waiting.bytes + bytes > PRESENCE_QUEUE_BYTES {
            waiting.keep(|before| !before.is_followed_by(&said));
        }
        waiting.thin_out(&said);
        while waiting.bytes + bytes > PRESENCE_QUEUE_BYTES && waiting.pop().is_some() {}
        waiting.bytes += bytes;
        waiting.said.push_back(said);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Takes note of whether the link keeps up.
    pub(crate) fn press(&self, pressed: bool) {
        self.lock().pressed = pressed;
    }

    /// Waits until there is something to say. Cancel safe.
    pub(crate) async fn filled(&self) {
        while self.lock().said.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Takes what has waited longest.
    pub(crate) fn take(&self) -> Option<Said> {
        self.lock().pop()
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    fn said(author: u8, topic: &str, bytes: usize, nonce: u8) -> Said {
        let (key, database) =
            (SecretKey::from_seed(&[author; 32]), DatabaseId::from_bytes([2; 32]));
        let message =
            PresenceMessage::sign(&key, &database, topic.into(), vec![0; bytes], 0, [nonce; 16]);
        Said { database, message: Arc::new(message) }
    }

    fn nonces(queue: &PresenceQueue) -> Vec<u8> {
        std::iter::from_fn(|| queue.take()).map(|said| said.message.nonce[0]).collect()
    }

    #[test]
    fn all_is_said_in_order_while_the_link_keeps_up() {
        let queue = PresenceQueue::default();
        (0..5).for_each(|n| queue.push(said(1, "typing", 10, n)));
        assert_eq!(nonces(&queue), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn under_pressure_the_newest_of_each_author_and_topic_stays() {
        let queue = PresenceQueue::default();
        queue.press(true);
        for n in 0..9 {
            queue.push(said(n % 2, "typing", 10, n));
        }
        queue.push(said(1, "cursor", 10, 9));
        assert_eq!(nonces(&queue), [7, 8, 9]);
    }

    #[test]
    fn who_says_much_on_many_topics_makes_nobody_else_wait_long() {
        let queue = PresenceQueue::default();
        queue.push(said(1, "typing", 10, 1));
        for n in 0..5_000 {
            queue.push(said(2, &format!("topic {n}"), 10, 2));
        }
        queue.push(said(3, "typing", 10, 3));
        let left = nonces(&queue);
        assert!(left.len() == PRESENCE_QUEUED_PER_AUTHOR + 2, "{}", left.len());
        assert!(left.starts_with(&[1]) && left.ends_with(&[2, 3]));
        assert_eq!(queue.lock().bytes, 0);
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_go() {
        let queue = PresenceQueue::default();
        for n in 0..200 {
            queue.push(said(n, "typing", 4_000, n));
            assert!(queue.lock().bytes <= PRESENCE_QUEUE_BYTES);
        }
        let left = nonces(&queue);
        assert!(left.len() > 10 && left.ends_with(&[198, 199]), "{left:?}");
        assert_eq!(queue.lock().bytes, 0);
    }
}

//! Which presence messages are listened to: genuine ones of now, each once.
//!
//! Invariant: what is remembered is bounded, and only what was genuine is remembered, so nobody can have another's
//! message taken for a repeat.

use std::collections::{BTreeSet, VecDeque};

use thiserror::Error;
use weald_dag::DatabaseId;

use crate::limits::{PRESENCE_LOOKED_PER_SECOND, PRESENCE_REMEMBERED_MAX, PRESENCE_SKEW_MS};
use crate::presence::PresenceMessage;

/// Why a presence message is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unheard {
    /// It is older, or further ahead, than clocks may differ.
    #[error("it is not of now: check that the clocks of both devices are right")]
    NotOfNow,
    /// It was heard before.
    #[error("it was heard before")]
    Repeated,
    /// Its author may not read the database.
    #[error("its author may not read the database: grant it access")]
    MayNotRead,
    /// So much is said at once on all links that it was not looked at.
    #[error("too much is said at once: say less, or take the access of who says so much")]
    TooMuch,
    /// Its author has not signed it.
    #[error("it was not signed by its author")]
    Forged,
}

type Mark = [u8; 16];

/// What was heard lately.
#[derive(Debug, Default)]
pub struct Hearing {
    marks: BTreeSet<Mark>,
    /// In the order in which they were heard, with the time of the clock.
    order: VecDeque<(u64, Mark)>,
    /// The second of the clock in which messages were looked at last, and how many.
    looked: (u64, u64),
}

fn short(message: &PresenceMessage, database: &DatabaseId) -> Mark {
    let mut mark = [0; 16];
    mark.iter_mut().zip(message.mark(database)).for_each(|(to, from)| *to = from);
    mark
}

impl Hearing {
    /// Looks whether a message is of now and new, by a clock in milliseconds since 1970. That is cheap, and says
    /// nothing of its signature.
    ///
    /// # Errors
    /// [`Unheard::NotOfNow`], [`Unheard::Repeated`], [`Unheard::TooMuch`].
    pub fn check(
        &mut self,
        database: &DatabaseId,
        message: &PresenceMessage,
        wall: u64,
    ) -> Result<(), Unheard> {
        if message.time.abs_diff(wall) > PRESENCE_SKEW_MS {
            return Err(Unheard::NotOfNow);
        }
        if self.marks.contains(&short(message, database)) {
            return Err(Unheard::Repeated);
        }
        let second = wall / 1_000;
        self.looked = (second, if self.looked.0 == second { self.looked.1 + 1 } else { 1 });
        if self.looked.1 > PRESENCE_LOOKED_PER_SECOND { Err(Unheard::TooMuch) } else { Ok(()) }
    }

    /// Remembers a genuine message for as long as it could be of now; returns whether it is new.
    pub fn remember(
        &mut self,
        database: &DatabaseId,
        message: &PresenceMessage,
        wall: u64,
    ) -> bool {
        let mark = short(message, database);
        if !self.marks.insert(mark) {
            return false;
        }
        self.order.push_back((wall, mark));
        while self.order.len() > PRESENCE_REMEMBERED_MAX || self.is_past(wall) {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.marks.remove(&oldest);
        }
        true
    }

    /// Returns whether the clock alone keeps what was heard first from being heard again: it was at most so far
    /// ahead then as it may be behind now.
    fn is_past(&self, wall: u64) -> bool {
        let first = self.order.front();
        first.is_some_and(|(heard, _)| wall.saturating_sub(*heard) > 2 * PRESENCE_SKEW_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weald_dag::SecretKey;

    const NOW: u64 = 1_800_000_000_000;

    fn said(time: u64, nonce: u8) -> (DatabaseId, PresenceMessage) {
        let (key, database) = (SecretKey::from_seed(&[1; 32]), DatabaseId::from_bytes([2; 32]));
        let message =
            PresenceMessage::sign(&key, &database, "t".into(), vec![1], time, [nonce; 16]);
        (database, message)
    }

    #[test]
    fn what_is_said_now_is_heard_once() {
        let mut hearing = Hearing::default();
        let (database, message) = said(NOW, 1);
        assert_eq!(hearing.check(&database, &message, NOW), Ok(()));
        assert!(hearing.remember(&database, &message, NOW));
        assert_eq!(hearing.check(&database, &message, NOW), Err(Unheard::Repeated));
        assert!(!hearing.remember(&database, &message, NOW));
        let (_, again) = said(NOW, 2);
        assert_eq!(hearing.check(&database, &again, NOW), Ok(()), "said once more");
        let elsewhere = DatabaseId::from_bytes([3; 32]);
        assert_eq!(hearing.check(&elsewhere, &message, NOW), Ok(()), "another database");
    }

    #[test]
    fn what_is_not_of_now_is_not_heard() {
        let mut hearing = Hearing::default();
        let (database, message) = said(NOW, 1);
        for wall in [NOW - PRESENCE_SKEW_MS, NOW + PRESENCE_SKEW_MS] {
            assert_eq!(hearing.check(&database, &message, wall), Ok(()));
        }
        for wall in [0, NOW - PRESENCE_SKEW_MS - 1, NOW + PRESENCE_SKEW_MS + 1, u64::MAX] {
            assert_eq!(hearing.check(&database, &message, wall), Err(Unheard::NotOfNow));
        }
    }

    #[test]
    fn so_many_are_looked_at_each_second() {
        let mut hearing = Hearing::default();
        let (database, message) = said(NOW, 1);
        for second in [NOW, NOW + 1_000] {
            for _ in 0..PRESENCE_LOOKED_PER_SECOND {
                assert_eq!(hearing.check(&database, &message, second), Ok(()));
            }
            assert_eq!(hearing.check(&database, &message, second), Err(Unheard::TooMuch));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut hearing = Hearing::default();
        let (database, mut message) = said(NOW, 1);
        for n in 0..PRESENCE_REMEMBERED_MAX as u64 + 1_000 {
            message.time = n;
            assert!(hearing.remember(&database, &message, NOW));
        }
        assert_eq!(hearing.marks.len(), PRESENCE_REMEMBERED_MAX);
        assert_eq!(hearing.order.len(), PRESENCE_REMEMBERED_MAX);
    }

    #[test]
    fn what_was_heard_is_no_news_however_much_is_said_while_it_is_of_now() {
        let mut hearing = Hearing::default();
        let (database, first) = said(NOW + PRESENCE_SKEW_MS, 1);
        assert!(hearing.remember(&database, &first, NOW));
        // As much as is looked at on all links meanwhile.
        let mut other = first.clone();
        for n in 0..2 * PRESENCE_SKEW_MS / 1_000 * PRESENCE_LOOKED_PER_SECOND - 1 {
            other.time = n;
            let wall = NOW + n * 1_000 / PRESENCE_LOOKED_PER_SECOND;
            assert!(hearing.remember(&database, &other, wall));
        }
        let last = NOW + 2 * PRESENCE_SKEW_MS;
        assert_eq!(hearing.check(&database, &first, last), Err(Unheard::Repeated));
        assert_eq!(hearing.check(&database, &first, last + 1), Err(Unheard::NotOfNow));
        let (_, now) = said(last + 1, 2);
        assert!(hearing.remember(&database, &now, last + 2 * PRESENCE_SKEW_MS + 1));
        assert_eq!((hearing.marks.len(), hearing.order.len()), (1, 1), "nothing of before");
    }

    #[test]
    fn a_message_is_genuine_as_it_was_signed_and_nowhere_else() {
        let (database, message) = said(NOW, 1);
        assert!(message.is_genuine(&database));
        assert!(!message.is_genuine(&DatabaseId::from_bytes([3; 32])));
        let other = SecretKey::from_seed(&[9; 32]).public();
        let changed = [
            PresenceMessage { topic: "u".into(), ..message.clone() },
            PresenceMessage { body: vec![2], ..message.clone() },
            PresenceMessage { author: other, ..message.clone() },
            PresenceMessage { time: NOW + 1, ..message.clone() },
            PresenceMessage { nonce: [9; 16], ..message.clone() },
        ];
        assert!(changed.iter().all(|message| !message.is_genuine(&database)));
    }
}

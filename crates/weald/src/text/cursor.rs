//! A place in a text that stays where it is while others edit around it.
//!
//! Invariant: it names a character, not a number, so it means the same on every replica.

use serde::{Deserialize, Serialize};

use super::update::Id;

/// The neighbour that a cursor stays with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// It stays behind the character before it: what is inserted at its place comes after it.
    #[default]
    Left,
    /// It stays in front of the character after it: what is inserted at its place comes before it.
    Right,
}

/// A place in a text; serializable, to keep it or send it to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextCursor(pub(super) Anchor);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Anchor {
    Start,
    End,
    After { peer: u64, counter: u32 },
    Before { peer: u64, counter: u32 },
}

impl Anchor {
    pub(super) const fn after(id: &Id) -> Self {
        Self::After { peer: id.peer, counter: id.counter }
    }

    pub(super) const fn before(id: &Id) -> Self {
        Self::Before { peer: id.peer, counter: id.counter }
    }
}

//! What a holder may do: `Admin(p)` includes `Write(p)`, which includes `Read`.
//!
//! Invariant: a smaller priority is stronger, and a level never covers more than its holder could
//! grant.

use std::fmt;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Receive the database by sync.
    Read,
    /// Write to any store but the settings.
    Write,
    /// Write to the settings.
    Administer,
}

/// How much is granted. The number is the priority; smaller is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything, and granting up to one's own priority.
    Admin(u32),
    /// Writing data, and reading.
    Write(u32),
    /// Reading by sync.
    Read,
}

impl Level {
    /// Returns the priority; that of `Read`, which has none, is the weakest.
    pub const fn priority(self) -> u32 {
        match self {
            Self::Admin(priority) | Self::Write(priority) => priority,
            Self::Read => u32::MAX,
        }
    }

    /// Returns whether who holds this level has no need of `wanted`: `Write(10)` covers `Write(15)`
    /// and `Read`, not `Write(5)`.
    pub const fn covers(&self, wanted: Self) -> bool {
        self.kind() <= wanted.kind() && self.priority() <= wanted.priority()
    }

    /// Returns whether the level allows `action`.
    pub const fn allows(&self, action: Action) -> bool {
        match action {
            Action::Read => true,
            Action::Write => matches!(self, Self::Admin(_) | Self::Write(_)),
            Action::Administer => matches!(self, Self::Admin(_)),
        }
    }

    /// Returns what a limit to another level leaves: the weaker kind, and the weaker priority.
    pub(crate) fn limited(self, to: Self) -> Self {
        let priority = self.priority().max(to.priority());
        match self.kind().max(to.kind()) {
            0 => Self::Admin(priority),
            1 => Self::Write(priority),
            _ => Self::Read,
        }
    }

    /// Returns the least level that covers both.
    pub(crate) fn joined(self, other: Self) -> Self {
        let priority = self.priority().min(other.priority());
        match self.kind().min(other.kind()) {
            0 => Self::Admin(priority),
            1 => Self::Write(priority),
            _ => Self::Read,
        }
    }

    /// Returns a key by which levels are compared; smaller is stronger.
    pub(crate) const fn strength(self) -> (u8, u32) {
        (self.kind(), self.priority())
    }

    const fn kind(self) -> u8 {
        match self {
            Self::Admin(_) => 0,
            Self::Write(_) => 1,
            Self::Read => 2,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(priority) => write!(f, "Admin({priority})"),
            Self::Write(priority) => write!(f, "Write({priority})"),
            Self::Read => f.write_str("Read"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading needs Read",
            Self::Write => "writing needs Write",
            Self::Administer => "changing the settings needs Admin",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_covers_what_is_weaker_in_kind_and_priority() {
        assert!(Level::Write(10).covers(Level::Write(15)));
        assert!(!Level::Write(10).covers(Level::Write(5)));
        assert!(Level::Admin(3).covers(Level::Write(3)));
        assert!(!Level::Admin(3).covers(Level::Write(2)));
        assert!(!Level::Write(0).covers(Level::Admin(9)));
        assert!(Level::Write(u32::MAX).covers(Level::Read));
        assert!(Level::Read.covers(Level::Read));
        assert!(!Level::Read.covers(Level::Write(u32::MAX)));
    }

    #[test]
    fn each_level_allows_what_the_weaker_ones_do() {
        let levels = [Level::Admin(0), Level::Write(0), Level::Read];
        let allowed = |action| levels.map(|level| level.allows(action));
        assert_eq!(allowed(Action::Read), [true, true, true]);
        assert_eq!(allowed(Action::Write), [true, true, false]);
        assert_eq!(allowed(Action::Administer), [true, false, false]);
    }
}

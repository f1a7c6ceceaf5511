//! Hybrid logical time: it orders concurrent writes and is shown to people; it decides nothing else.

use std::fmt;

/// How many bits of a time count events within one millisecond.
const COUNTER_BITS: u32 = 16;
/// The greatest wall time that fits, in milliseconds since 1970 (the year 10889).
const MILLIS_MAX: u64 = u64::MAX >> COUNTER_BITS;

/// Milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of 1970, before every entry.
    pub const ZERO: Self = Self(0);

    /// Takes a time as it stands in an entry.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Takes a wall-clock time in milliseconds since 1970; later times than fit are cut.
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > MILLIS_MAX { MILLIS_MAX } else { millis } << COUNTER_BITS)
    }

    /// Returns the time as it stands in an entry.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Returns the milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// Returns the next time, or `None` at the end of time.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:05} ms", self.millis(), self.0 & ((1 << COUNTER_BITS) - 1))
    }
}

/// The hybrid logical clock of one instance.
///
/// Source: Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots", 2014.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: Time,
}

impl Clock {
    /// Starts a clock after the greatest time seen so far.
    pub const fn after(last: Time) -> Self {
        Self { last }
    }

    /// Returns the time of a new entry: after the wall clock, after what was given before and after
    /// every parent. `None` at the end of time, when no later time can be written.
    pub fn tick(&mut self, wall_millis: u64, parents: Time) -> Option<Time> {
        let time = Time::from_millis(wall_millis).max(self.last).max(parents).next()?;
        self.last = time;
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_rises_while_the_wall_clock_stands_or_falls() {
        let mut clock = Clock::default();
        let first = clock.tick(1000, Time::ZERO).unwrap();
        let second = clock.tick(1000, Time::ZERO).unwrap();
        let third = clock.tick(500, Time::from_millis(2000)).unwrap();
        assert!(first < second && second < third);
        assert_eq!(third.millis(), 2000);
        assert_eq!(clock.tick(0, Time::from_raw(u64::MAX)), None);
    }
}

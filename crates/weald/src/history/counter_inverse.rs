//! Taking back what entries did to a counter: the opposite is added.
//!
//! Invariant: what others have added stays counted; what somebody has reset since is not taken away
//! twice.

use super::run::Whose;

/// What is to be done to a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CounterInverse {
    Nothing,
    /// It was reset since.
    Changed,
    /// It counts nothing but what the entries added, so that none of it is left.
    Reset,
    /// This is added, also if it is zero: then there is a counter again.
    Add(i128),
}

/// What the entries' changes come to, as the steps are gone over.
#[derive(Default)]
struct Tally {
    has_changed: bool,
    net: i128,
    /// Whether there was a counter before the first change, and after the last.
    existed: bool,
    exists: bool,
    /// Whether nobody else has added to it.
    is_alone: bool,
    /// What was there when it was reset since, until that is taken back.
    lost: Option<i128>,
    /// Whether somebody else has reset it since.
    is_reset: bool,
}

impl Tally {
    fn theirs(&mut self, before: Option<i128>, after: Option<i128>) {
        if !self.has_changed || self.is_lost() {
            // A reset has taken away what they had added before.
            let existed = before.is_some();
            *self = Self { has_changed: true, existed, is_alone: !existed, ..Self::default() };
        }
        self.exists = after.is_some();
        self.net = self.net.saturating_add(after.unwrap_or(0).saturating_sub(before.unwrap_or(0)));
    }

    fn others(&mut self, whose: Whose, before: Option<i128>, after: Option<i128>) {
        if !self.has_changed {
            return;
        }
        if whose == Whose::Own && self.lost.is_some() && self.lost == after {
            self.lost = None;
        } else if after.is_none() {
            self.is_reset |= whose == Whose::Foreign;
            // Where they left nothing, there was nothing of theirs to lose.
            self.lost = self.lost.or(before.filter(|_| self.exists));
        } else {
            // What one's own have added, and taken back, shows in what is counted now.
            self.is_alone &= whose == Whose::Own;
        }
    }

    const fn is_lost(&self) -> bool {
        self.is_reset || self.lost.is_some()
    }
}

/// Says what takes the entries' increments and resets back; `steps` are all of the counter's, in
/// order, with what it counted before and after, `None` if nothing was added to it since its reset.
pub(super) fn inverse(steps: &[(Whose, Option<i128>, Option<i128>)]) -> CounterInverse {
    let mut tally = Tally::default();
    for (whose, before, after) in steps {
        match whose {
            Whose::Theirs => tally.theirs(*before, *after),
            whose => tally.others(*whose, *before, *after),
        }
    }
    let now = steps.last().and_then(|(.., now)| *now);
    if tally.net == 0 && tally.existed == tally.exists {
        CounterInverse::Nothing
    } else if tally.is_lost() {
        CounterInverse::Changed
    } else if tally.is_alone && now == Some(tally.net) {
        CounterInverse::Reset
    } else {
        CounterInverse::Add(tally.net.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Whose::{Foreign, Own, Theirs};

    fn steps(after: &[(Whose, Option<i128>)]) -> Vec<(Whose, Option<i128>, Option<i128>)> {
        let mut before = None;
        let step = |(whose, after): &(Whose, Option<i128>)| {
            (*whose, std::mem::replace(&mut before, *after), *after)
        };
        after.iter().map(step).collect()
    }

    #[test]
    fn the_opposite_is_added_whatever_others_added() {
        let others = steps(&[(Foreign, Some(1)), (Theirs, Some(6)), (Foreign, Some(8))]);
        assert_eq!(inverse(&others), CounterInverse::Add(-5));
        let reset = steps(&[(Foreign, Some(3)), (Theirs, None)]);
        assert_eq!(inverse(&reset), CounterInverse::Add(3));
        let since = steps(&[(Theirs, Some(2)), (Foreign, Some(3))]);
        assert_eq!(inverse(&since), CounterInverse::Add(-2));
    }

    #[test]
    fn a_counter_that_was_theirs_alone_is_empty_again() {
        assert_eq!(inverse(&steps(&[(Theirs, Some(5))])), CounterInverse::Reset);
        let twice = steps(&[(Theirs, Some(5)), (Theirs, Some(7))]);
        assert_eq!(inverse(&twice), CounterInverse::Reset);
        assert_eq!(inverse(&steps(&[(Theirs, Some(0))])), CounterInverse::Reset);
        let gone = steps(&[(Own, Some(0)), (Theirs, None)]);
        assert_eq!(inverse(&gone), CounterInverse::Add(0));
        let other = steps(&[(Own, Some(1)), (Theirs, Some(5))]);
        assert_eq!(inverse(&other), CounterInverse::Add(-4));
    }

    #[test]
    fn what_was_reset_since_is_not_taken_away_again() {
        assert_eq!(inverse(&steps(&[(Theirs, Some(5)), (Foreign, None)])), CounterInverse::Changed);
        let again = steps(&[(Theirs, Some(5)), (Foreign, None), (Foreign, Some(5))]);
        assert_eq!(inverse(&again), CounterInverse::Changed);
        let more = steps(&[(Theirs, Some(5)), (Foreign, None), (Theirs, Some(2))]);
        assert_eq!(inverse(&more), CounterInverse::Reset);
        let undone = steps(&[(Theirs, Some(5)), (Own, None), (Own, Some(5))]);
        assert_eq!(inverse(&undone), CounterInverse::Reset);
        assert_eq!(inverse(&steps(&[(Theirs, Some(5)), (Theirs, None)])), CounterInverse::Nothing);
    }
}

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
    /// This is added.
    Add(i128),
}

/// Says what takes the entries' increments and resets back; `steps` are all of the counter's, in
/// order, with what it counted before and after, `None` if nothing was added to it since its reset.
pub(super) fn inverse(steps: &[(Whose, Option<i128>, Option<i128>)]) -> CounterInverse {
    let mut net: i128 = 0;
    let mut is_theirs_alone = true;
    // What was there when it was reset since, until that is taken back.
    let mut lost: Option<i128> = None;
    let mut is_reset = false;
    let mut has_changed = false;
    for (whose, before, after) in steps {
        let change = after.unwrap_or(0).saturating_sub(before.unwrap_or(0));
        match whose {
            Whose::Theirs => {
                is_theirs_alone = before.is_none() || (is_theirs_alone && has_changed);
                // A reset has taken away what they had added before.
                let kept = if is_reset || lost.is_some() { 0 } else { net };
                net = kept.saturating_add(change);
                (has_changed, is_reset, lost) = (true, false, None);
            }
            _ if !has_changed => is_theirs_alone = after.is_none(),
            Whose::Own if lost.is_some() && lost == *after => lost = None,
            _ => match after {
                None => {
                    is_reset |= *whose == Whose::Foreign;
                    lost = lost.or(*before);
                }
                Some(_) => is_theirs_alone = false,
            },
        }
    }
    if net == 0 {
        CounterInverse::Nothing
    } else if is_reset || lost.is_some() {
        CounterInverse::Changed
    } else if is_theirs_alone && steps.last().is_some_and(|(.., now)| *now == Some(net)) {
        CounterInverse::Reset
    } else {
        CounterInverse::Add(net.saturating_neg())
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

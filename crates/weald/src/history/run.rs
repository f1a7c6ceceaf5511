//! What some entries together did to a slot, and whether somebody else has changed it since.
//!
//! Invariant: a run is the last unbroken row of changes that are the entries' own; what stood
//! before it is what taking them back restores.

/// The changes of one slot by entries that are to be taken back, as its steps are gone over.
#[derive(Clone, Debug)]
pub(super) struct Run<T> {
    state: Option<Changes<T>>,
}

#[derive(Clone, Debug)]
struct Changes<T> {
    before: T,
    after: T,
    is_closed: bool,
    is_foreign: bool,
}

/// Whose step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of the entries that are to be taken back.
    Theirs,
    /// Of another entry that does not count as somebody else's.
    Own,
    /// Somebody else's.
    Foreign,
}

/// What is to be done about a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    /// The entries left it as it was.
    Nothing,
    /// It was changed since.
    Changed,
    /// This is to stand there again.
    Restore(T),
}

impl<T: Clone + PartialEq> Run<T> {
    pub(super) const fn new() -> Self {
        Self { state: None }
    }

    /// Takes note of a step that changed the slot.
    pub(super) fn step(&mut self, whose: Whose, before: &T, after: &T) {
        match (&mut self.state, whose) {
            (Some(run), Whose::Theirs) if !run.is_closed => run.after = after.clone(),
            (_, Whose::Theirs) => {
                let (before, after) = (before.clone(), after.clone());
                self.state = Some(Changes { before, after, is_closed: false, is_foreign: false });
            }
            (Some(run), _) => {
                run.is_closed = true;
                run.is_foreign |= whose == Whose::Foreign;
            }
            (None, _) => {}
        }
    }

    /// Returns what stood there before and after, if the entries changed anything.
    pub(super) fn ends(&self) -> Option<(&T, &T)> {
        let run = self.state.as_ref()?;
        (run.before != run.after).then_some((&run.before, &run.after))
    }

    /// Returns what stood there before, also if it stood there again afterwards.
    pub(super) fn before(&self) -> Option<&T> {
        self.state.as_ref().map(|run| &run.before)
    }

    /// Returns whether somebody else has changed the slot since.
    pub(super) fn is_foreign(&self) -> bool {
        self.state.as_ref().is_some_and(|run| run.is_foreign)
    }

    /// Says what is to be done, by what is there now.
    pub(super) fn outcome(&self, now: &T) -> Outcome<T> {
        self.outcome_by(|after| after == now)
    }

    /// Says what is to be done; `stands` tells whether what the entries left is what is there now.
    pub(super) fn outcome_by(&self, stands: impl Fn(&T) -> bool) -> Outcome<T> {
        match self.ends() {
            None => Outcome::Nothing,
            Some((_, after)) if self.is_foreign() || !stands(after) => Outcome::Changed,
            Some((before, _)) => Outcome::Restore(before.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: &[(Whose, u8)]) -> Run<u8> {
        let mut run = Run::new();
        let mut before = 0;
        for (whose, after) in steps {
            run.step(*whose, &before, after);
            before = *after;
        }
        run
    }

    #[test]
    fn what_is_taken_back_is_the_last_run_of_changes() {
        use Whose::{Foreign, Own, Theirs};
        assert_eq!(run(&[(Theirs, 1), (Theirs, 2)]).outcome(&2), Outcome::Restore(0));
        assert_eq!(run(&[(Theirs, 1), (Foreign, 2), (Theirs, 3)]).outcome(&3), Outcome::Restore(2));
        assert_eq!(run(&[(Own, 1), (Theirs, 2)]).outcome(&2), Outcome::Restore(1));
    }

    #[test]
    fn what_others_changed_since_stays_even_if_it_is_the_same_again() {
        use Whose::{Foreign, Own, Theirs};
        assert_eq!(run(&[(Theirs, 1), (Foreign, 2)]).outcome(&2), Outcome::Changed);
        assert_eq!(run(&[(Theirs, 1), (Foreign, 2), (Own, 1)]).outcome(&1), Outcome::Changed);
        assert_eq!(run(&[(Theirs, 1), (Own, 2)]).outcome(&2), Outcome::Changed);
        assert_eq!(run(&[(Theirs, 1), (Own, 2), (Own, 1)]).outcome(&1), Outcome::Restore(0));
        assert_eq!(run(&[(Foreign, 1)]).outcome(&1), Outcome::Nothing);
    }
}

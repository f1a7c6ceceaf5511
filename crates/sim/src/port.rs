//! A session at one end of a link, with what its driver keeps beside it.
//!
//! Invariant: the earliest deadline of the session is on the schedule.

use std::collections::{BTreeMap, BTreeSet};

use weald_dag::DatabaseId;
use weald_sync::{Event as Told, Method, Session};

use crate::counts::Counts;
use crate::network::{End, LinkId};
use crate::outside::Outside;
use crate::schedule::Event;

/// A session, and what its driver keeps beside it.
pub(crate) struct Port {
    pub(crate) session: Session,
    pub(crate) peer: usize,
    pub(crate) end: End,
    /// The deadline that is on the schedule.
    planned: Option<u64>,
    /// Databases whose last round settled.
    pub(crate) settled: BTreeSet<DatabaseId>,
    /// How many rounds of each database have settled since all is well.
    pub(crate) rounds: BTreeMap<DatabaseId, u64>,
}

impl Port {
    /// Puts a fresh session at an end of a link.
    pub(crate) fn new(session: Session, peer: usize, end: End) -> Self {
        let (settled, rounds) = (BTreeSet::new(), BTreeMap::new());
        Self { session, peer, end, planned: None, settled, rounds }
    }

    /// Counts the rounds from now on.
    pub(crate) fn count_anew(&mut self) {
        self.rounds.clear();
    }

    /// Takes note that an event of the schedule came, and returns whether it is the planned one.
    pub(crate) fn take_planned(&mut self, at: u64) -> bool {
        self.planned.take_if(|planned| *planned == at).is_some()
    }

    /// Takes note of what the session tells.
    pub(crate) fn hear(&mut self, event: &Told, site: usize, link: LinkId, outside: &mut Outside) {
        match event {
            Told::Authenticated { .. } if self.end == End::Dialler => outside.counts.sessions += 1,
            Told::Settled { database, round_trips, .. } => {
                outside.counts.rounds += 1;
                let most = &mut outside.counts.round_trips_max;
                *most = (*most).max(u64::from(*round_trips));
                self.count_method(database, &mut outside.counts);
                self.settled.insert(*database);
                *self.rounds.entry(*database).or_default() += 1;
            }
            // Figures of progress say nothing that the verdicts do not.
            Told::Progress { .. } => return,
            _ => {}
        }
        outside.note(format_args!("site {site} link {}: {event:?}", link.0));
    }

    fn count_method(&self, database: &DatabaseId, counts: &mut Counts) {
        let Some(status) = self.session.statuses().remove(database) else { return };
        *match status.method {
            Method::Equal => &mut counts.by_equal,
            Method::FastForward => &mut counts.by_fast_forward,
            Method::Common => &mut counts.by_common,
            Method::Filter => &mut counts.by_filter,
            Method::Symbols => &mut counts.by_symbols,
            Method::Pages => &mut counts.by_pages,
        } += 1;
    }

    /// Plans to be woken at the deadline of the session.
    pub(crate) fn plan_deadline(&mut self, site: usize, link: LinkId, outside: &mut Outside) {
        let deadline = self.session.deadline();
        if deadline != self.planned
            && let Some(deadline) = deadline
        {
            // A deadline that has passed must not hold time still.
            let at = deadline.max(outside.now() + 1);
            self.planned = Some(at);
            outside.schedule.at(at, Event::Deadline { site, link, at });
        }
    }
}

//! Everything around the sites: time, chance, wires and the record.
//!
//! Invariant: sites touch each other only through here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::sync::Arc;

use weald_dag::{DatabaseId, EntryId, PublicKey, SecretKey};
use weald_sync::limits::{FRAME_MAX, MESSAGE_MAX, WINDOW_BYTES};

use crate::chance::Chance;
use crate::counts::Counts;
use crate::finding::Finding;
use crate::network::{End, LinkId, Network};
use crate::plan::Plan;
use crate::schedule::{Event, Schedule};
use crate::trace::Trace;

/// Greatest number of milliseconds that pass until an end of a cut link learns of it.
const NOTICE_MS_MAX: u64 = 2_000;

/// What sealing may add to a frame, in bytes.
const SEAL_BYTES_MAX: usize = 64;
/// What may be on its way on a link beside the window of batches: one batch more, controls, and a
/// frame of somebody on the path.
const SLACK_BYTES: usize = 2 * MESSAGE_MAX;

/// Checks that no more is there than may be.
///
/// # Errors
/// [`Finding::Unbounded`].
pub(crate) fn bound(
    site: usize,
    what: &'static str,
    found: usize,
    limit: usize,
) -> Result<(), Finding> {
    if found > limit {
        return Err(Finding::Unbounded { site, what, found, limit });
    }
    Ok(())
}

/// Everything around the sites.
pub(crate) struct Outside {
    pub(crate) plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) schedule: Schedule,
    pub(crate) network: Network,
    pub(crate) counts: Counts,
    /// What every site must come to hold.
    pub(crate) acknowledged: BTreeMap<DatabaseId, BTreeSet<EntryId>>,
    /// The device key of each site.
    pub(crate) devices: Vec<PublicKey>,
    /// The key of its own that each site writes with.
    pub(crate) members: Vec<PublicKey>,
    /// Which site made each database, and so may always read it.
    pub(crate) founders: BTreeMap<DatabaseId, usize>,
    /// The secret halves of invites, which everyone has got.
    pub(crate) invites: Vec<Arc<SecretKey>>,
    /// Links that somebody on the path tampered with.
    pub(crate) tampered: BTreeSet<LinkId>,
    /// The site that lies, if there is one.
    pub(crate) liar: Option<usize>,
    /// Entries that nobody honest may hold.
    pub(crate) forged: BTreeSet<EntryId>,
    /// How often the liar forged something.
    pub(crate) told_lies: usize,
    /// Whether sites start no rounds of themselves.
    pub(crate) is_quiet: bool,
    /// The link that the last frame was sent on.
    pub(crate) last_link: LinkId,
}

impl Outside {
    /// Starts at time 0 without links.
    pub(crate) fn new(plan: Plan, keep_trace: bool) -> Self {
        Self {
            chance: Chance::from_seed(plan.seed),
            trace: Trace::new(keep_trace),
            schedule: Schedule::default(),
            network: Network::default(),
            counts: Counts::default(),
            acknowledged: BTreeMap::new(),
            devices: Vec::new(),
            members: Vec::new(),
            founders: BTreeMap::new(),
            invites: Vec::new(),
            tampered: BTreeSet::new(),
            liar: None,
            forged: BTreeSet::new(),
            told_lies: 0,
            is_quiet: false,
            last_link: LinkId(0),
            plan,
        }
    }

    /// Returns whether frames are on their way on an open link between honest sites.
    pub(crate) fn is_talking(&self) -> bool {
        self.network.alive().any(|(id, link)| {
            let ends = [link.site(End::Dialler), link.site(End::Responder)];
            let honest = self.liar.is_none_or(|liar| !ends.contains(&liar));
            let ends = [End::Dialler, End::Responder];
            honest && ends.into_iter().any(|end| self.network.in_flight(id, end) > 0)
        })
    }

    /// Returns the virtual time in milliseconds.
    pub(crate) const fn now(&self) -> u64 {
        self.schedule.now()
    }

    /// Notes what happens.
    pub(crate) fn note(&mut self, what: Arguments<'_>) {
        self.trace.note(self.schedule.now(), what);
    }

    /// Sends a frame from an end of a link.
    ///
    /// # Errors
    /// [`Finding::Unbounded`] when it, or what is on its way with it, is more than may be.
    pub(crate) fn send(&mut self, link: LinkId, from: End, frame: Vec<u8>) -> Result<(), Finding> {
        let site = self.network.link(link).map_or(0, |link| link.site(from));
        bound(site, "bytes in a frame", frame.len(), FRAME_MAX + SEAL_BYTES_MAX)?;
        self.counts.frames += 1;
        self.counts.bytes += u64::try_from(frame.len()).unwrap_or(0);
        self.last_link = link;
        let (to, now) = (from.other(), self.now());
        for (time, bytes) in self.network.send(link, to, frame, now, &mut self.chance) {
            self.schedule.at(time, Event::Frame { link, to, bytes });
        }
        let found = self.network.in_flight(link, to);
        bound(site, "bytes on their way on a link", found, WINDOW_BYTES + SLACK_BYTES)
    }

    /// Closes a link from one end; what was sent before still arrives at the other.
    pub(crate) fn close(&mut self, link: LinkId, from: End) {
        if self.network.link(link).is_some_and(|link| link.is_alive()) {
            let end = from.other();
            let last = self.network.last_arrival(link, end).max(self.now() + 1);
            self.network.kill(link);
            self.schedule.at(last, Event::Cut { link, end });
        }
    }

    /// Cuts a link; each end learns of it at its own time, and until then hears what was on its way.
    pub(crate) fn cut(&mut self, link: LinkId) {
        self.network.kill(link);
        for end in [End::Dialler, End::Responder] {
            let notice = self.chance.within(0..=NOTICE_MS_MAX);
            self.schedule.after(notice, Event::Cut { link, end });
        }
    }

    /// Returns whether a fault on this link is somebody's doing.
    pub(crate) fn is_suspect(&self, link: LinkId) -> bool {
        let ends = self
            .network
            .link(link)
            .map(|link| [link.site(End::Dialler), link.site(End::Responder)]);
        self.tampered.contains(&link)
            || ends.is_some_and(|ends| self.liar.is_some_and(|liar| ends.contains(&liar)))
    }

    /// Notes that a commit was acknowledged.
    pub(crate) fn acknowledge(&mut self, database: DatabaseId, id: EntryId) {
        self.counts.commits += 1;
        self.acknowledged.entry(database).or_default().insert(id);
    }
}

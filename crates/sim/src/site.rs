//! One site: its disk and writer, its clock, its sessions, and the peers that it dials.
//!
//! Invariant: it translates, calls and drains; every decision about what to say is the session's.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{DatabaseId, EntryId, Number, PublicKey, SecretKey, Verdict};
use weald_sync::{
    BatchId, CloseReason, CommonTips, Event as Told, Output, Reads, Role, Session, SessionOptions,
};

use crate::clock::WallClock;
use crate::dials::Dials;
use crate::finding::Finding;
use crate::lie::Lie;
use crate::network::{End, Link, LinkId};
use crate::outside::Outside;
use crate::port::Port;
use crate::reads::DiskReads;
use crate::schedule::Event;
use crate::twist::Twist;
use crate::writer::{Answer, Job, Writer};

/// How many messages in a hundred are lies where the liar lies with words.
const LIES_PERCENT: u64 = 20;

/// One instance in the world.
pub(crate) struct Site {
    pub(crate) index: usize,
    pub(crate) writer: Writer,
    pub(crate) ports: BTreeMap<LinkId, Port>,
    pub(crate) up: bool,
    device: SecretKey,
    reads: DiskReads,
    pub(crate) authors: Vec<Arc<SecretKey>>,
    wanted: Vec<DatabaseId>,
    /// Those of them that its authors may write.
    pub(crate) writable: Vec<DatabaseId>,
    pub(crate) clock: WallClock,
    pub(crate) dials: Dials,
    /// What it held in common with each peer when a link between them ended; it is gone when power is.
    common: BTreeMap<usize, CommonTips>,
    /// How often it was started; an event of an earlier life is void.
    life: u32,
}

impl Site {
    /// Makes a site that knows nothing.
    pub(crate) fn new(
        index: usize,
        device: SecretKey,
        authors: Vec<Arc<SecretKey>>,
        clock: WallClock,
        writer: Writer,
    ) -> Self {
        let keys = authors.first().map(|key| SecretKey::clone(key)).into_iter().collect();
        let reads = DiskReads { disk: Arc::clone(writer.disk()), loaded: Arc::default(), keys };
        Self {
            index,
            writer,
            reads,
            ports: BTreeMap::new(),
            up: true,
            device,
            authors,
            wanted: Vec::new(),
            writable: Vec::new(),
            clock,
            dials: Dials::new(index),
            common: BTreeMap::new(),
            life: 0,
        }
    }

    /// Has it sync a database with every peer, and write to it where its authors may.
    pub(crate) fn want(&mut self, database: DatabaseId, writable: bool) {
        self.wanted.push(database);
        if writable {
            self.writable.push(database);
        }
    }

    /// Returns the key that no other site writes with.
    pub(crate) fn own_key(&self) -> Arc<SecretKey> {
        let own = self.authors.first().map(Arc::clone);
        own.unwrap_or_else(|| Arc::new(self.device.clone()))
    }

    /// Returns what its sessions read.
    pub(crate) const fn reads(&self) -> &DiskReads {
        &self.reads
    }

    /// Returns the keys by which its peers let it read.
    pub(crate) fn keys(&self) -> Vec<PublicKey> {
        vec![self.device.public(), self.own_key().public()]
    }

    /// Returns whether it has dialled this peer and the session is open.
    pub(crate) fn is_dialled(&self, peer: usize) -> bool {
        self.ports.values().any(|port| port.peer == peer && port.end == End::Dialler)
    }

    /// Opens a session at this end of a link.
    pub(crate) fn open(
        &mut self,
        link: LinkId,
        end: End,
        peer: usize,
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        let role = match end {
            End::Dialler => Role::Dialler,
            End::Responder => Role::Responder,
        };
        let options = SessionOptions {
            role,
            device: self.device.clone(),
            name: format!("site {}", self.index),
            // The other half of the diallers trusts on first use.
            expected_peer: outside
                .devices
                .get(peer)
                .filter(|_| outside.chance.percent(50))
                .copied(),
            channel_binding: None,
            seed: outside.chance.bytes(),
            plain: false,
            health_every: outside.plan.health_every_ms,
        };
        let mut session = Session::new(options, outside.now());
        if outside.liar == Some(self.index) && outside.plan.lie == Some(Lie::Words) {
            let mut twist = Twist::new(outside.chance.within(0..=u64::MAX), LIES_PERCENT);
            session.twist(Box::new(move |message| twist.message(message)));
        }
        session.recall(self.common.get(&peer).cloned().unwrap_or_default());
        self.ports.insert(link, Port::new(session, peer, end));
        let wanted = self.wanted.clone();
        self.drive(link, outside, |session, now, reads| {
            wanted.iter().for_each(|database| session.relate(now, *database, reads));
        })
    }

    /// Takes a frame.
    pub(crate) fn frame(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        self.drive(link, outside, |session, now, reads| session.handle_frame(now, bytes, reads))
    }

    /// Learns that a link is gone.
    pub(crate) fn link_closed(
        &mut self,
        link: LinkId,
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        self.drive(link, outside, |session, now, _| session.handle_link_closed(now))
    }

    /// Wakes a session whose deadline has come.
    pub(crate) fn wake(
        &mut self,
        link: LinkId,
        at: u64,
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        let port = self.ports.get_mut(&link);
        let Some(port) = port.and_then(|port| port.take_planned(at).then_some(port)) else {
            return Ok(());
        };
        if port.session.deadline().is_some_and(|deadline| deadline <= outside.now()) {
            return self
                .drive(link, outside, |session, now, reads| session.handle_deadline(now, reads));
        }
        port.plan_deadline(self.index, link, outside);
        Ok(())
    }

    /// Hears that its group is flushed, and answers all who wait for it.
    pub(crate) fn flushed(&mut self, life: u32, outside: &mut Outside) -> Result<(), Finding> {
        if life != self.life {
            return Ok(());
        }
        for answer in self.writer.finish()? {
            self.answer(answer, outside)?;
        }
        self.start_group(outside)
    }

    /// Loses power, with the group of its writer flushed just before or not.
    pub(crate) fn crash(&mut self, flushed: bool, outside: &mut Outside) -> Result<(), Finding> {
        self.up = false;
        self.life += 1;
        self.writer.crash(flushed)?;
        self.reads.loaded = Arc::default();
        self.common.clear();
        for (link, port) in std::mem::take(&mut self.ports) {
            outside.network.kill(link);
            let end = port.end.other();
            let notice = outside.chance.within(1..=1_000);
            outside.schedule.after(notice, Event::Cut { link, end });
        }
        Ok(())
    }

    /// Loses power, and finds an older copy of its disk when it comes up: of all batches that were ever
    /// flushed, only as many as the copy has.
    pub(crate) fn restore(&mut self, batches: usize, outside: &mut Outside) -> Result<(), Finding> {
        self.crash(false, outside)?;
        Ok(self.writer.disk().restore(batches)?)
    }

    /// Comes up again and dials its peers.
    pub(crate) fn restart(&mut self, outside: &mut Outside) {
        if !self.up {
            self.up = true;
            outside.note(format_args!("site {} is up", self.index));
            self.dials.plan_all(outside);
        }
    }

    /// Starts a round of every database with every peer, as is done from time to time.
    pub(crate) fn start_rounds(&mut self, outside: &mut Outside) -> Result<(), Finding> {
        let wanted = self.wanted.clone();
        for link in self.links() {
            self.drive(link, outside, |session, now, reads| {
                wanted.iter().for_each(|database| session.relate(now, *database, reads));
            })?;
        }
        Ok(())
    }

    /// Queues a job for its writer.
    pub(crate) fn submit(&mut self, job: Job, outside: &mut Outside) -> Result<(), Finding> {
        self.writer.submit(job);
        let most = &mut outside.counts.jobs_max;
        *most = (*most).max(self.writer.waiting() as u64);
        self.start_group(outside)
    }

    fn start_group(&mut self, outside: &mut Outside) -> Result<(), Finding> {
        let (wall, seed) = (self.clock.read(outside.now()), outside.chance.bytes());
        if self.writer.start(wall, seed)? {
            let cost = outside.chance.within(0..=outside.plan.flush_ms_max);
            let event = Event::Flushed { site: self.index, life: self.life };
            outside.schedule.after(cost, event);
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer, outside: &mut Outside) -> Result<(), Finding> {
        match answer {
            Answer::Committed { database, id, number } => {
                outside.note(format_args!("site {} committed {}", self.index, id.short()));
                outside.acknowledge(database, id);
                self.committed(database, &[number], None, outside)
            }
            Answer::NotCommitted { reason, .. } if outside.plan.may_refuse_commits() => {
                outside.counts.not_permitted += 1;
                outside.note(format_args!("site {} could not commit: {reason}", self.index));
                Ok(())
            }
            Answer::NotCommitted { database, reason } => {
                Err(Finding::NotCommitted { site: self.index, database, reason })
            }
            Answer::Ingested { link, batch, database, verdicts, stored } => {
                self.count(&verdicts, outside);
                self.ingested(link, batch, verdicts, outside)?;
                self.committed(database, &stored, Some(link), outside)
            }
            Answer::Pruned { entries } => {
                outside.counts.pruned += entries;
                Ok(())
            }
            Answer::Completed { database } => {
                outside.note(format_args!("site {} holds all of {}", self.index, database.short()));
                for link in self.links() {
                    self.drive(link, outside, |session, now, reads| {
                        session.relate(now, database, reads);
                    })?;
                }
                Ok(())
            }
        }
    }

    fn count(&self, verdicts: &[(EntryId, Verdict)], outside: &mut Outside) {
        for (id, verdict) in verdicts {
            let what = match verdict {
                Verdict::Stored(_) => {
                    outside.counts.received += 1;
                    "stored"
                }
                Verdict::Duplicate(_) => {
                    outside.counts.duplicates += 1;
                    "had"
                }
                Verdict::Missing(_) => "misses parents of",
                Verdict::HeldBack { .. } => {
                    outside.counts.held_back += 1;
                    "held back"
                }
                Verdict::Unwanted => {
                    outside.counts.unwanted += 1;
                    "does not want"
                }
                Verdict::NewerVersion { .. } => "does not understand",
                Verdict::Refused(_) => {
                    outside.counts.refused += 1;
                    "refused"
                }
                Verdict::Fault(_) => "found false",
            };
            outside.note(format_args!("site {} {what} {}", self.index, id.short()));
        }
    }

    fn ingested(
        &mut self,
        link: LinkId,
        batch: BatchId,
        verdicts: Vec<(EntryId, Verdict)>,
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        self.drive(link, outside, |session, now, reads| {
            session.handle_ingested(now, batch, verdicts, reads);
        })
    }

    /// Tells every session but that where they came from of new entries.
    pub(crate) fn committed(
        &mut self,
        database: DatabaseId,
        numbers: &[Number],
        from: Option<LinkId>,
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        if numbers.is_empty() {
            return Ok(());
        }
        for link in self.links() {
            if Some(link) != from {
                self.drive(link, outside, |session, now, reads| {
                    session.handle_committed(now, database, numbers, from.is_some(), reads);
                })?;
            }
        }
        Ok(())
    }

    fn links(&self) -> Vec<LinkId> {
        self.ports.keys().copied().collect()
    }

    /// Has one session do something, and does all that it asks for.
    fn drive(
        &mut self,
        link: LinkId,
        outside: &mut Outside,
        act: impl FnOnce(&mut Session, u64, &dyn Reads),
    ) -> Result<(), Finding> {
        let Some(port) = self.ports.get_mut(&link) else { return Ok(()) };
        let reads = self.reads.clone();
        let before = sent(&port.session, outside);
        act(&mut port.session, outside.now(), &reads);
        for (database, entries) in sent(&port.session, outside) {
            let more = entries > before.get(&database).copied().unwrap_or_default();
            let is_honest = outside.liar != Some(self.index);
            if more && is_honest && !reads.may_read(&database, port.session.peer_keys(&database))? {
                return Err(Finding::SentOn { site: self.index, peer: port.peer, database });
            }
        }
        let mut jobs = Vec::new();
        let mut closed = None;
        while let Some(output) = port.session.poll() {
            match output {
                Output::Send(frame) => outside.send(link, port.end, frame)?,
                Output::Ingest { batch, database, parcels, .. } => {
                    jobs.push(Job::Ingest { link, batch, database, parcels });
                }
                Output::Event(event) => {
                    port.hear(&event, self.index, link, outside);
                    if let Told::Settled { database, complete, .. } = event {
                        if complete && reads.database(&database)?.is_some_and(|held| !held.complete)
                        {
                            jobs.push(Job::Complete { database });
                        }
                        self.dials.succeeded(port.peer);
                    }
                }
                Output::Close(reason) => closed = Some(reason),
            }
        }
        port.plan_deadline(self.index, link, outside);
        if let Some(reason) = closed {
            self.closed(link, &reason, outside)?;
        }
        jobs.into_iter().try_for_each(|job| self.submit(job, outside))
    }

    fn closed(
        &mut self,
        link: LinkId,
        reason: &CloseReason,
        outside: &mut Outside,
    ) -> Result<(), Finding> {
        let Some(port) = self.ports.remove(&link) else { return Ok(()) };
        let common = port.session.common(&self.reads)?;
        self.common.entry(port.peer).or_default().extend(common);
        let is_dead = !outside.network.link(link).is_some_and(Link::is_alive);
        outside.note(format_args!("site {} closed link {}: {reason}", self.index, link.0));
        outside.close(link, port.end);
        if port.end == End::Dialler {
            self.dials.retry(port.peer, outside);
        }
        let innocent = match reason {
            CloseReason::Requested | CloseReason::LinkClosed => true,
            // Before the end of a link that was cut learns of it.
            CloseReason::Silent => is_dead,
            _ => false,
        };
        outside.counts.accusations += u64::from(!innocent);
        let lied = matches!(reason, CloseReason::Fault(_)) && outside.liar == Some(port.peer);
        outside.counts.shut_out += u64::from(lied);
        if innocent || outside.is_suspect(link) {
            return Ok(());
        }
        let (site, peer, reason) = (self.index, port.peer, reason.to_string());
        Err(Finding::Accused { site, peer, link: link.0, reason })
    }
}

/// Returns how many entries of each database a session has sent, in a world where that may be wrong.
fn sent(session: &Session, outside: &Outside) -> BTreeMap<DatabaseId, u64> {
    if outside.plan.permits == 0 {
        return BTreeMap::new();
    }
    session.statuses().into_iter().map(|(id, status)| (id, status.cost.entries_out)).collect()
}

//! One site: its disk and writer, its clock, its sessions, and the peers that it dials.
//!
//! Invariant: it translates, calls and drains; every decision about what to say is the session's.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{
    DatabaseId, EntryId, Number, Overlay, PublicKey, SecretKey, Snapshot, Store, Verdict,
};
use weald_engine::{Held, held};
use weald_sync::{
    BatchId, CloseReason, Event as Told, Output, Reads, Role, Session, SessionOptions,
};

use crate::finding::Finding;
use crate::lie::Lie;
use crate::network::{End, LinkId};
use crate::outside::Outside;
use crate::permits;
use crate::port::Port;
use crate::reads::DiskReads;
use crate::schedule::Event;
use crate::workload;
use crate::writer::{Answer, Job, Writer};

/// Milliseconds since 1970 at which every world begins.
pub(crate) const EPOCH_MS: u64 = 1_800_000_000_000;
/// How long a site waits before it dials again, at first.
const RETRY_MS_MIN: u64 = 250;
/// How long it waits at most.
const RETRY_MS_MAX: u64 = 8_000;

/// One instance in the world.
pub(crate) struct Site {
    pub(crate) index: usize,
    pub(crate) writer: Writer,
    pub(crate) ports: BTreeMap<LinkId, Port>,
    pub(crate) up: bool,
    device: SecretKey,
    reads: DiskReads,
    authors: Vec<Arc<SecretKey>>,
    wanted: Vec<DatabaseId>,
    /// Those of them that its authors may write.
    writable: Vec<DatabaseId>,
    skew_ms: i64,
    /// How often it was started; an event of an earlier life is void.
    life: u32,
    /// The peers that it dials, each with how often that failed in a row.
    dials: BTreeMap<usize, u32>,
}

impl Site {
    /// Makes a site that knows nothing.
    pub(crate) fn new(
        index: usize,
        device: SecretKey,
        authors: Vec<Arc<SecretKey>>,
        skew_ms: i64,
        early_rows: bool,
    ) -> Self {
        let writer = Writer::new(early_rows);
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
            skew_ms,
            life: 0,
            dials: BTreeMap::new(),
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

    /// Changes who may do what in one of its databases, or tries to.
    pub(crate) fn permit(&mut self, outside: &mut Outside) -> Result<(), Finding> {
        let snapshot = self.writer.disk().snapshot()?;
        let Some((held, key)) = self.choose(&*snapshot, outside)? else { return Ok(()) };
        let wall = self.wall(outside.now());
        if let Some(job) = permits::draw(held, key, snapshot, wall, outside)? {
            self.submit(job, outside)?;
        }
        Ok(())
    }

    /// Has it dial a peer.
    pub(crate) fn dial_from_now_on(&mut self, peer: usize) {
        self.dials.insert(peer, 0);
    }

    /// Returns the peers that it dials.
    pub(crate) fn dialled(&self) -> impl Iterator<Item = usize> {
        self.dials.keys().copied()
    }

    /// Returns its wall clock in milliseconds since 1970.
    pub(crate) fn wall(&self, now: u64) -> u64 {
        (EPOCH_MS + now).saturating_add_signed(self.skew_ms)
    }

    /// Plans to dial all its peers.
    pub(crate) fn dial_all(&self, outside: &mut Outside) {
        for peer in self.dials.keys() {
            let delay = outside.chance.within(0..=RETRY_MS_MIN);
            outside.schedule.after(delay, Event::Dial { site: self.index, peer: *peer });
        }
    }

    /// Returns whether it has dialled this peer and the session is open.
    pub(crate) fn is_dialled(&self, peer: usize) -> bool {
        self.ports.values().any(|port| port.peer == peer && port.end == End::Dialler)
    }

    /// Plans to dial a peer again.
    pub(crate) fn retry(&mut self, peer: usize, outside: &mut Outside) {
        let Some(failures) = self.dials.get_mut(&peer) else { return };
        let wait = (RETRY_MS_MIN << (*failures).min(16)).min(RETRY_MS_MAX);
        *failures += 1;
        let delay = wait + outside.chance.within(0..=wait / 4);
        outside.schedule.after(delay, Event::Dial { site: self.index, peer });
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
            health_every: None,
        };
        let session = Session::new(options, outside.now());
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

    /// Writes something to one of its databases, if it has a whole one.
    pub(crate) fn write(&mut self, outside: &mut Outside) -> Result<(), Finding> {
        let snapshot = self.writer.disk().snapshot()?;
        let Some((held, key)) = self.choose(&*snapshot, outside)? else { return Ok(()) };
        let large = outside.plan.large_percent;
        let mut rows = Overlay::new(snapshot);
        let sections = workload::draft(&mut outside.chance, &mut rows, held.number, large)?;
        self.submit(Job::Commit { database: held.id, key, sections }, outside)
    }

    /// Takes an entry that somebody made on top of old ones, as a second replica of one key may.
    pub(crate) fn branch(&mut self, outside: &mut Outside) -> Result<(), Finding> {
        let snapshot = self.writer.disk().snapshot()?;
        let Some((held, key)) = self.choose(&*snapshot, outside)? else { return Ok(()) };
        let wall = self.wall(outside.now());
        let made = workload::branch(&mut outside.chance, snapshot, held.number, &key, wall)?;
        let Some(made) = made else { return Ok(()) };
        self.submit(Job::Adopt { database: held.id, made: Box::new(made) }, outside)
    }

    /// Draws a database to write to, of those that are whole here, and an author.
    fn choose(
        &self,
        snapshot: &dyn Snapshot,
        outside: &mut Outside,
    ) -> Result<Option<(Held, Arc<SecretKey>)>, Finding> {
        let mut whole = Vec::new();
        for database in &self.writable {
            whole.extend(held(snapshot, database)?.filter(|held| held.complete));
        }
        let held = outside.chance.pick(&whole).copied();
        Ok(held.zip(outside.chance.pick(&self.authors).cloned()))
    }

    /// Puts something false among what it holds, and tells its peers of it.
    pub(crate) fn lie(&mut self, lie: Lie, outside: &mut Outside) -> Result<(), Finding> {
        let Some(forgery) = lie.forge(
            self.writer.disk(),
            &self.writable,
            self.wall(outside.now()),
            &mut outside.chance,
        )?
        else {
            return Ok(());
        };
        outside.note(format_args!("site {} forges {}: {lie:?}", self.index, forgery.id.short()));
        outside.told_lies += 1;
        if !forgery.is_of_another {
            outside.forged.insert(forgery.id);
        }
        self.writer.forget();
        self.committed(forgery.database, &[forgery.number], None, outside)
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
        for (link, port) in std::mem::take(&mut self.ports) {
            outside.network.kill(link);
            let end = port.end.other();
            let notice = outside.chance.within(1..=1_000);
            outside.schedule.after(notice, Event::Cut { link, end });
        }
        Ok(())
    }

    /// Comes up again and dials its peers.
    pub(crate) fn restart(&mut self, outside: &mut Outside) {
        if !self.up {
            self.up = true;
            self.dials.values_mut().for_each(|failures| *failures = 0);
            outside.note(format_args!("site {} is up", self.index));
            self.dial_all(outside);
        }
    }

    fn submit(&mut self, job: Job, outside: &mut Outside) -> Result<(), Finding> {
        self.writer.submit(job);
        self.start_group(outside)
    }

    fn start_group(&mut self, outside: &mut Outside) -> Result<(), Finding> {
        let (wall, seed) = (self.wall(outside.now()), outside.chance.bytes());
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
            Answer::NotCommitted { reason, .. } if outside.plan.permits > 0 => {
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
                Verdict::HeldBack { .. } => "held back",
                Verdict::Unwanted => "does not want",
                Verdict::NewerVersion { .. } => "does not understand",
                Verdict::Refused(_) => "refused",
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
    fn committed(
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
            if more && !reads.may_read(&database, port.session.peer_keys(&database))? {
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
                        if let Some(failures) = self.dials.get_mut(&port.peer) {
                            *failures = 0;
                        }
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
        outside.note(format_args!("site {} closed link {}: {reason}", self.index, link.0));
        outside.close(link, port.end);
        if port.end == End::Dialler {
            self.retry(port.peer, outside);
        }
        let innocent = matches!(reason, CloseReason::Requested | CloseReason::LinkClosed);
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

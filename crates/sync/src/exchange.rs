//! The databases of one session whose peer is known: which there are, and who is told what.
//!
//! Invariant: a database is answered for only when the peer's keys may read it, one of them once
//! could, or it was related here; anything else is the same `Unknown`. Whether the peer may read is
//! looked at again before each thing that is done with a channel.

mod leaving;
mod rounds;

use std::collections::{BTreeMap, BTreeSet};

use weald_dag::{DatabaseId, EntryId, PublicKey, StoreError, Verdict};

use crate::batch::EntryBatch;
use crate::channel::Channel;
use crate::close::{CloseReason, PeerFault};
use crate::context::Context;
use crate::discovery::{DISCOVERY, ListedDatabase, NO_DATABASE};
use crate::flow::Flow;
use crate::keys::{OwnKeys, PeerKeys};
use crate::limits::{DATABASES_MAX, UNKNOWN_NAMES_MAX};
use crate::message::{Announce, Control};
use crate::naming::{Name, Naming};
use crate::outbox::Outbox;
use crate::output::{BatchId, Event};
use crate::pace::Pace;
use crate::possession;
use crate::reads::Reads;
use crate::recalled::{CommonNumbers, CommonTips};
use crate::status::{DatabaseState, DatabaseStatus};

/// What was related here and what became of it.
#[derive(Clone, Copy, Debug)]
struct Relation {
    database: DatabaseId,
    /// Why there is no channel.
    ended: Option<DatabaseState>,
    /// Whether the database was complete here when the peer was last asked.
    complete: bool,
}

/// A database that was left here and whose messages of before may still be on their way.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    database: DatabaseId,
    /// Whether to open it again once the peer has confirmed.
    reopen: bool,
}

/// The databases that some keys know of, by name.
struct Known {
    keys: Vec<PublicKey>,
    databases: BTreeMap<Name, DatabaseId>,
}

/// The databases of one session.
pub(crate) struct Exchange {
    transcript: [u8; 32],
    peer: PublicKey,
    naming: Naming,
    own_keys: OwnKeys,
    peer_keys: PeerKeys,
    relations: BTreeMap<Name, Relation>,
    channels: BTreeMap<Name, Channel>,
    /// Dropped here: not answered for until they are related again.
    dropped: BTreeSet<Name>,
    /// Left here, and not yet confirmed there.
    leaving: BTreeMap<Name, Leaving>,
    /// The names that the peer asked for and was refused.
    refused: BTreeSet<Name>,
    /// What the peer knows of, as far as the message in hand has asked for it.
    known: Option<Known>,
    /// Databases whose peer has said that we may not read, and was heard or contradicted.
    contradicted: BTreeSet<Name>,
    /// Batches of settings entries that are to show that we may not read.
    shown: BTreeMap<BatchId, DatabaseId>,
    flow: Flow,
    pace: Pace,
    dialled: bool,
    /// What an earlier session has shown that both held.
    recalled: CommonTips,
    /// The database whose batch went last, so that none is starved.
    served: Option<Name>,
}

impl Exchange {
    pub(crate) fn new(
        transcript: [u8; 32],
        device: PublicKey,
        peer: PublicKey,
        naming: Naming,
        pace: Pace,
        dialled: bool,
    ) -> Self {
        Self {
            transcript,
            peer,
            naming,
            own_keys: OwnKeys::new(transcript, device, peer),
            peer_keys: PeerKeys::new(peer),
            relations: BTreeMap::new(),
            channels: BTreeMap::new(),
            dropped: BTreeSet::new(),
            leaving: BTreeMap::new(),
            refused: BTreeSet::new(),
            known: None,
            contradicted: BTreeSet::new(),
            shown: BTreeMap::new(),
            flow: Flow::default(),
            pace,
            dialled,
            recalled: CommonTips::new(),
            served: None,
        }
    }

    /// Returns the keys that the peer has proven for a database, its device key first.
    pub(crate) fn keys_for(&self, database: &DatabaseId) -> &[PublicKey] {
        self.peer_keys.of(&self.naming.name(database))
    }

    /// Proves the keys of this side that are not proven yet, for every database of the session.
    pub(crate) fn prove_all(
        &mut self,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let related = self.relations.iter().map(|(name, relation)| (*name, relation.database));
        let open = self.channels.iter().map(|(name, channel)| (*name, channel.database()));
        let all: BTreeMap<Name, DatabaseId> = related.chain(open).collect();
        all.into_iter()
            .try_for_each(|(name, database)| self.own_keys.prove(name, &database, reads, out))
    }

    /// Proves the keys of this side by which the peer is to say what it offers.
    pub(crate) fn prove_for_discovery(
        &mut self,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        self.own_keys.prove(DISCOVERY, &NO_DATABASE, reads, out)
    }

    /// Returns what is offered to the keys that the peer has proven for discovery.
    pub(crate) fn listed(
        &self,
        after: Option<DatabaseId>,
        limit: usize,
        reads: &dyn Reads,
    ) -> Result<Vec<ListedDatabase>, StoreError> {
        reads.listed(self.peer_keys.of(&DISCOVERY), after, limit)
    }

    /// Returns the name of a database that is synced here and that the peer may read now. Before all of it is here it
    /// is not known for certain who may.
    pub(crate) fn spoken_of(
        &self,
        database: &DatabaseId,
        reads: &dyn Reads,
    ) -> Result<Option<Name>, StoreError> {
        let name = self.naming.name(database);
        let complete = reads.database(database)?.is_some_and(|local| local.complete);
        Ok((complete && self.shares(&name, database, reads)?).then_some(name))
    }

    fn shares(
        &self,
        name: &Name,
        database: &DatabaseId,
        reads: &dyn Reads,
    ) -> Result<bool, StoreError> {
        let open = self.channels.get(name).is_some_and(|channel| channel.ending().is_none());
        Ok(open && reads.may_read(database, self.peer_keys.of(name))?)
    }

    /// Returns the database of a name, where it is synced here and the peer may read it now.
    pub(crate) fn heard_of(
        &self,
        name: &Name,
        reads: &dyn Reads,
    ) -> Result<Option<DatabaseId>, StoreError> {
        let Some(database) = self.channels.get(name).map(Channel::database) else {
            return Ok(None);
        };
        Ok(self.shares(name, &database, reads)?.then_some(database))
    }

    /// Returns whether a database is not answered for in this session.
    pub(crate) fn is_dropped(&self, database: &DatabaseId) -> bool {
        self.dropped.contains(&self.naming.name(database))
    }

    /// Relates a database: opens it, or starts a round where it is open.
    pub(crate) fn relate(
        &mut self,
        database: DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let name = self.naming.name(&database);
        let complete = reads.database(&database)?.is_some_and(|local| local.complete);
        self.dropped.remove(&name);
        let mut relation = Relation { database, ended: None, complete };
        let told = complete && self.refused.contains(&name);
        let keys = self.peer_keys.of(&name);
        // Whom it was taken from has been told in this session and is not told again.
        if told && !reads.may_read(&database, keys)? && reads.taken_from(&database, keys)?.is_some()
        {
            relation.ended = Some(DatabaseState::Ended);
            self.relations.insert(name, relation);
            out.event(Event::Ended { database });
            return Ok(());
        }
        self.relations.insert(name, relation);
        self.open(name, database, reads, out)
    }

    fn open(
        &mut self,
        name: Name,
        database: DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        if let Some(leaving) = self.leaving.get_mut(&name) {
            leaving.reopen = true;
            return Ok(());
        }
        self.refused.remove(&name);
        if let Some(relation) = self.relations.get_mut(&name) {
            relation.ended = None;
        }
        self.own_keys.prove(name, &database, reads, out)?;
        enter(&mut self.channels, &mut self.recalled, name, database);
        self.with(name, reads, out, |channel, ctx| channel.start(false, ctx))
    }

    /// Begins the first round of databases from what an earlier session has shown that both held.
    pub(crate) fn recall(&mut self, common: CommonTips) {
        self.recalled = common;
    }

    /// Returns what both held, of each database, when nothing was on its way to the peer.
    pub(crate) fn common(&self) -> CommonNumbers {
        let known = self.channels.values().filter(|channel| !channel.common().is_empty());
        known.map(|channel| (channel.database(), channel.common().to_vec())).collect()
    }

    /// Stops syncing a database, also when it is the peer that asks for it.
    pub(crate) fn drop_relation(&mut self, database: &DatabaseId, out: &mut Outbox) {
        let name = self.naming.name(database);
        self.relations.remove(&name);
        self.dropped.insert(name);
        if self.remove(name) {
            self.leaving.insert(name, Leaving { database: *database, reopen: false });
            out.control(Control::Leave(name));
        } else if let Some(leaving) = self.leaving.get_mut(&name) {
            leaving.reopen = false;
        }
    }

    /// Removes a channel; what it holds of the window is given back.
    fn remove(&mut self, name: Name) -> bool {
        let Some(mut channel) = self.channels.remove(&name) else {
            return false;
        };
        channel.release(&mut self.flow);
        true
    }

    /// Calls `what` on a channel, if there is one and the peer may still read.
    fn with(
        &mut self,
        name: Name,
        reads: &dyn Reads,
        out: &mut Outbox,
        what: impl FnOnce(&mut Channel, &mut Context<'_>) -> Result<(), CloseReason>,
    ) -> Result<(), CloseReason> {
        let Some(channel) = self.channels.get_mut(&name) else {
            return Ok(());
        };
        let keys = self.peer_keys.of(&name);
        let (flow, pace) = (&mut self.flow, &mut self.pace);
        let (transcript, dialled) = (&self.transcript, self.dialled);
        let said = out.said();
        let mut ctx = Context { reads, out, flow, pace, said, transcript, dialled, keys };
        if channel.check(&ctx)? {
            what(channel, &mut ctx)?;
        }
        channel.spent.said += ctx.out.said() - said;
        Ok(())
    }

    /// Counts bytes of the peer to the database that they are about; returns whether it is open.
    pub(crate) fn count_heard(&mut self, name: &Name, bytes: usize) -> bool {
        let Some(channel) = self.channels.get_mut(name) else {
            return false;
        };
        channel.spent.hearing = bytes as u64;
        channel.spent.heard += bytes as u64;
        true
    }

    /// What the last message has asked for is not known to hold for the next.
    pub(crate) fn begin_message(&mut self) {
        self.known = None;
    }

    /// Returns whether a database is open.
    pub(crate) fn is_open(&self, name: &Name) -> bool {
        self.channels.contains_key(name)
    }

    /// Returns whether a control brings what the peer owes nearer.
    pub(crate) fn moves_on(&self, control: &Control) -> bool {
        let channel = control.name().and_then(|name| self.channels.get(&name));
        channel.is_some_and(|channel| channel.moves_on(control))
    }

    /// Takes a batch of entries.
    pub(crate) fn entries(
        &mut self,
        batch: EntryBatch,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        self.with(batch.name, reads, out, |channel, ctx| channel.entries(batch, ctx))
    }

    /// A message about a database that is not open is about one that was just left: it is dropped.
    pub(crate) fn control(
        &mut self,
        control: Control,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        match control {
            Control::Keys { name, proofs } => self.keys_proven(name, &proofs, reads, out),
            Control::Announce(announce) => self.announced(announce, reads, out),
            Control::Unknown(name) => {
                self.end(name, DatabaseState::Denied, out);
                Ok(())
            }
            Control::Revoked { name, shown } => self.revoked(name, &shown, reads, out),
            Control::Leave(name) => {
                out.control(Control::Left(name));
                self.end(name, DatabaseState::Left, out);
                Ok(())
            }
            Control::Left(name) => self.left(name, reads, out),
            Control::Want { name, ids, depth } => {
                self.with(name, reads, out, |ch, ctx| ch.want(&ids, depth, ctx))
            }
            Control::Wanted(name) => self.with(name, reads, out, Channel::wanted),
            Control::Have { name, ids } => self.with(name, reads, out, |ch, ctx| ch.have(ids, ctx)),
            Control::Had { name, held } => {
                self.with(name, reads, out, |ch, ctx| ch.had(&held, ctx))
            }
            Control::Ack { name, batch } => {
                self.with(name, reads, out, |ch, ctx| ch.acknowledged(batch, ctx))
            }
            // These concern no database, and were taken before.
            Control::Ask(_)
            | Control::Answer { .. }
            | Control::Discover(_)
            | Control::Discovered { .. }
            | Control::NotDiscovered
            | Control::Presence { .. }
            | Control::Ping(_)
            | Control::Pong(_)
            | Control::Goodbye(_) => Ok(()),
            of_round => self.of_round(of_round, reads, out),
        }
    }

    fn keys_proven(
        &mut self,
        name: Name,
        proofs: &[possession::KeyProof],
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        self.known = None;
        let keys = possession::check(&self.transcript, &self.peer, name, proofs)?;
        self.peer_keys.add(name, &keys)?;
        out.event(Event::KeysProven { keys });
        if self.refused.contains(&name)
            && !self.channels.contains_key(&name)
            && let Some(database) = self.resolve(name, reads)?
        {
            // It was closed while the proof of a key that may read was on its way.
            return self.reopen(name, &database, reads, out);
        }
        self.with(name, reads, out, Channel::keys_came)
    }

    /// Opens a database that the peer was refused, where it may read now.
    fn reopen(
        &mut self,
        name: Name,
        database: &DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let complete = reads.database(database)?.is_some_and(|local| local.complete);
        if complete && reads.may_read(database, self.peer_keys.of(&name))? {
            return self.open(name, *database, reads, out);
        }
        Ok(())
    }

    fn announced(
        &mut self,
        announce: Announce,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let name = announce.name;
        if self.leaving.contains_key(&name) {
            return Ok(());
        }
        let Some(database) = self.resolve(name, reads)? else {
            self.refused.insert(name);
            let (found, limit) = (self.refused.len(), UNKNOWN_NAMES_MAX);
            if found > limit {
                return Err(PeerFault::TooMany { what: "unknown names", found, limit }.into());
            }
            out.control(Control::Unknown(name));
            return Ok(());
        };
        if let Some(relation) = self.relations.get_mut(&name) {
            relation.ended = None;
        }
        let heard_out = announce.objects && self.contradicted.insert(name);
        let channel = enter(&mut self.channels, &mut self.recalled, name, database);
        if heard_out {
            channel.hear_out();
        }
        let own_keys = &mut self.own_keys;
        let keys = self.peer_keys.of(&name);
        let (flow, pace) = (&mut self.flow, &mut self.pace);
        let (transcript, dialled) = (&self.transcript, self.dialled);
        let said = out.said();
        let mut ctx = Context { reads, out, flow, pace, said, transcript, dialled, keys };
        if !channel.check(&ctx)? {
            return Ok(());
        }
        own_keys.prove(name, &database, reads, ctx.out)?;
        if !announce.silent && channel.is_readable() {
            self.contradicted.remove(&name);
        }
        channel.announced(announce, &mut ctx)?;
        channel.spent.said += ctx.out.said() - said;
        Ok(())
    }

    /// Finds the database of a name, if it may be answered for.
    fn resolve(
        &mut self,
        name: Name,
        reads: &dyn Reads,
    ) -> Result<Option<DatabaseId>, CloseReason> {
        // Also where neither side holds all of it yet: a refusal could cross the offer of whoever is
        // first to, and end it.
        if let Some(relation) = self.relations.get(&name) {
            return Ok(Some(relation.database));
        }
        if self.dropped.contains(&name) {
            return Ok(None);
        }
        if let Some(channel) = self.channels.get(&name) {
            return Ok(Some(channel.database()));
        }
        if self.channels.len() >= DATABASES_MAX {
            return Ok(None);
        }
        // What is looked up depends on the keys and not on the name, so the time that it takes does not
        // tell whether a database is there.
        let keys = self.peer_keys.of(&name);
        if self.known.as_ref().is_none_or(|known| known.keys != keys) {
            let ids = reads.known_to(keys)?.into_iter();
            let databases = ids.map(|id| (self.naming.name(&id), id)).collect();
            self.known = Some(Known { keys: keys.to_vec(), databases });
        }
        Ok(self.known.as_ref().and_then(|known| known.databases.get(&name).copied()))
    }

    pub(crate) fn ingested(
        &mut self,
        batch: BatchId,
        verdicts: Vec<(EntryId, Verdict)>,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let name = self.flow.end(batch);
        if let Some(database) = self.shown.remove(&batch) {
            return self.contradict(database, reads, out);
        }
        match name {
            Some(name) => {
                self.with(name, reads, out, |channel, ctx| channel.ingested(batch, verdicts, ctx))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn committed(
        &mut self,
        database: &DatabaseId,
        relayed: bool,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let name = self.naming.name(database);
        if self.channels.contains_key(&name) {
            self.with(name, reads, out, |channel, ctx| {
                if relayed {
                    channel.relay(ctx);
                    return Ok(());
                }
                channel.push(ctx)
            })?;
            return self.own_keys.prove(name, database, reads, out);
        }
        // The peer was refused and may read now.
        if self.refused.contains(&name) {
            let complete = reads.database(database)?.is_some_and(|local| local.complete);
            if complete && reads.may_read(database, self.peer_keys.of(&name))? {
                return self.open(name, *database, reads, out);
            }
        }
        // The peer was asked before there was anything to offer it: it may want it now.
        let asked_too_early = self.relations.get(&name).is_some_and(|relation| {
            relation.ended == Some(DatabaseState::Denied) && !relation.complete
        });
        if asked_too_early && reads.database(database)?.is_some_and(|local| local.complete) {
            return self.relate(*database, reads, out);
        }
        Ok(())
    }

    /// Takes note of the time of the call that follows.
    pub(crate) fn tick(&mut self, now: u64) {
        self.pace.set(now);
    }

    /// Announces what is due to be.
    pub(crate) fn wake(&mut self, reads: &dyn Reads, out: &mut Outbox) -> Result<(), CloseReason> {
        let now = self.pace.now();
        let is_due = |channel: &Channel| channel.announces_at().is_some_and(|due| due <= now);
        let due = self.channels.iter().filter(|(_, channel)| is_due(channel));
        let due: Vec<Name> = due.map(|(name, _)| *name).collect();
        due.into_iter().try_for_each(|name| self.with(name, reads, out, Channel::wake))
    }

    /// Returns when [`wake`](Self::wake) is to be called, if at all.
    pub(crate) fn wakes_at(&self) -> Option<u64> {
        self.channels.values().filter_map(Channel::announces_at).min()
    }

    /// Sends batches while the window has room, one of each database in turn.
    pub(crate) fn pump(&mut self, reads: &dyn Reads, out: &mut Outbox) -> Result<(), CloseReason> {
        let mut idle: BTreeSet<Name> = BTreeSet::new();
        while self.flow.has_room()
            && let Some(name) = self.next_to_serve(&idle)
        {
            let mut more = false;
            self.with(name, reads, out, |channel, ctx| {
                more = channel.pump(ctx)?;
                Ok(())
            })?;
            self.served = Some(name);
            if !more {
                idle.insert(name);
            }
        }
        self.end_all(reads, out)
    }

    fn next_to_serve(&self, idle: &BTreeSet<Name>) -> Option<Name> {
        let ready =
            |(name, channel): &(&Name, &Channel)| channel.has_work() && !idle.contains(name);
        let after =
            |name: Name| (std::ops::Bound::Excluded(name), std::ops::Bound::<Name>::Unbounded);
        let next = self.served.and_then(|last| self.channels.range(after(last)).find(ready));
        next.or_else(|| self.channels.iter().find(ready)).map(|(name, _)| *name)
    }

    /// Returns whether the peer owes an answer and this side owes none.
    pub(crate) fn waits_for_peer(&self) -> bool {
        !self.flow.is_ingesting() && self.channels.values().any(Channel::waits_for_peer)
    }

    /// Returns the status of every database of the session.
    pub(crate) fn statuses(&self) -> BTreeMap<DatabaseId, DatabaseStatus> {
        let ended = self.relations.values().map(|relation| {
            let state = relation.ended.unwrap_or(DatabaseState::Asked);
            (relation.database, DatabaseStatus::new(state))
        });
        let open = self.channels.values().map(|channel| (channel.database(), channel.status()));
        ended.chain(open).collect()
    }
}

/// Returns the channel of a database, a new one where there is none.
fn enter<'a>(
    channels: &'a mut BTreeMap<Name, Channel>,
    recalled: &mut CommonTips,
    name: Name,
    database: DatabaseId,
) -> &'a mut Channel {
    channels.entry(name).or_insert_with(|| {
        let recalled = recalled.remove(&database).unwrap_or_default();
        Channel::new(database, name, recalled)
    })
}

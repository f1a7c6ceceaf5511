//! The databases of one session whose peer is known: which there are, and who is told what.
//!
//! Invariant: a database is answered for only when the peer's keys may read it or it was related
//! here; anything else is the same `Unknown`.

use std::collections::{BTreeMap, BTreeSet};

use weald_dag::{DatabaseId, EntryId, PublicKey, SecretKey, Verdict};

use crate::channel::Channel;
use crate::close::{CloseReason, Farewell, PeerFault};
use crate::context::Context;
use crate::flow::Flow;
use crate::limits::{DATABASES_MAX, KEYS_MAX, UNKNOWN_NAMES_MAX};
use crate::message::{Announce, Control, Message};
use crate::naming::{Name, Naming};
use crate::outbox::Outbox;
use crate::output::{BatchId, Event};
use crate::possession;
use crate::reads::Reads;
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

/// The databases of one session.
pub(crate) struct Exchange {
    transcript: [u8; 32],
    device: PublicKey,
    peer: PublicKey,
    naming: Naming,
    /// The keys that the peer has proven, its device key first.
    keys: Vec<PublicKey>,
    relations: BTreeMap<Name, Relation>,
    channels: BTreeMap<Name, Channel>,
    /// Dropped here: not answered for until they are related again.
    dropped: BTreeSet<Name>,
    /// Left here, and not yet confirmed there; whether to open it again then.
    leaving: BTreeMap<Name, bool>,
    /// The names that were answered with `Unknown`.
    unknown: BTreeSet<Name>,
    /// What the peer may read, by name, as far as the message in hand has asked for it.
    readable: Option<BTreeMap<Name, DatabaseId>>,
    flow: Flow,
    /// The database whose batch went last, so that none is starved.
    served: Option<Name>,
}

impl Exchange {
    pub(crate) fn new(
        transcript: [u8; 32],
        device: PublicKey,
        peer: PublicKey,
        naming: Naming,
    ) -> Self {
        Self {
            transcript,
            device,
            peer,
            naming,
            keys: vec![peer],
            relations: BTreeMap::new(),
            channels: BTreeMap::new(),
            dropped: BTreeSet::new(),
            leaving: BTreeMap::new(),
            unknown: BTreeSet::new(),
            readable: None,
            flow: Flow::default(),
            served: None,
        }
    }

    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    pub(crate) fn prove(&self, keys: &[SecretKey], out: &mut Outbox) {
        if !keys.is_empty() {
            let proofs = possession::prove(&self.transcript, &self.device, keys);
            out.control(Control::Keys(proofs));
        }
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
        self.relations.insert(name, Relation { database, ended: None, complete });
        self.open(name, database, reads, out)
    }

    fn open(
        &mut self,
        name: Name,
        database: DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        if let Some(reopen) = self.leaving.get_mut(&name) {
            *reopen = true;
            return Ok(());
        }
        self.channels.entry(name).or_insert_with(|| Channel::new(database, name));
        self.with(name, reads, out, |channel, ctx| channel.start(false, ctx))
    }

    /// Stops syncing a database, also when it is the peer that asks for it.
    pub(crate) fn drop_relation(&mut self, database: &DatabaseId, out: &mut Outbox) {
        let name = self.naming.name(database);
        self.relations.remove(&name);
        self.dropped.insert(name);
        self.leave(name, out);
    }

    fn leave(&mut self, name: Name, out: &mut Outbox) {
        if self.remove(name) {
            self.leaving.insert(name, false);
            out.control(Control::Leave(name));
        } else if let Some(reopen) = self.leaving.get_mut(&name) {
            *reopen = false;
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

    /// Calls `what` on a channel, if there is one.
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
        what(channel, &mut Context { reads, out, flow: &mut self.flow, keys: &self.keys })
    }

    /// Takes a message of the peer.
    pub(crate) fn handle(
        &mut self,
        message: Message,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        self.readable = None;
        match message {
            Message::Entries(batch) => {
                self.with(batch.name, reads, out, |channel, ctx| channel.entries(batch, ctx))
            }
            Message::Controls(controls) => {
                controls.into_iter().try_for_each(|control| self.control(control, reads, out))
            }
        }
    }

    /// A message about a database that is not open is about one that was just left: it is dropped.
    fn control(
        &mut self,
        control: Control,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        match control {
            Control::Keys(proofs) => self.keys_proven(&proofs, reads, out),
            Control::Announce(announce) => self.announced(announce, reads, out),
            Control::Unknown(name) => {
                self.end(name, DatabaseState::Denied, out);
                Ok(())
            }
            Control::Leave(name) => {
                out.control(Control::Left(name));
                self.end(name, DatabaseState::Left, out);
                Ok(())
            }
            Control::Left(name) => self.left(name, reads, out),
            Control::Goodbye(code) => Err(CloseReason::Told(Farewell::from_code(code))),
            Control::Compared { name, round, tips, probe } => {
                self.with(name, reads, out, |ch, ctx| ch.compared(round, &tips, &probe, ctx))
            }
            Control::Probe { name, round, ids } => {
                self.with(name, reads, out, |ch, ctx| ch.probe(round, &ids, ctx))
            }
            Control::Probed { name, round, held } => {
                self.with(name, reads, out, |ch, ctx| ch.probed(round, &held, ctx))
            }
            Control::Sending { name, round, entries } => {
                self.with(name, reads, out, |ch, _| ch.sending(round, entries))
            }
            Control::Sent { name, round } => {
                self.with(name, reads, out, |ch, ctx| ch.sent(round, ctx))
            }
            Control::Settled { name, round, unheld } => {
                self.with(name, reads, out, |ch, ctx| ch.settled(round, unheld, ctx))
            }
            Control::Want { name, ids, depth } => {
                self.with(name, reads, out, |ch, ctx| ch.want(&ids, depth, ctx))
            }
            Control::Wanted(name) => self.with(name, reads, out, Channel::wanted),
            Control::Ack { name, batch } => {
                self.with(name, reads, out, |ch, ctx| ch.acknowledged(batch, ctx))
            }
        }
    }

    fn keys_proven(
        &mut self,
        proofs: &[possession::KeyProof],
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        self.readable = None;
        let keys = possession::check(&self.transcript, &self.peer, proofs)?;
        for key in &keys {
            if !self.keys.contains(key) {
                self.keys.push(*key);
            }
        }
        let (found, limit) = (self.keys.len(), KEYS_MAX + 1);
        if found > limit {
            return Err(PeerFault::TooMany { what: "keys", found, limit }.into());
        }
        out.event(Event::KeysProven { keys });
        let names: Vec<Name> = self.channels.keys().copied().collect();
        names.into_iter().try_for_each(|name| self.with(name, reads, out, Channel::keys_came))
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
        let Some(database) = self.resolve(&announce, reads)? else {
            self.remove(name);
            self.unknown.insert(name);
            let (found, limit) = (self.unknown.len(), UNKNOWN_NAMES_MAX);
            if found > limit {
                return Err(PeerFault::TooMany { what: "unknown names", found, limit }.into());
            }
            out.control(Control::Unknown(name));
            if let Some(relation) = self.relations.get_mut(&name) {
                relation.ended = Some(DatabaseState::Denied);
                out.event(Event::Denied { database: relation.database });
            }
            return Ok(());
        };
        if let Some(relation) = self.relations.get_mut(&name) {
            relation.ended = None;
        }
        if announce.round == 1 {
            out.event(Event::Opened { database });
        }
        self.channels.entry(name).or_insert_with(|| Channel::new(database, name));
        self.with(name, reads, out, |channel, ctx| channel.announced(announce, ctx))
    }

    /// Finds the database of a name, if it may be answered for.
    fn resolve(
        &mut self,
        announce: &Announce,
        reads: &dyn Reads,
    ) -> Result<Option<DatabaseId>, CloseReason> {
        // Also where neither side holds all of it yet: a refusal could cross the offer of whoever is
        // first to, and end it.
        if let Some(relation) = self.relations.get(&announce.name) {
            return Ok(Some(relation.database));
        }
        if self.dropped.contains(&announce.name) {
            return Ok(None);
        }
        if let Some(channel) = self.channels.get(&announce.name) {
            let database = channel.database();
            return Ok(reads.may_read(&database, &self.keys)?.then_some(database));
        }
        if self.channels.len() >= DATABASES_MAX {
            return Ok(None);
        }
        if self.readable.is_none() {
            let ids = reads.readable(&self.keys)?.into_iter();
            self.readable = Some(ids.map(|id| (self.naming.name(&id), id)).collect());
        }
        let readable = self.readable.as_ref();
        let Some(database) = readable.and_then(|ids| ids.get(&announce.name).copied()) else {
            return Ok(None);
        };
        let complete = reads.database(&database)?.is_some_and(|local| local.complete);
        Ok(complete.then_some(database))
    }

    /// Ends a channel because of what the peer said.
    fn end(&mut self, name: Name, state: DatabaseState, out: &mut Outbox) {
        let database = self.channels.get(&name).map(Channel::database);
        self.remove(name);
        if let Some(relation) = self.relations.get_mut(&name) {
            relation.ended = Some(state);
        }
        let Some(database) = database else {
            return;
        };
        out.event(match state {
            DatabaseState::Denied => Event::Denied { database },
            _ => Event::Left { database },
        });
    }

    fn left(&mut self, name: Name, reads: &dyn Reads, out: &mut Outbox) -> Result<(), CloseReason> {
        match (self.leaving.remove(&name), self.relations.get(&name)) {
            (None, _) => Err(PeerFault::Unexpected { what: "an answer to no leave" }.into()),
            (Some(true), Some(relation)) => self.open(name, relation.database, reads, out),
            (Some(_), _) => Ok(()),
        }
    }

    pub(crate) fn ingested(
        &mut self,
        batch: BatchId,
        verdicts: Vec<(EntryId, Verdict)>,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        match self.flow.end(batch) {
            Some(name) => {
                self.with(name, reads, out, |channel, ctx| channel.ingested(batch, verdicts, ctx))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn committed(
        &mut self,
        database: &DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let name = self.naming.name(database);
        if self.channels.contains_key(&name) {
            return self.with(name, reads, out, Channel::push);
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
        self.leave_revoked(out);
        Ok(())
    }

    fn next_to_serve(&self, idle: &BTreeSet<Name>) -> Option<Name> {
        let ready =
            |(name, channel): &(&Name, &Channel)| channel.has_work() && !idle.contains(name);
        let after =
            |name: Name| (std::ops::Bound::Excluded(name), std::ops::Bound::<Name>::Unbounded);
        let next = self.served.and_then(|last| self.channels.range(after(last)).find(ready));
        next.or_else(|| self.channels.iter().find(ready)).map(|(name, _)| *name)
    }

    fn leave_revoked(&mut self, out: &mut Outbox) {
        let revoked = self.channels.iter().filter(|(_, channel)| channel.is_revoked());
        let revoked: Vec<(Name, DatabaseId)> =
            revoked.map(|(name, channel)| (*name, channel.database())).collect();
        for (name, database) in revoked {
            self.leave(name, out);
            if let Some(relation) = self.relations.get_mut(&name) {
                relation.ended = Some(DatabaseState::Left);
            }
            out.event(Event::Left { database });
        }
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

//! A session whose peer is known: what is said of the session itself; what concerns databases goes to their exchange.
//!
//! Invariant: what is said here needs no database, and costs as much as its own few bytes.

use serde_bytes::ByteArray;
use weald_dag::{DatabaseId, RequestId};

use crate::close::{CloseReason, Farewell, PeerFault};
use crate::discovery::Discovery;
use crate::exchange::Exchange;
use crate::frame::{Framer, GOODBYE};
use crate::handshake::farewell;
use crate::health::{Due, Health};
use crate::limits::{DISCOVERED_PAGE, REQUESTS_PER_HOUR_MAX};
use crate::message::{Control, Heard, Message};
use crate::naming::Name;
use crate::outbox::Outbox;
use crate::output::Event;
use crate::presence::{PresenceMessage, Spoken};
use crate::reads::Reads;
use crate::speech::Speech;

const HOUR_MS: u64 = 3_600_000;

/// A session whose peer is known.
pub(crate) struct Open {
    pub(crate) exchange: Exchange,
    pub(crate) framer: Framer,
    pub(crate) health: Health,
    pub(crate) discovery: Discovery,
    pub(crate) speech: Speech,
    /// The time of the call under way.
    pub(crate) now: u64,
    /// Whether something came that brings what the peer owes nearer.
    pub(crate) moved_on: bool,
    /// Whether a frame of the peer has come under the agreed seal.
    heard: bool,
    /// How many requests for access have come in the hour that began then.
    requests: (u64, usize),
}

impl Open {
    pub(crate) const fn new(exchange: Exchange, framer: Framer, health: Health, now: u64) -> Self {
        Self {
            exchange,
            framer,
            health,
            discovery: Discovery::new(),
            speech: Speech::new(),
            now,
            moved_on: false,
            heard: false,
            requests: (now, 0),
        }
    }

    /// Takes a frame of the peer.
    pub(crate) fn handle(
        &mut self,
        frame: &[u8],
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        // A responder that refuses our proof cannot seal its goodbye yet.
        if let Some((&GOODBYE, code)) = frame.split_first()
            && !self.heard
        {
            return Err(CloseReason::Told(farewell(code)));
        }
        let message = self.framer.message(frame)?;
        self.heard = true;
        self.health.heard(self.now);
        let Some(message) = message else {
            self.moved_on = true;
            return Ok(());
        };
        self.exchange.begin_message();
        let length = message.len() + self.framer.cost();
        let Message { controls, batch } = Message::decode(message)?;
        // What is neither a control nor a batch's counts for what the message is most about.
        let named: usize = controls.iter().map(|heard| heard.bytes).sum();
        let mut rest = length.saturating_sub(named);
        if let Some(batch) = &batch {
            self.exchange.count_heard(&batch.name, std::mem::take(&mut rest));
        }
        for Heard { control, bytes } in controls {
            let name = control.name();
            self.moved_on |= self.exchange.moves_on(&control);
            let bytes = bytes + name.map_or(0, |_| std::mem::take(&mut rest));
            let counted = name.is_none_or(|name| self.exchange.count_heard(&name, bytes));
            self.control(control, reads, out)?;
            // The first that is heard of a database opens it.
            if let Some(name) = name.filter(|_| !counted) {
                self.exchange.count_heard(&name, bytes);
            }
        }
        match batch {
            Some(batch) => {
                self.moved_on |= !batch.raw.is_empty() && self.exchange.is_open(&batch.name);
                self.exchange.entries(batch, reads, out)
            }
            None => Ok(()),
        }
    }

    fn control(
        &mut self,
        control: Control,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        match control {
            Control::Ask(request) => {
                self.count_request()?;
                out.event(Event::Asked { request: request.into_vec() });
            }
            Control::Answer { request, answer } => {
                let request = RequestId::from_bytes(*request);
                out.event(Event::Answered { request, answer });
            }
            Control::Discover(after) => {
                let after = after.map(|id| DatabaseId::from_bytes(*id));
                return self.list(after, reads, out);
            }
            Control::Discovered { databases, next } => {
                let next = next.map(|id| DatabaseId::from_bytes(*id));
                self.discovery.answered(databases, next, out)?;
            }
            Control::NotDiscovered => self.discovery.refused(out)?,
            Control::Presence { name, message } => return self.hear(name, message, reads, out),
            Control::Ping(ping) => out.control(Control::Pong(ping)),
            Control::Pong(ping) => self.health.answered(ping, self.now)?,
            Control::Goodbye(code) => return Err(CloseReason::Told(Farewell::from_code(code))),
            of_database => return self.exchange.control(of_database, reads, out),
        }
        Ok(())
    }

    /// Bounds what a peer can have this side do by asking and asking.
    fn count_request(&mut self) -> Result<(), CloseReason> {
        let (since, found) = &mut self.requests;
        if self.now.saturating_sub(*since) >= HOUR_MS {
            (*since, *found) = (self.now, 0);
        }
        *found += 1;
        let (what, limit) = ("requests for access in an hour", REQUESTS_PER_HOUR_MAX);
        if *found > limit {
            return Err(PeerFault::TooMany { what, found: *found, limit }.into());
        }
        Ok(())
    }

    /// Does what its time has come for.
    pub(crate) fn wake(&mut self, reads: &dyn Reads, out: &mut Outbox) -> Result<(), CloseReason> {
        self.check_health(out)?;
        self.exchange.wake(reads, out)
    }

    /// Says something on a topic of a database, where the peer syncs and may read it and there is room; returns
    /// whether it was said.
    pub(crate) fn say(
        &mut self,
        database: &DatabaseId,
        message: &PresenceMessage,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<bool, CloseReason> {
        let Some(name) = self.exchange.spoken_of(database, reads)? else {
            return Ok(false);
        };
        let said = self.speech.says(self.now);
        if said {
            out.control(Control::Presence { name, message: message.into() });
        }
        Ok(said)
    }

    /// Takes what the peer passes on; what is too much or of no database that it may read is dropped.
    fn hear(
        &mut self,
        name: Name,
        message: Spoken,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        if self.speech.hears(self.now)
            && let Some(database) = self.exchange.heard_of(&name, reads)?
            && let Some(message) = message.into_message()
        {
            out.event(Event::Presence { database, message });
        } else {
            self.speech.drop();
        }
        Ok(())
    }

    /// Asks the peer for the databases that it offers behind an id.
    pub(crate) fn discover(
        &mut self,
        after: Option<DatabaseId>,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        self.exchange.prove_for_discovery(reads, out)?;
        self.discovery.ask(after, out);
        Ok(())
    }

    /// Tells the peer what is offered to the keys that it has proven.
    fn list(
        &mut self,
        after: Option<DatabaseId>,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        if !self.discovery.allows(self.now) {
            out.control(Control::NotDiscovered);
            return Ok(());
        }
        let mut listed = self.exchange.listed(after, DISCOVERED_PAGE + 1, reads)?;
        let more = listed.len() > DISCOVERED_PAGE;
        listed.truncate(DISCOVERED_PAGE);
        let next = listed.last().filter(|_| more).map(|last| ByteArray::new(*last.id.as_bytes()));
        listed.retain(|listed| !self.exchange.is_dropped(&listed.id));
        let databases = listed.into_iter().map(Into::into).collect();
        out.control(Control::Discovered { databases, next });
        Ok(())
    }

    /// Returns whether the peer owes an answer.
    pub(crate) fn waits_for_peer(&self) -> bool {
        self.discovery.waits_for_peer() || self.exchange.waits_for_peer()
    }

    /// Looks whether the peer is to be asked if it is there, or is not.
    fn check_health(&mut self, out: &mut Outbox) -> Result<(), CloseReason> {
        match self.health.due(self.now) {
            Due::Nothing => {}
            Due::Ping(ping) => out.control(Control::Ping(ping)),
            Due::Silent => return Err(CloseReason::Silent),
        }
        Ok(())
    }
}

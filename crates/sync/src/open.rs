//! A session whose peer is known: what is said of the session itself; what concerns databases goes to their exchange.
//!
//! Invariant: what is said here needs no database, and costs as much as its own few bytes.

use weald_dag::RequestId;

use crate::close::{CloseReason, Farewell, PeerFault};
use crate::exchange::Exchange;
use crate::frame::{Framer, GOODBYE};
use crate::handshake::farewell;
use crate::health::{Due, Health};
use crate::limits::REQUESTS_PER_HOUR_MAX;
use crate::message::{Control, Heard, Message};
use crate::outbox::Outbox;
use crate::output::Event;
use crate::reads::Reads;

const HOUR_MS: u64 = 3_600_000;

/// A session whose peer is known.
pub(crate) struct Open {
    pub(crate) exchange: Exchange,
    pub(crate) framer: Framer,
    pub(crate) health: Health,
    /// The time of the call under way.
    pub(crate) now: u64,
    /// Whether a frame of the peer has come under the agreed seal.
    heard: bool,
    /// How many requests for access have come in the hour that began then.
    requests: (u64, usize),
}

impl Open {
    pub(crate) const fn new(exchange: Exchange, framer: Framer, health: Health, now: u64) -> Self {
        Self { exchange, framer, health, now, heard: false, requests: (now, 0) }
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
            return Ok(());
        };
        self.exchange.begin_message();
        let length = message.len() + self.framer.cost();
        let Message { controls, batch } = Message::decode(message)?;
        // What is neither a control nor a batch's counts for what the message is most about.
        let named: usize = controls.iter().map(|heard| heard.bytes).sum();
        let rest = length.saturating_sub(named);
        let most = batch.as_ref().map(|batch| batch.name);
        let most = most.or_else(|| controls.iter().find_map(|heard| heard.control.name()));
        for Heard { control, bytes } in controls {
            let name = control.name();
            self.control(control, reads, out)?;
            name.iter().for_each(|name| self.exchange.count_heard(name, bytes));
        }
        most.iter().for_each(|name| self.exchange.count_heard(name, rest));
        match batch {
            Some(batch) => self.exchange.entries(batch, reads, out),
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

//! What is said within rounds, brought to the channels that it is about.
//!
//! Invariant: what cannot be read is the peer's fault before any channel hears of it.

use super::Exchange;
use crate::close::{CloseReason, PeerFault};
use crate::filter::Filter;
use crate::message::Control;
use crate::outbox::Outbox;
use crate::reads::Reads;
use crate::sift::Sieve;

impl Exchange {
    /// Takes a control of a round.
    pub(super) fn of_round(
        &mut self,
        control: Control,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        match control {
            Control::Compared { name, round, answers } => {
                self.with(name, reads, out, |ch, ctx| ch.compared(round, answers, ctx))
            }
            Control::Filter { name, round, base, common, filter, needs } => {
                let filter = Filter::from_bytes(&filter)
                    .map_err(|_| PeerFault::Garbled { what: "a filter" })?;
                let sieve = Sieve { base, filter };
                self.with(name, reads, out, |ch, ctx| ch.filter(round, sieve, &common, needs, ctx))
            }
            Control::Code { name, round, from, to } => {
                let window = from as usize..to as usize;
                self.with(name, reads, out, |ch, ctx| ch.code(round, window, ctx))
            }
            Control::Symbols { name, round, symbols } => {
                self.with(name, reads, out, |ch, ctx| ch.symbols(round, &symbols, ctx))
            }
            Control::WantShort { name, round, shorts, more } => {
                self.with(name, reads, out, |ch, ctx| ch.want_short(round, shorts, more, ctx))
            }
            Control::Pages { name, round } => {
                self.with(name, reads, out, |ch, ctx| ch.pages(round, ctx))
            }
            Control::Probe { name, round, ids } => {
                self.with(name, reads, out, |ch, ctx| ch.probe(round, &ids, ctx))
            }
            Control::Probed { name, round, held } => {
                self.with(name, reads, out, |ch, ctx| ch.probed(round, &held, ctx))
            }
            Control::Sent { name, round } => {
                self.with(name, reads, out, |ch, ctx| ch.sent(round, ctx))
            }
            Control::Settled { name, round, unheld } => {
                self.with(name, reads, out, |ch, ctx| ch.settled(round, unheld, ctx))
            }
            _ => Ok(()),
        }
    }
}

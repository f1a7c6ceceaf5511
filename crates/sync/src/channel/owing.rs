//! What the peer owes, and what brings it nearer.
//!
//! Invariant: nothing that can be said again and again for ever counts as coming nearer.

use super::Channel;
use crate::message::Control;

impl Channel {
    /// Returns whether a control, which is not taken yet, brings what the peer owes nearer.
    pub(crate) fn moves_on(&self, control: &Control) -> bool {
        let of_round = |number: &u64| self.round.as_ref().filter(|round| round.number == *number);
        match control {
            // Each of these ends something, or is refused.
            Control::Announce(_)
            | Control::Unknown(_)
            | Control::Revoked { .. }
            | Control::Leave(_)
            | Control::Left(_)
            | Control::Want { .. }
            | Control::Wanted(_) => true,
            Control::Compared { round, .. }
            | Control::Filter { round, .. }
            | Control::Symbols { round, .. }
            | Control::WantShort { round, .. }
            | Control::Pages { round, .. }
            | Control::Probed { round, .. }
            | Control::Settled { round, .. } => of_round(round).is_some(),
            Control::Sent { round, .. } => of_round(round).is_some_and(|round| !round.peer_sent),
            Control::Ack { batch, .. } => self.outgoing.awaits(*batch),
            Control::Had { .. } => self.live.is_asking(),
            // What the peer asks and tells brings nothing of what it owes.
            Control::Keys { .. }
            | Control::Code { .. }
            | Control::Probe { .. }
            | Control::Have { .. }
            | Control::Ask(_)
            | Control::Answer { .. }
            | Control::Discover(_)
            | Control::Discovered { .. }
            | Control::NotDiscovered
            | Control::Presence { .. }
            | Control::Ping(_)
            | Control::Pong(_)
            | Control::Goodbye(_) => false,
        }
    }
}

//! How a database is left: because the peer says so, because it may not read any more, or against its word.
//!
//! Invariant: nothing of a database that was left is sent before the peer has confirmed that it was.

use weald_dag::DatabaseId;

use super::{Exchange, Leaving};
use crate::channel::{Channel, Ending};
use crate::close::{CloseReason, PeerFault};
use crate::message::Control;
use crate::naming::Name;
use crate::outbox::Outbox;
use crate::output::Event;
use crate::reads::Reads;
use crate::shown;
use crate::status::DatabaseState;

impl Exchange {
    /// Takes the peer's word that a key of this side may not read any more what it once could. What is
    /// shown goes through the door like all else; where this side may read for all that it knows
    /// then, the peer lacks something and is told so, once.
    pub(super) fn revoked(
        &mut self,
        name: Name,
        shown: &[u8],
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        out.control(Control::Left(name));
        let related = self.relations.get(&name).map(|relation| relation.database);
        let open = self.channels.get(&name).map(Channel::database);
        self.end(name, DatabaseState::Revoked, out);
        let database = match related.or(open) {
            Some(database) => Some(database),
            None => self.resolve(name, reads)?,
        };
        let Some(database) = database else {
            return Ok(());
        };
        let parcels = shown::unpack(shown)?;
        if parcels.is_empty() || reads.database(&database)?.is_none() {
            return self.contradict(database, reads, out);
        }
        let batch = self.flow.begin(name, shown.len())?;
        self.shown.insert(batch, database);
        out.ingest(batch, database, parcels, false);
        Ok(())
    }

    /// Contradicts the peer's word that this side may not read, where that is not what is known here.
    pub(super) fn contradict(
        &mut self,
        database: DatabaseId,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let name = self.naming.name(&database);
        let complete = reads.database(&database)?.is_some_and(|local| local.complete);
        let may_read = complete && reads.may_read(&database, self.own_keys.of(&name))?;
        // Where each takes it from the other, neither has anything to say to it.
        let is_open = self.channels.contains_key(&name) || self.leaving.contains_key(&name);
        if !may_read || is_open || !self.contradicted.insert(name) {
            return Ok(());
        }
        self.own_keys.prove(name, &database, reads, out)?;
        self.channels.insert(name, Channel::new(database, name, Vec::new()));
        self.with(name, reads, out, Channel::object)
    }

    /// Ends a channel because of what the peer said.
    pub(super) fn end(&mut self, name: Name, state: DatabaseState, out: &mut Outbox) {
        let database = self.channels.get(&name).map(Channel::database);
        self.remove(name);
        if let Some(relation) = self.relations.get_mut(&name) {
            relation.ended = Some(state);
        }
        let Some(database) = database else {
            return;
        };
        out.event(match state {
            DatabaseState::Denied => Event::Denied { database, revoked: false },
            DatabaseState::Revoked => Event::Denied { database, revoked: true },
            _ => Event::Left { database },
        });
    }

    pub(super) fn left(
        &mut self,
        name: Name,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        match self.leaving.remove(&name) {
            None => Err(PeerFault::Unexpected { what: "an answer to no leave" }.into()),
            Some(left) if left.reopen => self.open(name, left.database, reads, out),
            Some(_) => Ok(()),
        }
    }

    /// Leaves the databases that the peer may not read any more; nothing of them is sent after this.
    pub(super) fn end_all(
        &mut self,
        reads: &dyn Reads,
        out: &mut Outbox,
    ) -> Result<(), CloseReason> {
        let ending = self
            .channels
            .iter()
            .filter_map(|(name, channel)| Some((*name, channel.database(), channel.ending()?)));
        let ending: Vec<(Name, DatabaseId, Ending)> = ending.collect();
        for (name, database, ending) in ending {
            self.remove(name);
            self.refused.insert(name);
            self.leaving.insert(name, Leaving { database, reopen: false });
            if let Some(relation) = self.relations.get_mut(&name) {
                relation.ended = Some(DatabaseState::Ended);
            }
            out.event(Event::Ended { database });
            if ending == Ending::Closed {
                out.control(Control::Leave(name));
                continue;
            }
            // Its word against ours: it must be able to tell that we may read.
            self.own_keys.prove(name, &database, reads, out)?;
            let shown = shown::pack(&database, self.peer_keys.of(&name), reads)?;
            out.control(Control::Revoked { name, shown });
        }
        Ok(())
    }
}

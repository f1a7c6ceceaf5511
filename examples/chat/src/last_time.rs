//! What is convenient to know from last time; losing it loses no message.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weald::{DatabaseId, Ticket};

/// The file in the data directory.
const FILE: &str = "last-time.json";

/// Remembers the room and the port of last time.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastTime {
    file: PathBuf,
    facts: Facts,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Facts {
    room: Option<String>,
    port: Option<u16>,
    /// The tickets of rooms that have not been fetched yet.
    joining: BTreeMap<String, String>,
}

impl LastTime {
    /// Reads what is remembered in a data directory; nothing if it was never used or is not readable.
    pub(crate) fn read(directory: &Path) -> Self {
        let file = directory.join(FILE);
        let text = fs::read(&file).unwrap_or_default();
        Self { file, facts: serde_json::from_slice(&text).unwrap_or_default() }
    }

    /// Returns the room that was open.
    pub(crate) fn room(&self) -> Option<DatabaseId> {
        self.facts.room.as_deref()?.parse().ok()
    }

    /// Returns the port that was listened on: peers know it.
    pub(crate) fn port(&self) -> Option<u16> {
        self.facts.port
    }

    /// Remembers the room.
    ///
    /// # Errors
    /// The error of the file system; what was remembered before stays.
    pub(crate) fn set_room(&mut self, room: DatabaseId) -> io::Result<()> {
        self.change(|facts| facts.room = Some(room.to_string()))
    }

    /// Remembers the port.
    ///
    /// # Errors
    /// The error of the file system; what was remembered before stays.
    pub(crate) fn set_port(&mut self, port: u16) -> io::Result<()> {
        self.change(|facts| facts.port = Some(port))
    }

    /// Returns the ticket of a room that has not been fetched yet.
    pub(crate) fn joining(&self, room: DatabaseId) -> Option<Ticket> {
        self.facts.joining.get(&room.to_string())?.parse().ok()
    }

    /// Remembers the ticket of a room until it has been fetched, without its invite: that is a secret, and
    /// kept sealed elsewhere.
    ///
    /// # Errors
    /// The error of the file system; what was remembered before stays.
    pub(crate) fn set_joining(&mut self, ticket: &Ticket) -> io::Result<()> {
        let room = ticket.database().to_string();
        let text = ticket.clone().without_invite().to_string();
        self.change(|facts| drop(facts.joining.insert(room, text)))
    }

    /// Forgets the ticket of a room.
    ///
    /// # Errors
    /// The error of the file system; what was remembered before stays.
    pub(crate) fn joined(&mut self, room: DatabaseId) -> io::Result<()> {
        self.change(|facts| drop(facts.joining.remove(&room.to_string())))
    }

    fn change(&mut self, change: impl FnOnce(&mut Facts)) -> io::Result<()> {
        let before = self.facts.clone();
        change(&mut self.facts);
        if self.facts == before {
            return Ok(());
        }
        // Written beside and moved into place, so that a crash leaves the old or the new one.
        let beside = self.file.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&self.facts)?)?;
        fs::rename(&beside, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_next_time() {
        let directory = tempfile::tempdir().unwrap();
        let room = DatabaseId::from_bytes([7; 32]);
        let mut before = LastTime::read(directory.path());
        assert_eq!((before.room(), before.port()), (None, None));
        before.set_room(room).unwrap();
        before.set_port(7300).unwrap();
        let after = LastTime::read(directory.path());
        assert_eq!((after.room(), after.port()), (Some(room), Some(7300)));
        let ticket = Ticket::new(room).with_name("Demo");
        before.set_joining(&ticket).unwrap();
        assert_eq!(LastTime::read(directory.path()).joining(room), Some(ticket));
        before.joined(room).unwrap();
        assert_eq!(LastTime::read(directory.path()).joining(room), None);
        fs::write(directory.path().join(FILE), "{damaged").unwrap();
        assert_eq!(LastTime::read(directory.path()).port(), None);
    }
}

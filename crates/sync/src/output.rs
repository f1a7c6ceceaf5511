//! What a session asks of its driver, in the order in which it is to be done.

use weald_dag::{DatabaseId, EntryId, Parcel, PublicKey, Refusal, RequestId, Time};

use crate::class::Classes;
use crate::close::CloseReason;
use crate::discovery::ListedDatabase;
use crate::presence::PresenceMessage;
use crate::request::RequestAnswer;

/// Names a batch of parcels that a session handed over; unique within the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// What a session asks of its driver.
#[derive(Debug)]
pub enum Output {
    /// Puts a frame on the link, after those before it.
    Send(Vec<u8>),
    /// Verifies these parcels, puts them through the writer and answers
    /// [`Session::handle_ingested`](crate::Session::handle_ingested) after the durable commit.
    Ingest {
        /// Names the batch in the answer.
        batch: BatchId,
        /// The database that they are said to belong to.
        database: DatabaseId,
        /// The parcels, parents first; nothing about them is checked but their form.
        parcels: Vec<Parcel>,
        /// Whether the database is not held here, or not completely: it is to be created when its
        /// root comes.
        bootstrap: bool,
    },
    /// Tells what happened.
    Event(Event),
    /// Closes the link once everything before is sent; nothing follows.
    Close(CloseReason),
}

/// What happened in a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer has proven its device key; nothing was answered before.
    Authenticated {
        /// The peer's device key.
        peer: PublicKey,
        /// What the peer calls itself; not proven by anything.
        name: String,
        /// Whether it was dialled without an expected key, so this key is trusted on first use.
        first_use: bool,
    },
    /// The peer has proven these keys beside its device key, for one database.
    KeysProven {
        /// The keys.
        keys: Vec<PublicKey>,
    },
    /// Both sides sync this database from now on.
    Opened {
        /// The database.
        database: DatabaseId,
    },
    /// A round has ended: every tip that was announced is classed. Live from now on.
    Settled {
        /// The database.
        database: DatabaseId,
        /// What became of the tips of either side.
        classes: Classes,
        /// Whether this side holds all that the peer offered, so that a bootstrap is finished.
        complete: bool,
        /// How many round trips it took.
        round_trips: u32,
    },
    /// Entries were stored or acknowledged.
    Progress {
        /// The database.
        database: DatabaseId,
        /// How many entries were received in this round.
        entries_done: u64,
        /// How many will be received in this round, as far as the peer has said.
        entries_total: Option<u64>,
        /// How many bytes of entries were received in this round.
        bytes: u64,
    },
    /// The peer does not hold the database, or this side may not read it there: one answer for both,
    /// but to who once could.
    Denied {
        /// The database.
        database: DatabaseId,
        /// Whether the peer says that a key of this side once could read it and may not any more.
        revoked: bool,
    },
    /// The peer may not read the database any more: nothing of it is sent to it from now on.
    Ended {
        /// The database.
        database: DatabaseId,
    },
    /// The peer has stopped syncing a database with this side.
    Left {
        /// The database.
        database: DatabaseId,
    },
    /// An entry of the peer was refused for good.
    Refused {
        /// The database.
        database: DatabaseId,
        /// The entry.
        entry: EntryId,
        /// Why.
        reason: Refusal,
    },
    /// An entry of the peer is kept out because its time lies too far ahead of this clock.
    HeldBack {
        /// The database.
        database: DatabaseId,
        /// The entry.
        entry: EntryId,
        /// When it says it was made.
        time: Time,
    },
    /// The peer sent entries of a newer format, which this build cannot read; update it.
    NewerVersion {
        /// The database.
        database: DatabaseId,
        /// How many came in one batch.
        entries: u64,
    },
    /// The peer asks for access to a database; to be answered by
    /// [`Session::answer`](crate::Session::answer).
    Asked {
        /// The request's bytes.
        request: Vec<u8>,
    },
    /// The peer has answered a request for access, or has decided it since.
    Answered {
        /// The hash of the request's bytes; it may be one that was never made here.
        request: RequestId,
        /// What it says.
        answer: RequestAnswer,
    },
    /// A page of the databases that the peer offers; see [`Session::discover`](crate::Session::discover).
    Discovered {
        /// The databases, by id.
        databases: Vec<ListedDatabase>,
        /// What to ask for next; `None` when these were the last.
        next: Option<DatabaseId>,
    },
    /// The peer was asked too often for the databases that it offers.
    NotDiscovered,
    /// The peer passes a presence message on. Neither its signature nor its time nor its author were looked at: see
    /// [`Hearing`](crate::Hearing).
    Presence {
        /// The database.
        database: DatabaseId,
        /// The message.
        message: PresenceMessage,
    },
    /// Tips that the peer announced did not come in several rounds.
    Unclassed {
        /// The database.
        database: DatabaseId,
        /// How many.
        tips: u64,
    },
}

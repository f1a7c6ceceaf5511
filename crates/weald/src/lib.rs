//! An embeddable, replicated database for local-first and peer-to-peer apps.
//!
//! This crate is what an app uses: an [`Instance`] in a directory, [`User`]s with their keys,
//! [`Database`]s of typed stores, [`Transaction`]s that are durable when they return, watches, and
//! tickets. Every commit is a signed entry of a graph that peers exchange and merge; what is
//! merged is kept as rows, so that reading and opening cost the same however long the history is.
//! The local API is synchronous. It is not a server, and it decides nothing that peers must agree
//! on: that is done by the crates below, which know no disk, clock or network.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use weald::{DatabaseSettings, Instance, Level};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Message {
//!     text: String,
//! }
//!
//! # fn main() -> Result<(), weald::Error> {
//! let instance = Instance::in_memory()?; // or Instance::open("some/directory")
//! let alice = instance.create_user("alice", None)?;
//! let settings = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
//! let room = alice.create_database(settings)?;
//! room.write(|tx| {
//!     tx.log("messages")?.push(&Message { text: "hello".into() })?;
//!     Ok(())
//! })?;
//! for message in room.log::<Message>("messages")?.tail(50)? {
//!     assert_eq!(message.author, alice.default_key());
//!     assert_eq!(message.value?.text, "hello");
//! }
//! # Ok(())
//! # }
//! ```

mod access;
mod clock;
mod conflict;
mod core;
mod counter;
mod database;
mod desk;
mod device;
mod doc;
mod entropy;
mod error;
mod exchange;
mod explain;
mod feed;
mod history;
mod instance;
mod key;
mod key_ring;
mod key_vault;
mod list;
mod log;
mod misfit;
mod open;
pub mod own;
mod presence;
mod query;
mod registry;
mod relaxed;
mod reply;
mod requests;
mod resolve;
mod row_edit;
mod rows;
mod seal;
mod sealed;
mod set;
mod settings;
mod sign;
mod store_ref;
mod sync;
mod system;
mod table;
mod table_mut;
#[cfg(feature = "text")]
mod text;
mod ticket;
mod transaction;
mod transfer;
pub mod transport;
mod user;
mod watch;

pub use conflict::{Conflict, ConflictedValue, RowKey, Version};
pub use counter::{COUNTER_PAGE_ROWS, Counter, CounterMut, Counters};
pub use database::{Database, DatabaseError};
pub use device::DeviceError;
pub use doc::{Doc, DocMut};
pub use error::{Error, ReadError, WriteError};
pub use explain::{Explanation, REFUSALS_KEPT, Reason, RefusedEntry};
pub use feed::CommitFeed;
pub use history::{
    AUDIT_PAGE_ENTRIES, Audit, AuditChange, AuditError, AuditRecord, AuditSetting, AuditStore,
    HISTORY_KEPT_BYTES, HISTORY_PAGE_ENTRIES, History, Past, Reverted, Revision, RowDiff,
    RowHistory, SkipReason, Skipped, UNDO_GROUP_ENTRIES_MAX, UNDO_STEPS_MAX, UndoStack, Undone,
};
pub use instance::{Instance, Verification};
pub use json_patch::{Patch, PatchError, PatchOperation, patch as apply_patch};
pub use key::IntoKey;
pub use key_vault::{KeyVault, KeyVaultError};
pub use list::{List, ListMut};
pub use log::{Cursor, Log, LogItem, LogMut};
pub use misfit::Misfit;
pub use open::{InstanceBuilder, OpenError};
pub use presence::{
    Heard, PRESENCE_TTL, PRESENCE_WATCH_QUEUE, PRESENT_PER_DATABASE_MAX, Presence, PresenceError,
    PresenceWatch, TOPICS_PER_AUTHOR_MAX,
};
pub use query::{
    ByIndex, ByKey, CursorError, DUPLICATE_KEYS_MAX, Duplicate, Duplicates, Index, IndexProgress,
    Indexes, Page, QUERY_PAGE_ROWS, Queried, Query, QueryCursor, QueryOrder, QueryRows, StoreIndex,
};
pub use registry::{StoreOptions, StoreSummary};
pub use requests::{
    ASKS_PER_HOUR_MAX, AccessOptions, AccessRequest, InviteError, InviteOptions,
    REQUEST_ANSWER_MAX, REQUESTS_DECIDED_MAX, REQUESTS_MADE_MAX, REQUESTS_PER_ADDRESS_MAX,
    REQUESTS_PER_DATABASE_MAX, REQUESTS_PER_DEVICE_MAX, REQUESTS_WAITING_MAX, ReceivedRequest,
    RequestError, RequestPolicy, RequestState, RequestStatus, Requests,
};
pub use resolve::{
    RESOLUTION_ROUNDS_MAX, RESOLUTIONS_PER_COMMIT, RESOLUTIONS_REMEMBERED_MAX, Resolution,
    ResolveError, Resolver,
};
pub use sealed::{Keying, PasswordStore, SealedError, SealedStore, Sealing};
pub use set::{SET_PAGE_ROWS, Set, SetMember, SetMembers, SetMut};
pub use settings::{
    DatabaseSettings, MemberLimit, MemberPreview, Settings, SettingsError, SettingsPreview,
    SettingsReceipt,
};
pub use store_ref::StoreNameError;
pub use sync::{
    Cause, DiscoveredDatabase, IntoAddress, PeerSync, RelationStatus, SyncAuth, SyncHandle,
    SyncPeerInfo, TRANSPORT_NAME_MAX, TransportConfig, TransportConfigError, Why,
};
pub use table::{Table, TableRow, TableRows};
pub use table_mut::TableMut;
#[cfg(feature = "text")]
pub use text::{Side, TEXTS_KEPT, Text, TextCursor, TextError, TextMut, TextSpan};
pub use ticket::{ParseTicketError, TICKET_ADDRESSES_MAX, TICKET_MAX, Ticket};
pub use transaction::{Committed, Transaction};
pub use transfer::{
    ARCHIVE_BLOCK_BYTES, ArchiveError, ArchiveExport, ArchiveImport, ArchiveReport, BadLine,
    BadLineReason, ExportError, ImportedArchive, JSON_BAD_LINES_MAX, JSON_BATCH_BYTES,
    JSON_BATCH_LINES, JSON_LINE_MAX, JSON_PROGRESS_LINES, JsonExport, JsonExportReport, JsonImport,
    JsonImportError, JsonImportReport, OnBadLine, OnExisting, StoreRows, TransferProgress,
};
pub use user::{
    DatabasePreferences, DatabaseSummary, HandOver, KeyPhrase, PASSWORD_MAX, PASSWORD_MEMORY_KIB,
    PASSWORD_MEMORY_KIB_MAX, PASSWORD_PASSES, PASSWORD_PASSES_MAX, PasswordCost, PasswordCostError,
    PasswordError, PhraseError, Rotation, SYNC_INTERVAL_SECONDS, SyncSettings, USER_KEYS_MAX,
    USER_NAME_MAX, User, UserError, UserKey,
};
#[cfg(unix)]
pub use watch::WakeFd;
pub use watch::{
    ChangeKind, Event, Filter, Origin, RowChanged, WATCH_QUEUE_BYTES, WATCH_QUEUE_EVENTS, Watch,
    WriteCallback,
};
pub use weald_auth::{
    Action, AuthRefusal, Invite, Level, Member, Operation as SettingsOperation,
    REQUEST_LIFETIME_MAX_MS, REQUEST_NAME_MAX, REQUEST_NOTE_MAX, Rank, RequestRefusal, Subject,
};
pub use weald_crdt::{
    Decimal, DraftError, ElementId, Key, MAX_COMPONENT_BYTES, MAX_KEY_COMPONENTS, MAX_KEY_NESTING,
    MAX_NESTING, MAX_OPERATIONS, MAX_PAYLOAD_BYTES, Path, Step, Timestamp, Ulid, Value, ValueError,
};
pub use weald_dag::{
    DatabaseId, Durability, EntryId, Fault, Number, Parcel, PublicKey, Refusal, RequestId,
    Signature, StoreError, Time, Verdict,
};
pub use weald_engine::{
    CommitError, Findings, INDEX_EXPONENT_MAX, INDEX_FIELDS_MAX, INDEX_NAME_BYTES_MAX,
    INDEX_STEP_ROWS, INDEX_VALUE_BYTES_MAX, INDEXES_MAX, IndexError,
};
pub use weald_sync::{
    Classes, CloseReason, Cost, DatabaseState, DatabaseStatus, Event as SessionEvent, Method, Tally,
};
pub use weald_transports::{
    ATTEMPTS_KEPT, AccessEvent, Address, AddressError, BANDWIDTH_BURST, BANDWIDTH_MIN,
    BandwidthLimit, Events as SyncEvents, HISTORY_MAX, HostError, PeerRecord, PeerState,
    PeerStatus, SyncError, SyncEvent, SyncOutcome, SyncRecord, SyncStatus,
};
pub use zeroize::Zeroizing;

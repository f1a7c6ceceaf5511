//! Who may do what in a database, as pure functions of its settings.
//!
//! Operations in the `_settings` store grant levels to keys. [`Authority`] holds those of one
//! database and judges each entry by the settings entries in its own past, and by nothing else, so
//! that every replica gives the same answer whatever else it knows and in whatever order it came.
//!
//! It is not a store: what must survive a restart is given back by [`Authority::restore`]. It knows
//! no clock and no signatures; whoever calls it has checked that the author signed.
//!
//! ```
//! use weald_auth::{Authority, Claim, EpochId, Level, Operation, Subject};
//! use weald_dag::{EntryId, SecretKey, Time};
//!
//! let creator = SecretKey::from_seed(&[1; 32]).public();
//! let subject = Subject::Key(creator);
//! let grants = [Operation::Grant { subject, level: Level::Admin(0), name: None, expires: None }];
//! let id = EntryId::from_bytes([7; 32]);
//! let (time, operations) = (Time::from_millis(1), Some(&grants[..]));
//! let root = Claim { id, author: creator, generation: 0, time, writes_data: false, operations };
//! let mut authority = Authority::new();
//! authority.judge(EpochId::EMPTY, &root)?;
//! authority.insert(EpochId::EMPTY, &root);
//! assert_eq!(authority.current().level_of(&creator), Some(Level::Admin(0)));
//! # Ok::<(), weald_auth::AuthRefusal>(())
//! ```
mod authority;
mod cache;
mod coding;
mod current;
mod entries;
mod epoch;
mod extend;
mod holding;
mod judge;
mod level;
mod limit;
mod need;
mod operation;
mod past;
mod powers;
mod rank;
mod refusal;
mod request;
mod resolve;
mod resolved;
mod restore;
mod settings_index;
mod shares;
mod tables;
mod uses;

pub use authority::{Authority, Inserted};
pub use coding::{
    GRANT_NAME_MAX, SETTING_KEY_MAX, SETTINGS_OPERATIONS_MAX, SETTINGS_VERSION, SettingsError,
    decode_operations, encode_operations,
};
pub use current::{Current, Invite, Member};
pub use epoch::{Before, EpochId, Origin};
pub use level::{Action, Level};
pub use need::Claim;
pub use operation::{Operation, SETTINGS_STORE, Subject};
pub use rank::Rank;
pub use refusal::AuthRefusal;
pub use request::{
    AccessRequest, NONCE_LEN, REQUEST_AHEAD_MAX_MS, REQUEST_LIFETIME_MAX_MS, REQUEST_MAX,
    REQUEST_NAME_MAX, REQUEST_NOTE_MAX, REQUEST_VERSION, RequestRefusal, SignedRequest,
};
pub use restore::{RestoreError, RestoredEntry};
pub use settings_index::SettingsIndex;

//! What two peers say until they hold the same entries.
//!
//! A [`Session`] is one link between two instances: frames, verdicts, commits and time go in;
//! frames, batches of parcels to ingest and events come out. Peers prove their keys, name the
//! databases that they share, compare tips, send what the other lacks in batches with a window, and
//! stay subscribed, so that what is committed goes out at once.
//!
//! This crate is pure: it opens no link, stores nothing, reads no clock. `weald-transports` drives
//! it over links; what it reads of its instance it reads through [`Reads`].
//!
//! ```
//! use weald_dag::SecretKey;
//! use weald_sync::{Output, Role, Session, SessionOptions};
//!
//! let options = SessionOptions {
//!     role: Role::Dialler,
//!     device: SecretKey::from_seed(&[1; 32]),
//!     name: "desk".into(),
//!     expected_peer: None,
//!     channel_binding: None,
//!     seed: [2; 32],
//!     plain: false,
//!     health_every: None,
//! };
//! let mut session = Session::new(options, 0);
//! let Some(Output::Send(hello)) = session.poll() else { unreachable!("a dialler speaks first") };
//! assert!(hello.len() < weald_sync::limits::FRAME_MAX);
//! ```

mod allowance;
mod batch;
mod channel;
mod class;
mod close;
mod context;
mod cost;
mod discovery;
mod effort;
mod exchange;
mod filter;
mod flow;
mod frame;
mod frontier;
mod handshake;
mod health;
mod hearing;
mod held;
mod hello;
mod ids;
mod incoming;
mod keys;
pub mod limits;
mod message;
mod naming;
mod near;
mod nearest;
mod open;
mod options;
mod outbox;
mod outgoing;
mod output;
mod pace;
mod pages;
mod possession;
mod presence;
mod reach;
mod reads;
mod recalled;
mod request;
mod round;
mod rungs;
mod seal;
mod session;
mod short;
mod shown;
mod sift;
mod speech;
mod status;
mod symbols;
#[cfg(feature = "testing")]
mod testing;
mod theirs;
mod varint;

pub use class::{Class, Classes, Tally};
pub use close::{CloseReason, Farewell, PeerFault};
pub use cost::{Cost, Method, Traffic};
pub use discovery::{ListedDatabase, NO_DATABASE};
pub use hearing::{Hearing, Unheard};
pub use options::{Role, SessionOptions};
#[cfg(feature = "testing")]
pub use outbox::Twist;
pub use output::{BatchId, Event, Output};
pub use presence::{PRESENCE_NONCE_LEN, PresenceMessage};
pub use reads::{LocalDatabase, Reads};
pub use recalled::CommonTips;
pub use request::{RequestAnswer, SALT_LEN};
pub use session::Session;
pub use status::{DatabaseState, DatabaseStatus};
#[cfg(feature = "testing")]
pub use testing::{send_at_once_at_most, start_at_attempt, weaken_short_ids};

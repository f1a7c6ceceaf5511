//! Entries, their canonical bytes, signatures and the graph they form.
//!
//! An [`Entry`] is a body that is hashed into its id; a [`Parcel`] is an entry on its way, with
//! signature and payloads; [`verify`] makes it a [`Verified`] one; [`admit`] says where it goes; a
//! [`Graph`] reads what is stored. All of it rests behind the storage seam ([`Store`], [`Snapshot`],
//! [`Overlay`], [`Batch`]).
//!
//! This crate is pure: time and randomness are arguments. It knows nothing of what payloads mean
//! (`weald-crdt`), of who may write (`weald-auth`) or of peers (`weald-sync`).
//!
//! ```
//! use weald_dag::{Entry, Fields, SecretKey, Section, Time, Verified, verify};
//!
//! let key = SecretKey::from_seed(&[1; 32]);
//! let payload = b"hello".to_vec();
//! let fields = Fields {
//!     parents: vec![],
//!     time: Time::from_millis(1_800_000_000_000),
//!     author: key.public(),
//!     seq: 0,
//!     sections: vec![Section::of("greetings", &payload)],
//!     nonce: Some([7; 16]),
//! };
//! let parcel = Verified::sign(fields, vec![payload], &key)?.into_parcel();
//! assert_eq!(Entry::decode(parcel.entry.body())?.id(), parcel.entry.id());
//! assert!(verify(vec![parcel], [0; 32]).iter().all(Result::is_ok));
//! # Ok::<(), weald_dag::EntryError>(())
//! ```

mod batch;
mod beside;
mod cbor;
#[cfg(feature = "testing")]
pub mod conformance;
mod entry;
mod graph;
mod id;
mod ingest;
mod key;
mod ladder;
pub mod limits;
mod memory;
mod needed;
mod overlay;
mod parcel;
mod pending;
mod random;
mod row;
mod rungs;
mod seam;
mod space;
mod staged_key;
mod sums;
mod text;
mod time;
mod varint;
mod verdict;
mod walk;

pub use batch::Batch;
pub use beside::{ReachedBy, WALKED_AT_ONCE};
pub use cbor::CodingError;
pub use entry::{Entry, EntryError, Fields, NONCE_LEN, Section};
pub use graph::{Graph, Stored, append, discard, index, restand};
pub use id::{DatabaseId, EntryId, RequestId};
pub use ingest::{Admission, GraphRefusal, Known, Place, admit};
pub use key::{
    Domain, KEY_LEN, KeyError, KeyTextError, PublicKey, SIGNATURE_LEN, SecretKey, Signature,
};
pub use ladder::Ladder;
pub use memory::MemoryStore;
pub use overlay::Overlay;
pub use parcel::{Fault, Parcel, ParcelError, VERIFY_BATCH, Verified, verify};
pub use pending::{
    PENDING_MAX_BYTES, PENDING_PARCEL_BYTES, PENDING_PARENT_BYTES, PENDING_SECTION_BYTES, Pending,
    PendingOverflow,
};
pub use random::Randomness;
pub use row::{Head, INLINE_PAYLOAD_MAX, Local, Number, Standing, TIPS_INLINE_MAX};
pub use rungs::{RUNGS_MAX, Rung};
pub use seam::{Durability, Snapshot, Store, StoreError, Visit};
pub use space::{KeyRange, Order, Space};
pub use sums::{RUNG_GENERATIONS, Sums};
pub use text::{ID_LEN, SHORT_ID_LEN, TextError};
pub use time::{Clock, Time};
pub use verdict::{Refusal, Verdict};

//! Encrypted stores: what is written to a sealed store leaves the instance sealed, to its own disk as
//! to its peers, and is read by those alone who have its key.
//!
//! Invariant: without its key a store is locked, which is an error that says so; never empty.

mod error;
mod known;
mod records;
mod rest;
mod sealing;
mod store;
mod vault;

pub use error::SealedError;
pub(crate) use records::KEYS;
pub use records::Keying;
pub(crate) use rest::SealedRows;
pub(crate) use sealing::{concerns, refresh, seal, share};
pub(crate) use store::fold_anew;
pub use store::{PasswordStore, SealedStore, Sealing};
pub(crate) use vault::Vault;

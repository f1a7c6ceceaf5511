//! Sealing of sections and rows for those who have the key of a store.
//!
//! A sealed store's sections are read by whoever has the key of their epoch, and are noise to
//! everybody else; so are its rows at rest. This crate turns clear bytes into sealed ones and back,
//! and wraps keys for a password or for a reader. It is pure: nonces, salts and new keys are
//! arguments. Who gets a key, and when there is a new one, is decided above.
//!
//! ```
//! use weald_cipher::{Binding, EpochKey, open_section, seal_section, section_epoch};
//!
//! let key = EpochKey::new([7; 32]); // random, in earnest
//! let binding = Binding { database: &[1; 32], store: "secrets", author: &[2; 32] };
//! let sealed = seal_section(&key, [3; 24], &binding, b"a section of operations")?;
//! assert_eq!(section_epoch(&sealed)?, key.id());
//! assert_eq!(*open_section(&key, &binding, &sealed)?, b"a section of operations");
//!
//! let elsewhere = Binding { store: "other", ..binding };
//! assert!(open_section(&key, &elsewhere, &sealed).is_err());
//! # Ok::<(), weald_cipher::CipherError>(())
//! ```

mod aead;
mod epoch;
mod error;
mod padding;
mod password;
mod reader;
mod rows;
mod section;

pub use epoch::{EPOCHS_MAX, EpochId, EpochKey};
pub use error::CipherError;
pub use password::{
    PASSWORD_LOCK_MAX, PasswordCost, PasswordLock, PasswordSeeds, succession_proof,
};
pub use reader::{READER_WRAP_LEN, unwrap_as_reader, wrap_for_reader};
pub use rows::{ROW_PLACE_LEN, RowCipher};
pub use section::{Binding, open_section, seal_section, section_epoch};

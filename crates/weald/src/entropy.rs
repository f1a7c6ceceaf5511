//! Random bytes from the system.
//!
//! Invariant: every secret and nonce of this crate is drawn here, and nowhere is a weaker source used.

use std::io;
use std::sync::Arc;

use weald_dag::StoreError;

/// Draws `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills a place with random bytes.
pub(crate) fn fill(place: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(place).map_err(|error| StoreError::Io {
        action: "draw random bytes from the system",
        source: Arc::new(io::Error::other(error.to_string())),
    })
}

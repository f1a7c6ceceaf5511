//! The keys of a sealed store: one for each epoch.
//!
//! Invariant: the id of an epoch follows from its key, so nobody can give another key for an id.

use std::fmt;

use zeroize::Zeroizing;

use crate::aead::KEY_LEN;

/// The greatest number of epochs whose keys one lock holds.
pub const EPOCHS_MAX: usize = 1_024;

const ID_LEN: usize = 16;

/// Names an epoch of a sealed store: 16 bytes that tell nothing of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochId([u8; ID_LEN]);

impl EpochId {
    /// Length in bytes.
    pub const LEN: usize = ID_LEN;

    /// Takes the 16 bytes of an id.
    pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }
}

impl fmt::Debug for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// The key of an epoch. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct EpochKey(Zeroizing<[u8; KEY_LEN]>);

impl EpochKey {
    /// Takes 32 bytes, which must be random and secret.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the id of the epoch.
    pub fn id(&self) -> EpochId {
        let mut id = [0; ID_LEN];
        let hash = self.derive("weald 2026 sealed epoch id v1");
        id.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
        EpochId(id)
    }

    pub(crate) fn derive(&self, context: &str) -> Zeroizing<[u8; KEY_LEN]> {
        Zeroizing::new(blake3::derive_key(context, self.0.as_slice()))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({:?})", self.id())
    }
}

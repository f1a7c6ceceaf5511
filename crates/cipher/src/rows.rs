//! Rows of a sealed store at rest: the key is hashed, key and value are sealed together.
//!
//! Invariant: the same row always rests as the same bytes, so nothing random is needed; a row opens
//! only at its own place.

use std::fmt;

use zeroize::Zeroizing;

use crate::aead::{self, KEY_LEN, NONCE_LEN};
use crate::epoch::{EpochId, EpochKey};
use crate::error::CipherError;
use crate::padding;

/// Length of the hashed key of a row, in bytes.
pub const ROW_PLACE_LEN: usize = 24;

/// Seals and opens the rows of one store. A thief of the file sees how many rows there are, about
/// how long they are, and whether one has become what it was before; nothing else.
pub struct RowCipher {
    epoch: EpochId,
    place: Zeroizing<[u8; KEY_LEN]>,
    nonce: Zeroizing<[u8; KEY_LEN]>,
    value: Zeroizing<[u8; KEY_LEN]>,
}

impl fmt::Debug for RowCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowCipher({:?})", self.epoch)
    }
}

impl RowCipher {
    /// Derives the keys for the rows of a store.
    pub fn new(key: &EpochKey, database: &[u8; 32], store: &str) -> Self {
        let derive = |context| {
            let mut hasher = blake3::Hasher::new_keyed(&key.derive(context));
            hasher.update(database).update(store.as_bytes());
            Zeroizing::new(*hasher.finalize().as_bytes())
        };
        Self {
            epoch: key.id(),
            place: derive("weald 2026 sealed row place v1"),
            nonce: derive("weald 2026 sealed row nonce v1"),
            value: derive("weald 2026 sealed row value v1"),
        }
    }

    /// Returns the epoch whose key it was made of.
    pub const fn epoch(&self) -> EpochId {
        self.epoch
    }

    /// Returns where a row rests.
    pub fn place(&self, area: u8, key: &[u8]) -> [u8; ROW_PLACE_LEN] {
        cut(&hash(&self.place, area, &[key]))
    }

    /// Seals a row.
    ///
    /// # Errors
    /// [`CipherError::Malformed`] if it is longer than anything that a store keeps.
    pub fn seal(&self, area: u8, key: &[u8], value: &[u8]) -> Result<Vec<u8>, CipherError> {
        let too_long = |_| CipherError::Malformed { what: "a key that is too long" };
        let length = u32::try_from(key.len()).map_err(too_long)?.to_be_bytes();
        let row = Zeroizing::new([length.as_slice(), key, value].concat());
        let row = padding::pad(&row, usize::MAX);
        let nonce: [u8; NONCE_LEN] = cut(&hash(&self.nonce, area, &[&row]));
        let sealed = aead::seal(&self.value, nonce, &self.context(area, key), &row)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a row: its key and value.
    ///
    /// # Errors
    /// [`CipherError::NotOpened`] if it was changed or moved.
    #[allow(clippy::type_complexity)]
    pub fn open(
        &self,
        area: u8,
        place: &[u8; ROW_PLACE_LEN],
        sealed: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), CipherError> {
        let malformed = || CipherError::Malformed { what: "a row that is too short" };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(malformed)?;
        let mut row = aead::open(&self.value, *nonce, &context(area, place), sealed)?;
        padding::unpad(&mut row).ok_or_else(malformed)?;
        let (length, rest) = row.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
        let (key, value) = rest.split_at_checked(length).ok_or_else(malformed)?;
        Ok((key.to_vec(), value.to_vec()))
    }

    fn context(&self, area: u8, key: &[u8]) -> Vec<u8> {
        context(area, &self.place(area, key))
    }
}

fn context(area: u8, place: &[u8; ROW_PLACE_LEN]) -> Vec<u8> {
    [&[area], place.as_slice()].concat()
}

fn hash(key: &[u8; KEY_LEN], area: u8, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[area]);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

fn cut<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut short = [0; N];
    short.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    short
}

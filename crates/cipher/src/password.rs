//! Locks that a password opens: the keys of a store's epochs, sealed by Argon2id of the password.
//!
//! Invariant: a lock that came from elsewhere cannot make this device use more than
//! [`PasswordCost::MAX`] to try a password.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use crate::aead::{self, KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::epoch::{EPOCHS_MAX, EpochKey};
use crate::error::CipherError;

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const HEAD_LEN: usize = 1 + 3 * 4 + SALT_LEN + NONCE_LEN;
/// The greatest length of a lock in bytes.
pub const PASSWORD_LOCK_MAX: usize = HEAD_LEN + EPOCHS_MAX * KEY_LEN + TAG_LEN;

/// What trying a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory: u32,
    /// How often the memory is gone through.
    pub passes: u32,
    /// How many lanes it has.
    pub lanes: u32,
}

impl PasswordCost {
    /// What no lock may go beyond, each by itself.
    pub const MAX: Self = Self { memory: 256 << 10, passes: 16, lanes: 8 };

    const fn is_bounded(&self) -> bool {
        let max = Self::MAX;
        self.memory <= max.memory && self.passes <= max.passes && self.lanes <= max.lanes
    }
}

/// 64 MiB, three passes, one lane.
impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory: 64 << 10, passes: 3, lanes: 1 }
    }
}

/// What must be random in a lock.
#[derive(Clone, Copy, Debug)]
pub struct PasswordSeeds {
    /// Keeps equal passwords apart.
    pub salt: [u8; 16],
    /// Used once with the key that the password gives.
    pub nonce: [u8; 24],
}

/// The keys of a store, sealed by a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordLock {
    cost: PasswordCost,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

impl std::fmt::Debug for PasswordLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordLock").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl PasswordLock {
    /// Seals keys, the oldest first, for a store of a database.
    ///
    /// # Errors
    /// [`CipherError::Cost`] or [`CipherError::TooManyEpochs`].
    pub fn new(
        password: &str,
        cost: PasswordCost,
        seeds: PasswordSeeds,
        (database, store): (&[u8; 32], &str),
        keys: &[EpochKey],
    ) -> Result<Self, CipherError> {
        if keys.is_empty() || keys.len() > EPOCHS_MAX {
            return Err(CipherError::TooManyEpochs);
        }
        let PasswordSeeds { salt, nonce } = seeds;
        let mut ring = Zeroizing::new(Vec::with_capacity(keys.len() * KEY_LEN));
        keys.iter().for_each(|key| ring.extend_from_slice(key.bytes()));
        let key = stretch(password, cost, &salt)?;
        let sealed = aead::seal(&key, nonce, &context(database, store), &ring)?;
        Ok(Self { cost, salt, nonce, sealed })
    }

    /// Opens the keys, the oldest first. It takes as long and as much memory as its cost says.
    ///
    /// # Errors
    /// [`CipherError::WrongPassword`], also for a lock that was changed or is of another store;
    /// [`CipherError::Cost`] if there is no memory.
    pub fn open(
        &self,
        password: &str,
        (database, store): (&[u8; 32], &str),
    ) -> Result<Vec<EpochKey>, CipherError> {
        let key = stretch(password, self.cost, &self.salt)?;
        let ring = aead::open(&key, self.nonce, &context(database, store), &self.sealed);
        let ring = ring.map_err(|_| CipherError::WrongPassword)?;
        let (keys, rest) = ring.as_chunks::<KEY_LEN>();
        if keys.is_empty() || keys.len() > EPOCHS_MAX || !rest.is_empty() {
            return Err(CipherError::Malformed { what: "a lock holds whole keys" });
        }
        Ok(keys.iter().map(|key| EpochKey::new(*key)).collect())
    }

    /// Returns its bytes: version, cost, salt, nonce, sealed keys.
    pub fn to_bytes(&self) -> Vec<u8> {
        let PasswordCost { memory, passes, lanes } = self.cost;
        let mut bytes = vec![VERSION];
        for number in [memory, passes, lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`PasswordLock::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CipherError::Malformed`], and [`CipherError::Cost`] for a cost beyond the greatest.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CipherError> {
        let malformed = || CipherError::Malformed { what: "a lock" };
        if bytes.len() > PASSWORD_LOCK_MAX {
            return Err(malformed());
        }
        let (version, rest) = bytes.split_first().ok_or_else(malformed)?;
        if *version != VERSION {
            return Err(CipherError::Malformed { what: "a lock of a version that is not known" });
        }
        let (memory, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let (passes, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let (lanes, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let (salt, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or_else(malformed)?;
        let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
        let cost =
            PasswordCost { memory: number(memory), passes: number(passes), lanes: number(lanes) };
        if !cost.is_bounded() {
            return Err(CipherError::Cost);
        }
        Ok(Self { cost, salt: *salt, nonce: *nonce, sealed: sealed.to_vec() })
    }
}

/// Proves that whoever wrote the bytes of a lock knew a key of the lock that it follows on.
pub fn succession_proof(key: &EpochKey, successor: &[u8]) -> [u8; 32] {
    let key = key.derive("weald 2026 sealed store lock succession v1");
    *blake3::keyed_hash(&key, successor).as_bytes()
}

fn context(database: &[u8; 32], store: &str) -> Vec<u8> {
    [b"weald 2026 sealed store lock v1".as_slice(), database, store.as_bytes()].concat()
}

fn stretch(
    password: &str,
    cost: PasswordCost,
    salt: &[u8; SALT_LEN],
) -> Result<Zeroizing<[u8; KEY_LEN]>, CipherError> {
    if !cost.is_bounded() {
        return Err(CipherError::Cost);
    }
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(KEY_LEN));
    let params = params.map_err(|_| CipherError::Cost)?;
    let mut memory: Vec<Block> = Vec::new();
    let blocks = params.block_count();
    memory.try_reserve_exact(blocks).map_err(|_| CipherError::Cost)?;
    memory.resize(blocks, Block::default());
    let mut key = Zeroizing::new([0; KEY_LEN]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = argon.hash_password_into_with_memory(
        password.as_bytes(),
        salt,
        key.as_mut_slice(),
        &mut memory,
    );
    memory.zeroize();
    hashed.map_err(|_| CipherError::Cost)?;
    Ok(key)
}

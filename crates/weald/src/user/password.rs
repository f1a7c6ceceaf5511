//! Passwords, stretched by Argon2id, and the small secrets that they seal.
//!
//! Invariant: what a password seals says itself what it costs to try one, and that is bounded
//! before any of it is spent. Whether a password is right is told by an authentication tag alone,
//! which is compared in constant time.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use thiserror::Error;
use weald_dag::StoreError;
use zeroize::Zeroizing;

use crate::entropy;
use crate::seal::{SEAL_KEY_LEN, SEALED_LEN, Sealer};

/// The greatest length of a password in bytes.
pub const PASSWORD_MAX: usize = 1024;
/// How much memory trying a password takes unless the options say otherwise, in KiB: 64 MiB.
pub const PASSWORD_MEMORY_KIB: u32 = 64 * 1024;
/// How often that memory is gone over unless the options say otherwise.
pub const PASSWORD_PASSES: u32 = 3;
/// The most memory that trying a password may take, in KiB: 1 GiB.
pub const PASSWORD_MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// The most often that this memory may be gone over.
pub const PASSWORD_PASSES_MAX: u32 = 64;

/// The least memory that Argon2 can use, in KiB.
const MEMORY_KIB_MIN: u32 = Params::MIN_M_COST;
const LANES: u32 = 1;
const SALT_LEN: usize = 16;
/// Length of what a password seals, in bytes: memory, passes, salt, sealed secret.
pub(super) const LOCKED_LEN: usize = 4 + 4 + SALT_LEN + SEALED_LEN;

/// What trying one password costs, here and for whoever guesses: Argon2id with one lane.
///
/// The default is 64 MiB and three passes, several times what is commonly recommended as the least:
/// some tenths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    memory_kib: u32,
    passes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: PASSWORD_MEMORY_KIB, passes: PASSWORD_PASSES }
    }
}

impl PasswordCost {
    /// Takes the memory in KiB, from 8 to [`PASSWORD_MEMORY_KIB_MAX`], and the number of passes, from
    /// 1 to [`PASSWORD_PASSES_MAX`].
    ///
    /// # Errors
    /// [`PasswordCostError`] for others.
    pub const fn new(memory_kib: u32, passes: u32) -> Result<Self, PasswordCostError> {
        let fits = memory_kib >= MEMORY_KIB_MIN && memory_kib <= PASSWORD_MEMORY_KIB_MAX;
        if fits && passes >= 1 && passes <= PASSWORD_PASSES_MAX {
            Ok(Self { memory_kib, passes })
        } else {
            Err(PasswordCostError { memory_kib, passes })
        }
    }
}

/// The cost of a password is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{passes} passes over {memory_kib} KiB cannot be the cost of a password; take 1 to {PASSWORD_PASSES_MAX} passes over {MEMORY_KIB_MIN} to {PASSWORD_MEMORY_KIB_MAX} KiB"
)]
pub struct PasswordCostError {
    /// The memory in KiB.
    pub memory_kib: u32,
    /// The number of passes.
    pub passes: u32,
}

/// Why a password could not be tried.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The password is empty or too long.
    #[error("a password has 1 to {PASSWORD_MAX} bytes; choose another")]
    Length,
    /// There is not enough memory for trying it.
    #[error(
        "trying a password takes {memory_kib} KiB of memory, which the system does not give; close something and try again"
    )]
    Memory {
        /// How much it takes, in KiB.
        memory_kib: u32,
    },
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] StoreError),
}

/// Refuses a password that is empty or too long.
pub(super) const fn check(password: &str) -> Result<(), PasswordError> {
    if password.is_empty() || password.len() > PASSWORD_MAX {
        return Err(PasswordError::Length);
    }
    Ok(())
}

/// Makes the sealing key of a password.
fn stretch(
    password: &str,
    cost: PasswordCost,
    salt: &[u8; SALT_LEN],
) -> Result<Sealer, PasswordError> {
    check(password)?;
    let failed = || PasswordError::Memory { memory_kib: cost.memory_kib };
    let params = Params::new(cost.memory_kib, cost.passes, LANES, Some(SEAL_KEY_LEN));
    let params = params.map_err(|_| failed())?;
    let blocks = params.block_count();
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(blocks).map_err(|_| failed())?;
    memory.resize(blocks, Block::new());
    let mut key = Zeroizing::new([0; SEAL_KEY_LEN]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let memory = memory.as_mut_slice();
    argon
        .hash_password_into_with_memory(password.as_bytes(), salt, key.as_mut_slice(), memory)
        .map_err(|_| failed())?;
    Ok(Sealer::new(key))
}

/// Seals a secret by a password, bound to a context.
pub(super) fn lock(
    secret: &[u8; 32],
    password: &str,
    cost: PasswordCost,
    context: &[u8],
) -> Result<Vec<u8>, PasswordError> {
    let salt: [u8; SALT_LEN] = entropy::bytes()?;
    let mut locked = Vec::with_capacity(LOCKED_LEN);
    locked.extend_from_slice(&cost.memory_kib.to_be_bytes());
    locked.extend_from_slice(&cost.passes.to_be_bytes());
    locked.extend_from_slice(&salt);
    let bound = [&locked, context].concat();
    let sealed = stretch(password, cost, &salt)?.seal_bytes(secret, &bound)?;
    locked.extend_from_slice(&sealed);
    Ok(locked)
}

/// What trying a password gave.
pub(super) enum Opened {
    /// The secret.
    Secret(Zeroizing<[u8; 32]>),
    /// The password is another one, or what is sealed has been changed.
    Wrong,
    /// This was never sealed by a password.
    Damaged,
}

/// Tries a password on what [`lock`] gave.
pub(super) fn unlock(
    locked: &[u8],
    password: &str,
    context: &[u8],
) -> Result<Opened, PasswordError> {
    let Some((header, sealed)) = locked.split_at_checked(LOCKED_LEN - SEALED_LEN) else {
        return Ok(Opened::Damaged);
    };
    let Some((cost, salt)) = read_header(header).filter(|_| sealed.len() == SEALED_LEN) else {
        return Ok(Opened::Damaged);
    };
    let bound = [header, context].concat();
    let secret = stretch(password, cost, &salt)?.open_bytes(sealed, &bound);
    Ok(secret.map_or(Opened::Wrong, Opened::Secret))
}

fn read_header(header: &[u8]) -> Option<(PasswordCost, [u8; SALT_LEN])> {
    let (memory, rest) = header.split_first_chunk()?;
    let (passes, salt) = rest.split_first_chunk()?;
    let cost = PasswordCost::new(u32::from_be_bytes(*memory), u32::from_be_bytes(*passes)).ok()?;
    Some((cost, salt.try_into().ok()?))
}

/// Spends what trying a password costs, where there is nothing to try it on.
pub(super) fn spend(password: &str, cost: PasswordCost) -> Result<(), PasswordError> {
    stretch(password, cost, &[0; SALT_LEN]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn light() -> PasswordCost {
        PasswordCost::new(MEMORY_KIB_MIN, 1).unwrap()
    }

    fn opens(locked: &[u8], password: &str, context: &[u8]) -> Opened {
        unlock(locked, password, context).unwrap()
    }

    #[test]
    fn what_a_password_seals_opens_with_it_and_its_context_only() {
        let locked = lock(&[7; 32], "correct horse", light(), b"here").unwrap();
        assert_eq!(locked.len(), LOCKED_LEN);
        let opened = opens(&locked, "correct horse", b"here");
        assert!(matches!(opened, Opened::Secret(secret) if *secret == [7; 32]));
        assert!(matches!(opens(&locked, "Correct horse", b"here"), Opened::Wrong));
        assert!(matches!(opens(&locked, "correct horse", b"there"), Opened::Wrong));
        let again = lock(&[7; 32], "correct horse", light(), b"here").unwrap();
        assert_ne!(locked, again, "salt and nonce are drawn anew");
        for place in 8..locked.len() {
            let mut changed = locked.clone();
            changed[place] ^= 1;
            assert!(matches!(opens(&changed, "correct horse", b"here"), Opened::Wrong));
        }
    }

    #[test]
    fn a_cost_out_of_bounds_is_refused_before_it_is_spent() {
        let mut locked = lock(&[7; 32], "x", light(), b"").unwrap();
        locked[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(opens(&locked, "x", b""), Opened::Damaged));
        locked[..8].copy_from_slice(&[0, 0, 0, 8, 255, 255, 255, 255]);
        assert!(matches!(opens(&locked, "x", b""), Opened::Damaged));
        assert!(matches!(opens(&locked[..60], "x", b""), Opened::Damaged));
        assert!(PasswordCost::new(7, 1).is_err() && PasswordCost::new(8, 0).is_err());
        assert!(matches!(lock(&[7; 32], "", light(), b""), Err(PasswordError::Length)));
        let long = "x".repeat(PASSWORD_MAX + 1);
        assert!(matches!(unlock(&locked, &long, b""), Ok(Opened::Damaged)));
        assert!(matches!(spend(&long, light()), Err(PasswordError::Length)));
        let default = PasswordCost::default();
        assert_eq!(PasswordCost::new(default.memory_kib, default.passes), Ok(default));
    }
}

//! Random numbers from a seed that is an argument: BLAKE3 in extendable-output mode.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// A cryptographic generator whose whole output follows from its seed.
pub struct Randomness(blake3::OutputReader);

impl Randomness {
    /// Starts from 32 bytes; secret outputs need a secret seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(&seed).finalize_xof())
    }

    /// Draws `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(dst);
        Ok(())
    }
}

impl TryCryptoRng for Randomness {}

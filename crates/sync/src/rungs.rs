//! The rungs of a ladder: sums over all entries below some generations, to find a common base by.
//!
//! Invariant: equal sums are a hint and no proof; whatever they say, a round ends by the tips alone.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use crate::varint;

/// Greatest number of rungs in one ladder.
pub(crate) const RUNGS_MAX: usize = weald_dag::RUNGS_MAX;
/// How many bytes of a sum are told.
const SUM_LEN: usize = 4;

/// What is held below a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    /// The generation below which it is.
    pub(crate) generation: u64,
    /// How many entries.
    pub(crate) count: u64,
    /// The lower half of the sum of their fingerprints.
    pub(crate) sum: u32,
}

/// Rungs from the highest down, as they stand in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rungs(pub(crate) Vec<Rung>);

impl Rungs {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut rungs: Vec<Rung> = Vec::new();
        while !bytes.is_empty() {
            let down = varint::take(&mut bytes)?;
            let generation = match rungs.last() {
                None => down,
                Some(above) => above.generation.checked_sub(down).filter(|_| down > 0)?,
            };
            let count = varint::take(&mut bytes)?;
            let (sum, rest) = bytes.split_first_chunk::<SUM_LEN>()?;
            bytes = rest;
            rungs.push(Rung { generation, count, sum: u32::from_be_bytes(*sum) });
        }
        Some(Self(rungs))
    }
}

impl Serialize for Rungs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut bytes, mut above) = (Vec::new(), None);
        for rung in &self.0 {
            let down = above.map_or(rung.generation, |above: u64| above - rung.generation);
            above = Some(rung.generation);
            varint::put(&mut bytes, down);
            varint::put(&mut bytes, rung.count);
            bytes.extend_from_slice(&rung.sum.to_be_bytes());
        }
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Rungs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        Self::decode(&bytes).ok_or_else(|| D::Error::custom("a ladder goes down rung by rung"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{from_cbor, to_cbor};

    #[test]
    fn rungs_read_back_and_go_down() {
        let rung = |generation, count| Rung { generation, count, sum: 7 };
        let rungs = Rungs(vec![rung(70_000, 90_000), rung(69_888, 80_000), rung(256, 300)]);
        let bytes = to_cbor(&rungs);
        assert!(bytes.len() < 3 * 11, "{}", bytes.len());
        assert_eq!(from_cbor::<Rungs>(&bytes), Some(rungs));
        let level = [5, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let cut = [5, 1, 0, 0];
        assert!(Rungs::decode(&level).is_none() && Rungs::decode(&cut).is_none());
    }
}

//! Lengths and numbers of rows and parcels: LEB128, shortest form only.

use crate::cbor::CodingError;

/// How many bytes a `u64` takes at most.
const BYTES_MAX: usize = 10;

pub(crate) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push((n & 0x7f) as u8);
}

pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, CodingError> {
    let mut n = 0u64;
    for i in 0..BYTES_MAX {
        let [byte] = take_array::<1>(bytes)?;
        let part = u64::from(byte & 0x7f);
        if i == BYTES_MAX - 1 && part > 1 {
            break;
        }
        n |= part << (7 * i);
        if byte & 0x80 == 0 {
            let minimal = byte != 0 || i == 0;
            return if minimal { Ok(n) } else { Err(CodingError::NonMinimal { at: i }) };
        }
    }
    Err(CodingError::Unexpected { at: 0, expected: "a number of at most 64 bits" })
}

/// Takes a length and refuses one over `limit` before anything is allocated for it.
pub(crate) fn take_length(bytes: &mut &[u8], limit: usize) -> Result<usize, CodingError> {
    let wrong = CodingError::Unexpected { at: 0, expected: "a length within the limit" };
    let length = usize::try_from(take(bytes)?).map_err(|_| wrong.clone())?;
    if length > limit { Err(wrong) } else { Ok(length) }
}

pub(crate) fn take_bytes<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], CodingError> {
    let (taken, rest) =
        bytes.split_at_checked(len).ok_or(CodingError::Truncated { at: bytes.len() })?;
    *bytes = rest;
    Ok(taken)
}

pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CodingError> {
    let taken = take_bytes(bytes, N)?;
    taken.try_into().map_err(|_| CodingError::Truncated { at: taken.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_have_one_form() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, n);
            assert_eq!(take(&mut out.as_slice()), Ok(n));
        }
        assert!(take(&mut [0x80, 0].as_slice()).is_err());
        assert!(take(&mut [0xff; 10].as_slice()).is_err());
        assert!(take(&mut [0x80].as_slice()).is_err());
    }
}

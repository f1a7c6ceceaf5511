//! Lengths are rounded up before sealing, so that few of them are seen.
//!
//! Invariant: what was padded is found again, and costs at most an eighth or [`STEP_MIN`] more.

use zeroize::Zeroizing;

/// The least step between two lengths, in bytes.
const STEP_MIN: usize = 32;
/// Into how many steps a doubling of the length is divided.
const STEPS: usize = 16;
const END: u8 = 0x80;

/// Appends an end and zeros up to the next length that is shown, but not past `max` bytes.
pub(crate) fn pad(content: &[u8], max: usize) -> Zeroizing<Vec<u8>> {
    let length = content.len() + 1;
    let step = (length.next_power_of_two() / STEPS).max(STEP_MIN);
    let padded = length.next_multiple_of(step).min(max).max(length);
    let mut bytes = Zeroizing::new(Vec::with_capacity(padded));
    bytes.extend_from_slice(content);
    bytes.push(END);
    bytes.resize(padded, 0);
    bytes
}

/// Takes the padding off; `None` if there is none.
pub(crate) fn unpad(bytes: &mut Zeroizing<Vec<u8>>) -> Option<()> {
    let end = bytes.iter().rposition(|byte| *byte != 0)?;
    if bytes.get(end) != Some(&END) {
        return None;
    }
    bytes.truncate(end);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_comes_off_and_shows_few_lengths() {
        let mut lengths = std::collections::BTreeSet::new();
        for length in 0..2_000 {
            let content = vec![0x80; length];
            let mut padded = pad(&content, usize::MAX);
            assert!(padded.len() <= length + 1 + (length / 8).max(STEP_MIN));
            lengths.insert(padded.len());
            unpad(&mut padded).unwrap();
            assert_eq!(*padded, content);
        }
        assert!(lengths.len() < 60, "{}", lengths.len());
    }

    #[test]
    fn padding_stops_at_the_greatest_length_and_what_has_none_is_refused() {
        assert_eq!(pad(&[1; 100], 110).len(), 110);
        assert_eq!(pad(&[1; 100], 50).len(), 101);
        for bytes in [vec![], vec![0, 0], vec![1, 0]] {
            assert!(unpad(&mut Zeroizing::new(bytes)).is_none());
        }
    }
}

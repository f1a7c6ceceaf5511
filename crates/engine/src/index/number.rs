//! Numbers inside index keys: integers, floats and decimals in one order, the exact one.
//!
//! Invariant: numbers that are equal have equal bytes, and others sort as they do, whatever kinds
//! they are of: 2^53 + 1 lies between the floats next to it. A number is written as the float next
//! to it on the side of zero, and its decimal digits if that float is another number.

use weald_crdt::Decimal;

use super::coding::Width;

pub(super) const NEGATIVE: u8 = 0x08;
const ZERO: u8 = 0x09;
pub(super) const POSITIVE: u8 = 0x0a;

const EXACT: u8 = 0x00;
const DIGITS: u8 = 0x01;
/// Below every digit, and the end of all digits below the end of some.
const END: u8 = 0x00;
const CUT: u8 = 0x01;
const SIGN: u64 = 1 << 63;
/// How many bits of an integer a float keeps.
const FLOAT_BITS: u32 = 53;
/// How many digits behind the point a float has at most.
const FLOAT_PLACES: usize = 1_074;
/// The greatest exponent of a decimal that is indexed, up and down.
pub const INDEX_EXPONENT_MAX: i64 = 1_000_000_000_000;

/// Appends an integer.
pub(super) fn put_integer(out: &mut Vec<u8>, is_negative: bool, magnitude: u64) {
    if magnitude == 0 {
        return out.push(ZERO);
    }
    let extra = (u64::BITS - magnitude.leading_zeros()).saturating_sub(FLOAT_BITS);
    let kept = magnitude >> extra << extra;
    let digits = (kept != magnitude).then(|| Digits::of(&magnitude.to_string(), 0));
    put(out, is_negative, kept as f64, digits.as_ref(), Width::Whole);
}

/// Appends a float; not-a-number has no place, and is never stored.
pub(super) fn put_float(out: &mut Vec<u8>, number: f64) -> Option<()> {
    if number.is_nan() {
        return None;
    }
    if number == 0.0 {
        out.push(ZERO);
    } else {
        put(out, number.is_sign_negative(), number.abs(), None, Width::Whole);
    }
    Some(())
}

/// Appends a decimal and returns whether its digits were cut; `None` if its exponent is too great.
pub(super) fn put_decimal(out: &mut Vec<u8>, decimal: &Decimal, width: Width) -> Option<bool> {
    let text = decimal.as_str();
    let is_negative = text.starts_with('-');
    let unsigned = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    if exponent.unsigned_abs() > INDEX_EXPONENT_MAX.unsigned_abs() {
        return None;
    }
    let digits = Digits::of(mantissa, exponent);
    if digits.digits.is_empty() {
        out.push(ZERO);
        return Some(false);
    }
    let mut float = unsigned.parse::<f64>().ok()?.min(f64::MAX);
    let nearest = Digits::of(&format!("{float:.FLOAT_PLACES$}"), 0);
    if nearest == digits {
        put(out, is_negative, float, None, width);
        return Some(false);
    }
    if nearest > digits {
        float = float.next_down();
    }
    Some(put(out, is_negative, float, Some(&digits), width))
}

/// Appends the float and, if the number is another one, its digits; returns whether they were cut.
fn put(
    out: &mut Vec<u8>,
    is_negative: bool,
    float: f64,
    digits: Option<&Digits>,
    width: Width,
) -> bool {
    out.push(if is_negative { NEGATIVE } else { POSITIVE });
    let body = out.len();
    out.extend_from_slice(&float.to_bits().to_be_bytes());
    let mut is_cut = false;
    match digits {
        None => out.push(EXACT),
        Some(Digits { exponent, digits }) => {
            out.push(DIGITS);
            out.extend_from_slice(&(exponent.cast_unsigned() ^ SIGN).to_be_bytes());
            let (kept, cut) = width.keep(digits);
            is_cut = cut;
            out.extend_from_slice(kept);
            out.push(if cut { CUT } else { END });
        }
    }
    if is_negative {
        out.iter_mut().skip(body).for_each(|byte| *byte = !*byte);
    }
    is_cut
}

/// A positive number as `0.digits × 10^exponent`, without zeros at either end; zero has no digits.
/// The order is that of the numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Digits {
    exponent: i64,
    digits: Vec<u8>,
}

impl Digits {
    /// Takes digits with or without a point; `exponent` moves the point.
    fn of(mantissa: &str, exponent: i64) -> Self {
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = [whole, part].concat().into_bytes();
        let last = digits.iter().rposition(|digit| *digit != b'0');
        digits.truncate(last.map_or(0, |last| last + 1));
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        if digits.is_empty() {
            return Self { exponent: i64::MIN, digits };
        }
        // Lengths are those of texts in memory, far below the limits of the exponent.
        let point = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let exponent = exponent.saturating_add(point(whole.len())).saturating_sub(point(zeros));
        Self { exponent, digits }
    }
}

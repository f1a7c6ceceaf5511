//! Where an element stands in its list. Places are strings of bytes that order the elements; between
//! two that differ there is always a further one.
//!
//! A place is a stem, four bytes of the entry that wrote it, and a tail. The stem is strictly between
//! the places on both sides whatever follows it, so that the bytes of the entry, which its author does
//! not know beforehand, change nothing but the order of what is inserted at one place at the same
//! time. What one transaction inserts side by side has one stem and rising tails, and stays together.

use crate::pack::{self, Unpacker};
use crate::stamp::Stamp;

/// The greatest length in bytes of a place; an operation with a longer one is void.
pub const MAX_POSITION_BYTES: usize = 255;

/// Elements are moved apart before a place becomes longer than this.
pub const REBALANCE_POSITION_BYTES: usize = 128;

const SUFFIX_BYTES: usize = 4;
/// The first place of all, in the middle of what a byte can say.
const MIDDLE: u8 = 0x80;
/// The most bytes that count up or down behind the first one.
const COUNT_BYTES: u8 = 8;

/// A place as an operation writes it. The tail ends with a byte that is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    stem: Vec<u8>,
    tail: Vec<u8>,
}

impl Position {
    /// Returns the form that travels and rests: the stem with its length, then the tail.
    pub(super) fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.stem.len() + self.tail.len());
        pack::put_string(&mut out, &self.stem);
        out.extend_from_slice(&self.tail);
        out
    }

    /// Takes what [`Position::pack`] gives, unless it is too long or has no further one beside it.
    pub(super) fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut unpacker = Unpacker::new(bytes);
        let stem = unpacker.string()?.to_vec();
        let tail = unpacker.rest().to_vec();
        let position = Self { stem, tail };
        let is_sound = position.tail.last().is_some_and(|last| *last != 0)
            && position.length() <= MAX_POSITION_BYTES
            && position.pack() == bytes;
        is_sound.then_some(position)
    }

    /// Returns the position directly behind a place, unless it would be too long.
    pub(super) fn beside(place: &Place) -> Option<Self> {
        let position = Self { stem: place.bytes.clone(), tail: vec![MIDDLE] };
        (position.length() <= MAX_POSITION_BYTES).then_some(position)
    }

    fn length(&self) -> usize {
        self.stem.len() + SUFFIX_BYTES + self.tail.len()
    }

    /// Returns whether elements must be moved before something can be put here.
    pub(super) fn is_long(&self) -> bool {
        self.length() > REBALANCE_POSITION_BYTES
    }
}

/// Where an element stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    bytes: Vec<u8>,
    stem: usize,
    is_provisional: bool,
}

impl Place {
    /// Returns the place that an operation gave.
    pub(super) fn new(position: &Position, stamp: &Stamp) -> Self {
        let suffix = stamp.entry.first_chunk::<SUFFIX_BYTES>().copied().unwrap_or_default();
        let bytes = [&position.stem, &suffix[..], &position.tail].concat();
        Self { bytes, stem: position.stem.len(), is_provisional: stamp.is_provisional() }
    }

    /// Returns whether the transaction that is being written put something here.
    pub(super) fn is_provisional(&self) -> bool {
        self.is_provisional
    }

    fn stem(&self) -> &[u8] {
        self.bytes.get(..self.stem).unwrap_or_default()
    }

    fn tail(&self) -> &[u8] {
        self.bytes.get(self.stem + SUFFIX_BYTES..).unwrap_or_default()
    }
}

/// Returns a position between two places, of which either may be missing; `None` if there is none,
/// because they are one and the same.
pub(super) fn between(left: Option<&Place>, right: Option<&Place>) -> Option<Position> {
    // The own bytes are not known yet beside something of the own transaction: its stem is taken
    // again, and the tail decides.
    let own = left.filter(|left| left.is_provisional);
    if let Some(own) = own.or(right.filter(|right| right.is_provisional)) {
        let same = |place: Option<&Place>| {
            place
                .filter(|place| place.is_provisional && place.stem() == own.stem())
                .map(|place| place.tail().to_vec())
        };
        let tail = string_between(same(left).as_deref(), same(right).as_deref())?;
        return Some(Position { stem: own.stem().to_vec(), tail: not_zero(tail) });
    }
    let bytes = |place: Option<&Place>| place.map(|place| place.bytes.clone());
    let stem = string_between(bytes(left).as_deref(), bytes(right).as_deref())?;
    Some(Position { stem, tail: vec![MIDDLE] })
}

/// Returns this many positions in a row between two places, as [`between`] does.
pub(super) fn run(
    left: Option<&Place>,
    right: Option<&Place>,
    count: usize,
) -> Option<Vec<Position>> {
    let Some(more) = count.checked_sub(1) else { return Some(Vec::new()) };
    let mut last = between(left, right)?;
    let end = right.filter(|right| right.is_provisional && right.stem() == last.stem);
    let end = end.map(|right| right.tail().to_vec());
    let mut positions = vec![last.clone()];
    for _ in 0..more {
        let tail = not_zero(string_between(Some(&last.tail), end.as_deref())?);
        last = Position { tail, ..last };
        positions.push(last.clone());
    }
    Some(positions)
}

/// A string that ends with zero has none directly before it.
fn not_zero(mut string: Vec<u8>) -> Vec<u8> {
    if string.last() == Some(&0) {
        string.push(MIDDLE);
    }
    string
}

/// Returns a string that is strictly between two, neither of which ends with zero, and stays so
/// whatever is put behind it. At the ends of a list it counts, so that it stays short.
fn string_between(left: Option<&[u8]>, right: Option<&[u8]>) -> Option<Vec<u8>> {
    match (left, right) {
        (None, None) => Some(vec![MIDDLE]),
        (Some(left), None) => count_up(left).or_else(|| divide(Some(left), None)),
        (None, Some(right)) => count_down(right).or_else(|| divide(None, Some(right))),
        (left, right) => divide(left, right),
    }
}

/// Returns the number that a string begins with: a first byte of 0x80 + n, and n bytes; or below zero
/// of 0x80 - n, and n bytes.
fn number(string: &[u8]) -> Option<&[u8]> {
    let count = string.first()?.abs_diff(MIDDLE);
    if count > COUNT_BYTES { None } else { string.get(..=usize::from(count)) }
}

fn count_up(left: &[u8]) -> Option<Vec<u8>> {
    let number = number(left)?;
    let (first, digits) = number.split_first()?;
    let mut up = vec![*first];
    match step(digits, u8::MAX, |digit| digit + 1) {
        Some(digits) => up.extend(digits),
        None if *first == MIDDLE - 1 => up = vec![MIDDLE],
        None if *first < MIDDLE => {
            up = vec![first + 1];
            up.resize(number.len() - 1, 0);
        }
        None if *first < MIDDLE + COUNT_BYTES => {
            up = vec![first + 1];
            up.resize(number.len() + 1, 0);
        }
        None => return None,
    }
    Some(up)
}

fn count_down(right: &[u8]) -> Option<Vec<u8>> {
    let number = number(right)?;
    let (first, digits) = number.split_first()?;
    let mut down = vec![*first];
    match step(digits, 0, |digit| digit - 1) {
        Some(digits) => down.extend(digits),
        None if *first > MIDDLE => {
            down = vec![first - 1];
            down.resize(number.len() - 1, u8::MAX);
        }
        None if *first > MIDDLE - COUNT_BYTES => {
            down = vec![first - 1];
            down.resize(number.len() + 1, u8::MAX);
        }
        None => return None,
    }
    Some(down)
}

/// Steps to the next number of as many digits; those that are at their `last` begin again. `None`
/// without digits, or if all are at their last.
fn step(digits: &[u8], last: u8, next: impl Fn(u8) -> u8) -> Option<Vec<u8>> {
    let mut stepped = digits.to_vec();
    for digit in stepped.iter_mut().rev() {
        if *digit != last {
            *digit = next(*digit);
            return Some(stepped);
        }
        *digit = !last;
    }
    None
}

/// Returns the shortest string between two, in the middle of those of its length.
fn divide(left: Option<&[u8]>, right: Option<&[u8]>) -> Option<Vec<u8>> {
    let longest = left.map_or(0, <[u8]>::len).max(right.map_or(0, <[u8]>::len)) + 1;
    let cut = |string: &[u8], length: usize| {
        let mut cut: Vec<u8> = string.iter().take(length).copied().collect();
        cut.resize(length, 0);
        cut
    };
    (1..=longest).find_map(|length| {
        let least = match left {
            Some(left) => step(&cut(left, length), u8::MAX, |digit| digit + 1)?,
            None => vec![0; length],
        };
        let most = match right {
            Some(right) => step(&cut(right, length), 0, |digit| digit - 1)?,
            None => vec![u8::MAX; length],
        };
        (least <= most).then(|| middle(&least, &most))
    })
}

/// Returns the mean of two numbers of as many digits.
fn middle(least: &[u8], most: &[u8]) -> Vec<u8> {
    let mut sums = vec![0_u16; least.len()];
    let mut carry = 0;
    for ((sum, a), b) in sums.iter_mut().zip(least).zip(most).rev() {
        *sum = u16::from(*a) + u16::from(*b) + carry;
        carry = *sum >> 8;
        *sum &= 0xff;
    }
    let halve = |sum: u16| {
        let digit = carry << 8 | sum;
        carry = digit & 1;
        u8::try_from(digit >> 1).unwrap_or(u8::MAX)
    };
    sums.into_iter().map(halve).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(entry: u8) -> Stamp {
        Stamp { time: 1, entry: [entry; 32], index: 0 }
    }

    /// Puts places where drawn, each of an entry of its own, or of the transaction being written.
    fn put(drawn: &[(u16, u8)]) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for (at, entry) in drawn {
            let at = usize::from(*at) % (places.len() + 1);
            let left = at.checked_sub(1).and_then(|left| places.get(left));
            let position = between(left, places.get(at)).unwrap();
            assert_eq!(Position::unpack(&position.pack()), Some(position.clone()));
            places.insert(at, Place::new(&position, &stamp(*entry)));
        }
        places
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_place_is_between_its_neighbours(drawn in proptest::collection::vec((any::<u16>(), 0..0xff_u8), 1..60)) {
            let places = put(&drawn);
            prop_assert!(places.is_sorted_by(|a, b| a.bytes < b.bytes));
        }

        #[test]
        fn the_bytes_of_the_entry_change_no_order_within_a_transaction(
            before in proptest::collection::vec((any::<u16>(), 0..0xff_u8), 0..8),
            own in proptest::collection::vec(any::<u16>(), 1..30),
            entry: u8,
        ) {
            let mut places: Vec<(Place, Option<Position>)> = put(&before).into_iter().map(|place| (place, None)).collect();
            for at in own {
                let at = usize::from(at) % (places.len() + 1);
                let left = at.checked_sub(1).and_then(|left| places.get(left)).map(|(place, _)| place);
                let position = between(left, places.get(at).map(|(place, _)| place)).unwrap();
                places.insert(at, (Place::new(&position, &stamp(0xff)), Some(position)));
            }
            prop_assert!(places.is_sorted_by(|a, b| a.0.bytes < b.0.bytes));
            // The commit gives the entry its id.
            let known: Vec<Place> = places.into_iter().map(|(place, own)| own.map_or(place, |own| Place::new(&own, &stamp(entry)))).collect();
            prop_assert!(known.is_sorted_by(|a, b| a.bytes < b.bytes));
        }
    }

    #[test]
    fn at_the_ends_places_stay_short() {
        for front in [false, true] {
            let mut last = Place::new(&between(None, None).unwrap(), &stamp(0));
            for number in 0..70_000_u32 {
                let entry = u8::try_from(number % 250).unwrap();
                let position =
                    if front { between(None, Some(&last)) } else { between(Some(&last), None) };
                let place = Place::new(&position.unwrap(), &stamp(entry));
                assert_eq!(front, place < last);
                last = place;
            }
            assert!(last.bytes.len() <= 9, "{}", last.bytes.len());
        }
        let run = run(None, None, 70_000).unwrap();
        assert!(run.iter().all(|position| position.length() <= 10));
    }

    #[test]
    fn one_place_has_nothing_between() {
        let place = Place::new(&between(None, None).unwrap(), &stamp(1));
        assert_eq!(between(Some(&place), Some(&place)), None);
        for bad in [&[][..], &[0], &[1, 5], &[1, 5, 0], &[0x81, 0, 5, 5], &[2, 5]] {
            assert_eq!(Position::unpack(bad), None, "{bad:?}");
        }
        let long = |length: usize| [&[0][..], &vec![1; length]].concat();
        assert!(Position::unpack(&long(MAX_POSITION_BYTES - SUFFIX_BYTES)).is_some());
        assert!(Position::unpack(&long(MAX_POSITION_BYTES - SUFFIX_BYTES + 1)).is_none());
    }
}

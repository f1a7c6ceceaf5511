//! What a peer that lies puts in place of what its session would say.
//!
//! Invariant: it knows nothing of the protocol but that controls are CBOR, so whatever is said, now or
//! in a later version, is lied about: tips, sums, filters, symbols, classes, wants.

use ciborium::Value;

use crate::chance::Chance;

/// The first byte of a message of controls.
const CONTROLS: u8 = 0;
/// How many controls of before are kept, to say them again at the wrong time.
const KEPT_MAX: usize = 24;
/// Greatest length of what is put in place of a string of bytes.
const BYTES_MAX: u64 = 4_096;

/// Rewrites the messages of a session.
pub(crate) struct Twist {
    chance: Chance,
    /// How many messages in a hundred are lies.
    percent: u64,
    kept: Vec<Value>,
}

impl Twist {
    /// Makes one that lies in so many of a hundred messages.
    pub(crate) fn new(seed: u64, percent: u64) -> Self {
        Self { chance: Chance::from_seed(seed), percent, kept: Vec::new() }
    }

    /// Returns what is said in place of a message.
    pub(crate) fn message(&mut self, message: Vec<u8>) -> Vec<Vec<u8>> {
        let controls = match message.split_first() {
            Some((&CONTROLS, rest)) => controls(rest),
            _ => None,
        };
        if let Some(controls) = &controls {
            let room = KEPT_MAX.saturating_sub(self.kept.len());
            self.kept.extend(controls.iter().take(room).cloned());
        }
        if !self.chance.percent(self.percent) {
            return vec![message];
        }
        match controls {
            Some(controls) => vec![self.controls(controls)],
            None => self.entries(message),
        }
    }

    fn controls(&mut self, mut controls: Vec<Value>) -> Vec<u8> {
        let at = self.chance.index(controls.len());
        match self.chance.within(0..=9) {
            0 if controls.len() > 1 => drop(controls.remove(at)),
            1 => controls.extend(controls.get(at).cloned()),
            2 => controls.reverse(),
            3 => {
                let kept = self.chance.index(self.kept.len());
                if let Some(place) = self.kept.get_mut(kept) {
                    let last = controls.last().cloned();
                    let old = std::mem::replace(place, last.unwrap_or(Value::Null));
                    controls.push(old);
                }
            }
            _ => {
                for _ in 0..self.chance.within(1..=2) {
                    if let Some(control) = controls.get_mut(at) {
                        self.twist(control);
                    }
                }
            }
        }
        let mut message = vec![CONTROLS];
        for control in &controls {
            if ciborium::into_writer(control, &mut message).is_err() {
                break;
            }
        }
        message
    }

    fn entries(&mut self, mut message: Vec<u8>) -> Vec<Vec<u8>> {
        match self.chance.within(0..=3) {
            0 => vec![message.clone(), message],
            1 => Vec::new(),
            // The number of the batch and whose it is stand at the beginning.
            near => {
                let length = if near == 2 { message.len().min(40) } else { message.len() };
                let place = self.chance.index(length);
                if let Some(byte) = message.get_mut(place) {
                    *byte ^= 1 << self.chance.within(0..=7);
                }
                vec![message]
            }
        }
    }

    /// Changes one of the leaves of a value.
    fn twist(&mut self, value: &mut Value) {
        let mut place = self.chance.index(leaves(value));
        if let Some(leaf) = leaf(value, &mut place) {
            self.replace(leaf);
        }
    }

    fn replace(&mut self, leaf: &mut Value) {
        match leaf {
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Integer(number) => {
                let before = u64::try_from(*number).unwrap_or(0);
                let numbers = [
                    0,
                    1,
                    before.wrapping_add(1),
                    before.wrapping_sub(1),
                    before.wrapping_mul(2),
                    self.chance.within(0..=300),
                    self.chance.within(0..=u64::MAX),
                ];
                *number = self.chance.pick(&numbers).copied().unwrap_or(0).into();
            }
            Value::Bool(answer) => *answer = !*answer,
            Value::Null => *leaf = Value::Bytes(self.chance.bytes::<32>().to_vec()),
            Value::Text(text) => text.push('x'),
            Value::Array(items) if items.is_empty() => items.push(Value::Null),
            other => *other = Value::Null,
        }
    }

    fn bytes(&mut self, bytes: &mut Vec<u8>) {
        match self.chance.within(0..=6) {
            0 => bytes.fill(0),
            1 => bytes.fill(u8::MAX),
            2 => bytes.clear(),
            3 => bytes.truncate(bytes.len().saturating_sub(32)),
            4 => bytes.extend(self.chance.bytes::<32>()),
            5 => {
                let length = self.chance.within(0..=BYTES_MAX).next_multiple_of(32);
                *bytes = (0..length / 32).flat_map(|_| self.chance.bytes::<32>()).collect();
            }
            _ => {
                let place = self.chance.index(bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = !*byte;
                }
            }
        }
    }
}

/// Reads controls that follow each other.
fn controls(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut controls = Vec::new();
    while !bytes.is_empty() {
        controls.push(ciborium::from_reader(&mut bytes).ok()?);
    }
    (!controls.is_empty()).then_some(controls)
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        // Names of variants and fields stay, or nothing would be understood.
        Value::Map(fields) => fields.iter().map(|(_, value)| leaves(value)).sum(),
        Value::Tag(_, value) => leaves(value),
        _ => 1,
    }
}

/// Returns the leaf at a place, counted from the first.
fn leaf<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    let is_leaf = match value {
        Value::Array(items) => items.is_empty(),
        Value::Map(_) | Value::Tag(..) => false,
        _ => true,
    };
    if is_leaf && *place == 0 {
        return Some(value);
    }
    *place -= usize::from(is_leaf);
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| leaf(item, place)),
        Value::Map(fields) => fields.iter_mut().find_map(|(_, value)| leaf(value, place)),
        Value::Tag(_, value) => leaf(value, place),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Vec<u8> {
        let text = |text: &str| Value::Text(text.to_owned());
        let fields = vec![
            (text("name"), Value::Bytes(vec![7; 16])),
            (text("round"), Value::Integer(1.into())),
            (text("tips"), Value::Bytes(vec![9; 64])),
            (text("of"), Value::Array(vec![Value::Bool(true), Value::Null])),
        ];
        let control = Value::Map(vec![(text("Announce"), Value::Map(fields))]);
        let mut message = vec![CONTROLS];
        ciborium::into_writer(&control, &mut message).unwrap();
        ciborium::into_writer(&control, &mut message).unwrap();
        message
    }

    #[test]
    fn a_lie_differs_and_can_be_read() {
        let (mut twist, mut different) = (Twist::new(3, 100), 0);
        for _ in 0..500 {
            for said in twist.message(message()) {
                assert!(controls(&said[1..]).is_some());
                different += usize::from(said != message());
            }
        }
        assert!(different > 400, "{different}");
    }

    #[test]
    fn without_lies_all_stays_as_it_is() {
        let mut twist = Twist::new(3, 0);
        assert_eq!(twist.message(message()), vec![message()]);
        assert_eq!(twist.message(vec![1, 2, 3]), vec![vec![1, 2, 3]]);
    }
}

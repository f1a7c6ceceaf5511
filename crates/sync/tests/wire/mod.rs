//! Changes what is said in open frames, as a peer that lies would say it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ciborium::Value;

const OPEN: u8 = 3;
const COMPRESSED: u8 = 1;
const MORE: u8 = 2;

/// Changes each control of an open frame, by its name; frames that carry a part of a long message stay.
pub fn change(frame: Vec<u8>, change: &mut dyn FnMut(&str, &mut Value)) -> Vec<u8> {
    if frame.len() < 3 || frame[0] != OPEN || frame[1] & MORE != 0 {
        return frame;
    }
    let message = if frame[1] & COMPRESSED == 0 {
        frame[2..].to_vec()
    } else {
        let length = u32::from_le_bytes(frame[2..6].try_into().unwrap()) as usize;
        lz4_flex::block::decompress(&frame[6..], length).unwrap()
    };
    let (kind, rest) = (message[0], &message[1..]);
    let (controls, batch) = match kind {
        0 => (rest, [].as_slice()),
        _ => {
            let (mut length, mut at) = (0, 0);
            loop {
                length |= usize::from(rest[at] & 0x7f) << (7 * at);
                at += 1;
                if rest[at - 1] & 0x80 == 0 {
                    break;
                }
            }
            rest[at..].split_at(length)
        }
    };
    let (mut left, mut changed) = (controls, Vec::new());
    while !left.is_empty() {
        let mut control: Value = ciborium::from_reader(&mut left).unwrap();
        if let Value::Map(named) = &mut control {
            let (Value::Text(name), value) = &mut named[0] else { panic!("{named:?}") };
            change(name, value);
        }
        ciborium::into_writer(&control, &mut changed).unwrap();
    }
    let mut frame = vec![OPEN, 0, kind];
    if kind != 0 {
        let mut length = changed.len();
        while length >= 0x80 {
            frame.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        frame.push(u8::try_from(length).unwrap());
    }
    [frame, changed, batch.to_vec()].concat()
}

/// Returns a field of a control, where it has it.
pub fn field<'a>(control: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let Value::Map(fields) = control else { return None };
    fields.iter_mut().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// Puts a field into a control, in place of the one that it has.
pub fn put(control: &mut Value, name: &str, value: Value) {
    match field(control, name) {
        Some(place) => *place = value,
        None => {
            let Value::Map(fields) = control else { panic!("{control:?}") };
            fields.push((Value::Text(name.into()), value));
        }
    }
}

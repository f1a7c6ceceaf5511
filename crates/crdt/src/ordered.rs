//! Strings inside keys: escaped so that encoded strings, and sequences of them, sort as the plain
//! ones do, and none is a prefix of another.

const ZERO: u8 = 0x00;
const END: u8 = 0x01;
const ESCAPED_ZERO: u8 = 0xff;

/// Appends a string: each zero byte as `00 ff`, then `00 01` as the end.
pub(crate) fn put(out: &mut Vec<u8>, string: &[u8]) {
    for byte in string {
        out.push(*byte);
        if *byte == ZERO {
            out.push(ESCAPED_ZERO);
        }
    }
    out.extend_from_slice(&[ZERO, END]);
}

/// Takes a string from the front; `None` if the bytes are not what [`put`] gives.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut string = Vec::new();
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if *first != ZERO {
            string.push(*first);
            continue;
        }
        let (second, rest) = bytes.split_first()?;
        *bytes = rest;
        match *second {
            END => return Some(string),
            ESCAPED_ZERO => string.push(ZERO),
            _ => return None,
        }
    }
}

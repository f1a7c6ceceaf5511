//! A row as it rests: existence and fields with their versions, in one value. While everything
//! has one and the same version, it is written once.
//!
//! `0, stamp, fields…, each name and value` in that case; otherwise `1`, the stamps ascending, then for
//! existence and for each field its heads as (place of the stamp × 2, plus 1 for a removal) with the
//! value of each write.

use std::collections::{BTreeMap, BTreeSet};

use crate::fold::{Heads, Slot, Slots};
use crate::pack::{self, Unpacker};

use crate::stamp::Stamp;

pub(super) const UNIFORM: u8 = 0;
const GENERAL: u8 = 1;
/// Most rows are packed without growing the buffer.
const TYPICAL_BYTES: usize = 256;

/// Returns the row of these slots.
pub(super) fn pack(slots: &Slots) -> Vec<u8> {
    let mut out = Vec::with_capacity(TYPICAL_BYTES);
    match uniform(slots) {
        Some(stamp) => pack_uniform(slots, stamp, &mut out),
        None => pack_general(slots, &mut out),
    }
    out
}

/// Returns the row that one operation makes: existence and these fields, ascending by name.
pub(super) fn pack_new<'a>(
    stamp: Stamp,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(TYPICAL_BYTES);
    out.push(UNIFORM);
    pack::put_stamp(&mut out, &stamp);
    for (field, value) in fields {
        pack::put_string(&mut out, field.as_bytes());
        pack::put_string(&mut out, value);
    }
    out
}

/// Returns the one version of existence and all fields, if there is only one and it is live.
fn uniform(slots: &Slots) -> Option<Stamp> {
    let (stamp, _) = slots.main.winner()?;
    let same =
        |slot: &Slot| slot.heads().iter().all(|(head, value)| *head == stamp && value.is_some());
    slots.all().all(same).then_some(stamp)
}

fn pack_uniform(slots: &Slots, stamp: Stamp, out: &mut Vec<u8>) {
    out.push(UNIFORM);
    pack::put_stamp(out, &stamp);
    for (field, slot) in &slots.fields {
        for value in slot.heads().values().flatten() {
            pack::put_string(out, field.as_bytes());
            pack::put_string(out, value);
        }
    }
}

fn pack_general(slots: &Slots, out: &mut Vec<u8>) {
    let stamps: BTreeSet<Stamp> =
        slots.all().flat_map(|slot| slot.heads().keys().copied()).collect();
    let places: BTreeMap<Stamp, u64> = stamps.iter().copied().zip(0..).collect();
    out.push(GENERAL);
    pack::put_number(out, stamps.len() as u64);
    stamps.iter().for_each(|stamp| pack::put_stamp(out, stamp));
    pack_heads(&slots.main, &places, false, out);
    for (field, slot) in &slots.fields {
        if !slot.heads().is_empty() {
            pack::put_string(out, field.as_bytes());
            pack_heads(slot, &places, true, out);
        }
    }
}

/// Takes what [`pack`] gives.
pub(super) fn unpack(row: &[u8]) -> Option<Slots> {
    let (form, rest) = row.split_first()?;
    let mut unpacker = Unpacker::new(rest);
    match *form {
        UNIFORM => unpack_uniform(&mut unpacker),
        GENERAL => unpack_general(&mut unpacker),
        _ => None,
    }
}

fn pack_heads(slot: &Slot, places: &BTreeMap<Stamp, u64>, values: bool, out: &mut Vec<u8>) {
    pack::put_number(out, slot.heads().len() as u64);
    for (stamp, value) in slot.heads() {
        let place = places.get(stamp).copied().unwrap_or_default();
        pack::put_number(out, place * 2 + u64::from(value.is_none()));
        if let (true, Some(value)) = (values, value) {
            pack::put_string(out, value);
        }
    }
}

fn unpack_uniform(unpacker: &mut Unpacker<'_>) -> Option<Slots> {
    let stamp = unpacker.stamp()?;
    let one = |value| {
        let mut heads = Heads::new();
        heads.insert(stamp, Some(value));
        Slot::from_heads(heads)
    };
    let mut fields = BTreeMap::new();
    while !unpacker.is_empty() {
        let field = unpacker.text()?.to_owned();
        fields.insert(field, one(unpacker.string()?.to_vec()));
    }
    Some(Slots { main: one(Vec::new()), fields })
}

fn unpack_general(unpacker: &mut Unpacker<'_>) -> Option<Slots> {
    let mut stamps = Vec::new();
    for _ in 0..unpacker.count()? {
        stamps.push(unpacker.stamp()?);
    }
    let main = unpack_heads(unpacker, &stamps, false)?;
    let mut fields = BTreeMap::new();
    while !unpacker.is_empty() {
        let field = unpacker.text()?.to_owned();
        fields.insert(field, unpack_heads(unpacker, &stamps, true)?);
    }
    Some(Slots { main, fields })
}

fn unpack_heads(unpacker: &mut Unpacker<'_>, stamps: &[Stamp], values: bool) -> Option<Slot> {
    let mut heads = Heads::new();
    for _ in 0..unpacker.count()? {
        let place = unpacker.number()?;
        let stamp = *stamps.get(usize::try_from(place / 2).ok()?)?;
        let value = match (place.is_multiple_of(2), values) {
            (false, _) => None,
            (true, false) => Some(Vec::new()),
            (true, true) => Some(unpacker.string()?.to_vec()),
        };
        heads.insert(stamp, value);
    }
    Some(Slot::from_heads(heads))
}

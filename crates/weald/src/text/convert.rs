//! Updates in Loro's words and back.
//!
//! Invariant: what one instance exports, another imports as the very same operations.

use loro::{ContainerID, ContainerType, ID, JsonChange, JsonOp, JsonOpContent, LoroValue, json};
use weald_crdt::Value;

use super::guard::Broken;
use super::update::{Id, MAX_BACKWARD, Operation, Update};

/// The one text of a Loro document.
pub(super) const TEXT: &str = "text";
/// The bits in which Loro tells of a mark: always, and that it grows at its start and at its end.
const ALIVE: u8 = 0x80;
const GROWS_AT_START: u8 = 2;
const GROWS_AT_END: u8 = 4;

/// Returns Loro's bits for how a mark grows.
const fn bits_of(grows: u8) -> u8 {
    let start = if grows & 2 == 0 { 0 } else { GROWS_AT_START };
    let end = if grows & 1 == 0 { 0 } else { GROWS_AT_END };
    ALIVE | start | end
}

pub(super) fn container() -> ContainerID {
    ContainerID::new_root(TEXT, ContainerType::Text)
}

pub(super) fn to_loro(id: &Id) -> ID {
    ID::new(id.peer, i32::try_from(id.counter).unwrap_or(i32::MAX))
}

pub(super) fn of_loro(id: &ID) -> Result<Id, Broken> {
    Ok(Id { peer: id.peer, counter: u32::try_from(id.counter).map_err(|_| Broken)? })
}

/// Returns the change that Loro imports.
pub(super) fn change_of(update: &Update, lamport: u32) -> JsonChange {
    let mut counter = update.start;
    let mut ops = Vec::with_capacity(update.operations.len());
    let mut push = |op: json::TextOp, length: u32| {
        ops.push(JsonOp {
            content: JsonOpContent::Text(op),
            container: container(),
            counter: i32::try_from(counter).unwrap_or(i32::MAX),
        });
        counter = counter.saturating_add(length);
    };
    for operation in &update.operations {
        match operation {
            Operation::Insert { at, text } => {
                push(json::TextOp::Insert { pos: *at, text: text.clone() }, operation.length());
            }
            Operation::Delete { at, length, backward, first } => {
                let (at, signed) = (signed(*at), signed(*length));
                let (pos, len) = if *backward { (at + signed - 1, -signed) } else { (at, signed) };
                push(json::TextOp::Delete { pos, len, start_id: to_loro(first) }, *length);
            }
            Operation::Mark { start, end, key, value, grows } => {
                let mark = json::TextOp::Mark {
                    start: *start,
                    end: *end,
                    style_key: key.clone(),
                    style_value: loro_value(value),
                    info: bits_of(*grows),
                };
                push(mark, 1);
                push(json::TextOp::MarkEnd, 1);
            }
        }
    }
    JsonChange {
        id: to_loro(&Id { peer: update.peer, counter: update.start }),
        timestamp: 0,
        deps: update.deps.iter().map(to_loro).collect(),
        lamport,
        msg: None,
        ops,
    }
}

/// Positions and lengths are below 2^28.
fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Returns the operations of changes that Loro exports.
pub(super) fn operations_of(changes: Vec<JsonChange>) -> Result<Vec<Operation>, Broken> {
    let mut operations = Vec::new();
    let mut open = false;
    for op in changes.into_iter().flat_map(|change| change.ops) {
        let JsonOpContent::Text(op) = op.content else { return Err(Broken) };
        if open != matches!(op, json::TextOp::MarkEnd) {
            return Err(Broken);
        }
        match op {
            json::TextOp::Insert { pos, text } => {
                operations.push(Operation::Insert { at: pos, text });
            }
            json::TextOp::Delete { pos, len, start_id } => {
                deletions(pos, len, of_loro(&start_id)?, &mut operations)?;
            }
            json::TextOp::Mark { start, end, style_key, style_value, info } => {
                let value = value_of(&style_value).ok_or(Broken)?;
                let grows = (0..4).find(|grows| bits_of(*grows) == info).ok_or(Broken)?;
                operations.push(Operation::Mark { start, end, key: style_key, value, grows });
                open = true;
                continue;
            }
            json::TextOp::MarkEnd => {}
        }
        open = false;
    }
    if open { Err(Broken) } else { Ok(operations) }
}

fn deletions(pos: i32, len: i32, first: Id, out: &mut Vec<Operation>) -> Result<(), Broken> {
    let mut left = len.unsigned_abs();
    if len >= -1 {
        let at = u32::try_from(pos).map_err(|_| Broken)?;
        out.push(Operation::Delete { at, length: left, backward: false, first });
        return Ok(());
    }
    let at = u32::try_from(pos).ok().and_then(|pos| (pos + 1).checked_sub(left)).ok_or(Broken)?;
    while left > 0 {
        let length = left.min(MAX_BACKWARD);
        left -= length;
        let first = Id { counter: first.counter.saturating_add(left), ..first };
        // One character has no direction.
        let backward = length > 1;
        out.push(Operation::Delete { at: at.saturating_add(left), length, backward, first });
    }
    Ok(())
}

pub(super) fn loro_value(value: &Value) -> LoroValue {
    match value {
        Value::Bool(truth) => LoroValue::Bool(*truth),
        Value::Text(text) => LoroValue::from(text.as_str()),
        Value::F64(float) => LoroValue::Double(*float),
        other => other.as_i64().map_or(LoroValue::Null, LoroValue::I64),
    }
}

pub(super) fn value_of(value: &LoroValue) -> Option<Value> {
    Some(match value {
        LoroValue::Null => Value::Null,
        LoroValue::Bool(truth) => Value::Bool(*truth),
        LoroValue::Double(float) => Value::F64(*float),
        LoroValue::I64(number) => Value::from(*number),
        LoroValue::String(text) => Value::Text(text.to_string()),
        _ => return None,
    })
}

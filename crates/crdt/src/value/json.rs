//! Exact conversion from and to JSON, both ways: a value comes back as itself, and so does any JSON.
//!
//! Kinds that JSON lacks become an object with one reserved key: `$bytes` (base64), `$timestamp`
//! (milliseconds), `$decimal` (text), `$float` (`inf` or `-inf`). A map that looks like one of these
//! gets one more `$` before its key, which is taken off again on the way back.

use data_encoding::BASE64;
use serde_json::{Number, Value as Json};

use super::coding::check_component;
use super::{Decimal, Timestamp, Value, ValueError};
use crate::limits::MAX_NESTING;

impl Value {
    /// Returns the value of a JSON document.
    ///
    /// # Errors
    /// [`ValueError`] for too deep nesting, or a key that is too long.
    pub fn from_json(json: &Json) -> Result<Self, ValueError> {
        from_json(json, MAX_NESTING)
    }

    /// Returns the value as JSON.
    ///
    /// # Errors
    /// [`ValueError::NotANumber`]; nothing else, as every other value has a JSON form.
    pub fn to_json(&self) -> Result<Json, ValueError> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::I64(number) => Json::from(*number),
            Self::U64(number) => Json::from(*number),
            Self::F64(number) => float_to_json(*number)?,
            Self::Text(text) => Json::from(text.as_str()),
            Self::Bytes(bytes) => tagged("$bytes", BASE64.encode(bytes)),
            Self::Timestamp(Timestamp(ms)) => tagged("$timestamp", *ms),
            Self::Decimal(decimal) => tagged("$decimal", decimal.as_str()),
            Self::List(list) => {
                Json::Array(list.iter().map(Self::to_json).collect::<Result<_, _>>()?)
            }
            Self::Map(map) => {
                let mut object = serde_json::Map::new();
                for (key, value) in map {
                    let json = value.to_json()?;
                    let look_alike =
                        map.len() == 1 && typed(key.trim_start_matches('$'), &json).is_some();
                    let key = if look_alike && key.starts_with('$') {
                        format!("${key}")
                    } else {
                        key.clone()
                    };
                    object.insert(key, json);
                }
                Json::Object(object)
            }
        })
    }
}

fn tagged(key: &str, payload: impl Into<Json>) -> Json {
    Json::Object(std::iter::once((key.to_owned(), payload.into())).collect())
}

fn float_to_json(number: f64) -> Result<Json, ValueError> {
    if number.is_nan() {
        return Err(ValueError::NotANumber);
    }
    Ok(match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number > 0.0 => tagged("$float", "inf"),
        None => tagged("$float", "-inf"),
    })
}

fn from_json(json: &Json, room: usize) -> Result<Value, ValueError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => from_number(number)?,
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => {
            let room = room.checked_sub(1).ok_or(ValueError::TooDeep)?;
            Value::List(items.iter().map(|item| from_json(item, room)).collect::<Result<_, _>>()?)
        }
        Json::Object(object) => return from_object(object, room),
    })
}

fn from_number(number: &Number) -> Result<Value, ValueError> {
    if let Some(number) = number.as_u64() {
        return Ok(Value::U64(number));
    }
    if let Some(number) = number.as_i64() {
        return Ok(Value::I64(number));
    }
    number.as_f64().map(Value::F64).ok_or(ValueError::IntegerRange)
}

fn from_object(object: &serde_json::Map<String, Json>, room: usize) -> Result<Value, ValueError> {
    let mut strip = false;
    if object.len() == 1
        && let Some((key, json)) = object.iter().next()
        && let Some(value) =
            key.strip_prefix('$').and_then(|_| typed(key.trim_start_matches('$'), json))
    {
        if !key.starts_with("$$") {
            return Ok(value);
        }
        strip = true;
    }
    let room = room.checked_sub(1).ok_or(ValueError::TooDeep)?;
    let pairs = object.iter().map(|(key, json)| {
        let key = key.get(usize::from(strip)..).unwrap_or_default();
        check_component(key)?;
        Ok((key.to_owned(), from_json(json, room)?))
    });
    Ok(Value::Map(pairs.collect::<Result<_, ValueError>>()?))
}

/// Returns the value of a reserved key without its dollars, if the payload fits it exactly.
fn typed(name: &str, payload: &Json) -> Option<Value> {
    match (name, payload) {
        ("bytes", Json::String(text)) => BASE64.decode(text.as_bytes()).ok().map(Value::Bytes),
        ("timestamp", Json::Number(ms)) => ms.as_i64().map(|ms| Value::Timestamp(Timestamp(ms))),
        ("decimal", Json::String(text)) => Decimal::new(text.as_str()).ok().map(Value::Decimal),
        ("float", Json::String(text)) if text == "inf" => Some(Value::F64(f64::INFINITY)),
        ("float", Json::String(text)) if text == "-inf" => Some(Value::F64(f64::NEG_INFINITY)),
        _ => None,
    }
}

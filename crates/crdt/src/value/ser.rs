//! From any serde type to a value, without a detour: integers stay exact, floats keep their bits.

use std::collections::BTreeMap;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::coding::check_component;
use super::{Decimal, Timestamp, Value, ValueError, kinds};
use crate::limits::MAX_NESTING;

impl Value {
    /// Returns the value of anything serde can serialise.
    ///
    /// Structs and maps become maps, enums as in JSON (`"Variant"` or `{"Variant": …}`), `None` and
    /// `()` null. [`Timestamp`], [`Decimal`] and values inside keep their kind.
    ///
    /// # Errors
    /// [`ValueError`] for not-a-number, too deep nesting, integers over 64 bits, and map keys that
    /// are no text.
    pub fn from_serde<T: Serialize + ?Sized>(source: &T) -> Result<Self, ValueError> {
        source.serialize(Serializer { room: MAX_NESTING })
    }
}

impl Serialize for Value {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::I64(number) => serializer.serialize_i64(*number),
            Self::U64(number) => serializer.serialize_u64(*number),
            Self::F64(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Timestamp(timestamp) => timestamp.serialize(serializer),
            Self::Decimal(decimal) => decimal.serialize(serializer),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => serializer.collect_map(map),
        }
    }
}

#[derive(Clone, Copy)]
struct Serializer {
    room: usize,
}

impl Serializer {
    fn inner(self) -> Result<Self, ValueError> {
        Ok(Self { room: self.room.checked_sub(1).ok_or(ValueError::TooDeep)? })
    }

    fn list(self, variant: Option<&'static str>) -> Result<ListBuilder, ValueError> {
        let inner = if variant.is_some() { self.inner()?.inner()? } else { self.inner()? };
        Ok(ListBuilder { items: Vec::new(), inner, variant })
    }

    fn map(self, variant: Option<&'static str>) -> Result<MapBuilder, ValueError> {
        let inner = if variant.is_some() { self.inner()?.inner()? } else { self.inner()? };
        Ok(MapBuilder { map: BTreeMap::new(), key: None, inner, variant })
    }
}

fn wrap(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::from([(variant, value)]),
        None => value,
    }
}

macro_rules! serialize_as {
    ($($method:ident($source:ty) => $convert:expr;)*) => {$(
        fn $method(self, source: $source) -> Result<Value, ValueError> {
            $convert(source)
        }
    )*};
}

impl ser::Serializer for Serializer {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = ListBuilder;
    type SerializeMap = MapBuilder;
    type SerializeStruct = MapBuilder;
    type SerializeStructVariant = MapBuilder;

    serialize_as! {
        serialize_bool(bool) => |b| Ok(Value::Bool(b));
        serialize_i8(i8) => |n| Ok(i64::from(n).into());
        serialize_i16(i16) => |n| Ok(i64::from(n).into());
        serialize_i32(i32) => |n| Ok(i64::from(n).into());
        serialize_i64(i64) => |n: i64| Ok(n.into());
        serialize_u8(u8) => |n: u8| Ok(n.into());
        serialize_u16(u16) => |n: u16| Ok(n.into());
        serialize_u32(u32) => |n: u32| Ok(n.into());
        serialize_u64(u64) => |n: u64| Ok(n.into());
        serialize_f32(f32) => |n| float(f64::from(n));
        serialize_f64(f64) => float;
        serialize_char(char) => |c: char| Ok(Value::Text(c.into()));
        serialize_str(&str) => |s: &str| Ok(s.into());
        serialize_bytes(&[u8]) => |b: &[u8]| Ok(Value::Bytes(b.to_vec()));
        serialize_unit_struct(&'static str) => |_| Ok(Value::Null);
    }

    fn serialize_i128(self, number: i128) -> Result<Value, ValueError> {
        if let Ok(number) = u64::try_from(number) {
            return Ok(Value::U64(number));
        }
        i64::try_from(number).map(Value::I64).map_err(|_| ValueError::IntegerRange)
    }
    fn serialize_u128(self, number: u128) -> Result<Value, ValueError> {
        u64::try_from(number).map(Value::U64).map_err(|_| ValueError::IntegerRange)
    }
    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, some: &T) -> Result<Value, ValueError> {
        some.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        inner: &T,
    ) -> Result<Value, ValueError> {
        let value = inner.serialize(self)?;
        match (name, value) {
            (kinds::TIMESTAMP, Value::I64(ms)) => Ok(Timestamp(ms).into()),
            (kinds::TIMESTAMP, Value::U64(ms)) => {
                Ok(Timestamp(i64::try_from(ms).map_err(|_| ValueError::IntegerRange)?).into())
            }
            (kinds::DECIMAL, Value::Text(text)) => Ok(Decimal::new(text)?.into()),
            (_, value) => Ok(value),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        inner: &T,
    ) -> Result<Value, ValueError> {
        Ok(wrap(Some(variant), inner.serialize(self.inner()?)?))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<ListBuilder, ValueError> {
        self.list(None)
    }
    fn serialize_tuple(self, _: usize) -> Result<ListBuilder, ValueError> {
        self.list(None)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ListBuilder, ValueError> {
        self.list(None)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListBuilder, ValueError> {
        self.list(Some(variant))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<MapBuilder, ValueError> {
        self.map(None)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapBuilder, ValueError> {
        self.map(None)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapBuilder, ValueError> {
        self.map(Some(variant))
    }
}

fn float(number: f64) -> Result<Value, ValueError> {
    if number.is_nan() { Err(ValueError::NotANumber) } else { Ok(Value::F64(number)) }
}

struct ListBuilder {
    items: Vec<Value>,
    inner: Serializer,
    variant: Option<&'static str>,
}

macro_rules! build_list {
    ($($trait:ident::$method:ident),*) => {$(
        impl $trait for ListBuilder {
            type Ok = Value;
            type Error = ValueError;
            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
                self.items.push(item.serialize(self.inner)?);
                Ok(())
            }
            fn end(self) -> Result<Value, ValueError> {
                Ok(wrap(self.variant, Value::List(self.items)))
            }
        }
    )*};
}

build_list!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

struct MapBuilder {
    map: BTreeMap<String, Value>,
    key: Option<String>,
    inner: Serializer,
    variant: Option<&'static str>,
}

impl MapBuilder {
    fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), ValueError> {
        check_component(&key)?;
        self.map.insert(key, value.serialize(self.inner)?);
        Ok(())
    }
}

impl SerializeMap for MapBuilder {
    type Ok = Value;
    type Error = ValueError;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(match key.serialize(self.inner)? {
            Value::Text(text) => text,
            Value::U64(number) => number.to_string(),
            Value::I64(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => return Err(ValueError::KeyKind),
        });
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = self.key.take().ok_or(ValueError::KeyKind)?;
        self.insert(key, value)
    }
    fn end(self) -> Result<Value, ValueError> {
        Ok(wrap(self.variant, Value::Map(self.map)))
    }
}

macro_rules! build_struct {
    ($($trait:ident),*) => {$(
        impl $trait for MapBuilder {
            type Ok = Value;
            type Error = ValueError;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.insert(key.to_owned(), value)
            }
            fn end(self) -> Result<Value, ValueError> {
                Ok(wrap(self.variant, Value::Map(self.map)))
            }
        }
    )*};
}

build_struct!(SerializeStruct, SerializeStructVariant);

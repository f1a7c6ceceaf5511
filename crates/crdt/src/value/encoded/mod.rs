//! From the canonical bytes of a value to any serde type, with no [`super::Value`] in between.
//!
//! A result is what the way through a value gives. An error only says that there is none: what is
//! wrong is asked of that way. No bytes are left unchecked, also of what the type does not ask for.

mod access;
mod variant;

use std::cell::Cell;

use serde::de::value::SeqDeserializer;
use serde::de::{self, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;

use self::access::{Items, Pairs};
use self::variant::Kind;
pub(super) use self::variant::Variant;
use super::de::VALUE;
use super::{Decimal, ValueError};
use crate::cbor::{
    self, ARRAY, BYTES, DECIMAL_TAG, FALSE_INFO, MAP, NEGATIVE, NULL, NULL_INFO, Reader, TAG, TEXT,
    TIMESTAMP_TAG, UNSIGNED,
};

/// Says that there is no result; nobody reads why.
pub(super) fn unfit<E>(_: E) -> ValueError {
    ValueError::Refused { message: String::new() }
}

/// The value at the front of some bytes.
#[derive(Clone, Copy)]
pub(super) struct Encoded<'de, 'c> {
    pub(super) bytes: &'de [u8],
    /// How deep lists and maps may nest.
    pub(super) room: usize,
    /// What follows the value, told when all of it was read on the way.
    pub(super) after: &'c Cell<Option<&'de [u8]>>,
}

/// Reads the value at the front of a reader as the seed says, and goes past it in any case.
///
/// Where the value is damaged the reader stays before it.
pub(super) fn read<'de, T: DeserializeSeed<'de>>(
    reader: &mut Reader<'de>,
    room: usize,
    seed: T,
) -> Result<T::Value, ValueError> {
    let after = Cell::new(None);
    let outcome = seed.deserialize(Encoded { bytes: reader.rest(), room, after: &after });
    match after.get() {
        Some(rest) => *reader = Reader::new(rest),
        None => {
            let mut past = reader.clone();
            past.skip_value(room).map_err(unfit)?;
            *reader = past;
        }
    }
    outcome
}

impl<'de> Encoded<'de, '_> {
    fn ends_at(&self, reader: &Reader<'de>) {
        self.after.set(Some(reader.rest()));
    }

    /// Returns how deep what is inside a list or map may nest.
    fn inner(&self) -> Result<usize, ValueError> {
        self.room.checked_sub(1).ok_or_else(|| unfit(()))
    }

    fn starts_with_tag(&self) -> bool {
        self.bytes.first().is_some_and(|first| first >> 5 == TAG)
    }

    fn tagged<V: Visitor<'de>>(
        self,
        mut reader: Reader<'de>,
        tag: u64,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match tag {
            TIMESTAMP_TAG => {
                let ms = reader.signed().map_err(unfit)?;
                self.ends_at(&reader);
                visitor.visit_i64(ms)
            }
            DECIMAL_TAG => {
                let text = reader.text().ok().filter(|text| Decimal::is_decimal(text));
                let text = text.ok_or(()).map_err(unfit)?;
                self.ends_at(&reader);
                visitor.visit_borrowed_str(text)
            }
            _ => Err(unfit(tag)),
        }
    }

    fn list<V: Visitor<'de>>(
        self,
        reader: Reader<'de>,
        count: u64,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let left = reader.count(count, 1).map_err(unfit)?;
        let mut items = Items::new(reader, left, self.inner()?);
        let value = visitor.visit_seq(&mut items)?;
        self.ends_at(&items.finish()?);
        Ok(value)
    }

    fn map<V: Visitor<'de>>(
        self,
        reader: Reader<'de>,
        count: u64,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let left = reader.count(count, 2).map_err(unfit)?;
        let mut pairs = Pairs::new(reader, left, self.inner()?);
        let value = visitor.visit_map(&mut pairs)?;
        self.ends_at(&pairs.finish()?);
        Ok(value)
    }
}

impl<'de> de::Deserializer<'de> for Encoded<'de, '_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let mut reader = Reader::new(self.bytes);
        let head = reader.head().map_err(unfit)?;
        match head.major {
            ARRAY => return self.list(reader, head.argument, visitor),
            MAP => return self.map(reader, head.argument, visitor),
            TAG => return self.tagged(reader, head.argument, visitor),
            TEXT => {
                let text = reader.utf8(head.argument).map_err(unfit)?;
                self.ends_at(&reader);
                return visitor.visit_borrowed_str(text);
            }
            BYTES => {
                let bytes = reader.string(head.argument).map_err(unfit)?;
                self.ends_at(&reader);
                return visitor.visit_borrowed_bytes(bytes);
            }
            _ => self.ends_at(&reader),
        }
        match head.major {
            UNSIGNED => visitor.visit_u64(head.argument),
            NEGATIVE => visitor.visit_i64(cbor::negative(head.argument).map_err(|error| {
                self.after.set(None);
                unfit(error)
            })?),
            _ => match cbor::float_or_simple(head) {
                Ok(Some(float)) => visitor.visit_f64(float),
                Ok(None) if head.info == NULL_INFO => visitor.visit_unit(),
                Ok(None) => visitor.visit_bool(head.info != FALSE_INFO),
                Err(error) => {
                    self.after.set(None);
                    Err(unfit(error))
                }
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.bytes.split_first() {
            Some((&NULL, rest)) => {
                self.after.set(Some(rest));
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.bytes.first().is_none_or(|first| first >> 5 != BYTES) {
            return self.deserialize_any(visitor);
        }
        let mut reader = Reader::new(self.bytes);
        let bytes = reader.bytes().map_err(unfit)?;
        self.ends_at(&reader);
        visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name != VALUE {
            return visitor.visit_newtype_struct(self);
        }
        if self.starts_with_tag() {
            return visitor.visit_enum(Kind(self));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let mut reader = Reader::new(self.bytes);
        let head = reader.head().map_err(unfit)?;
        match (head.major, head.argument) {
            (TEXT, length) => {
                let variant = reader.utf8(length).map_err(unfit)?;
                self.ends_at(&reader);
                visitor.visit_enum(Variant { variant, content: None })
            }
            (MAP, 1) => {
                let variant = reader.component().map_err(unfit)?;
                let room = self.inner()?;
                let content = reader.raw_value(room).map_err(unfit)?;
                self.ends_at(&reader);
                visitor.visit_enum(Variant { variant, content: Some((content, room)) })
            }
            (major, _) => Err(unfit(major)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map struct identifier
    }
}

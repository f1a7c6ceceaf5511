//! The fields of a packed row as one serde map, with no [`super::Value`] in between.

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::ValueError;
use super::de::{MapKey, VALUE};
use super::encoded::{self, Variant, unfit};
use crate::cbor::{NULL, Reader};
use crate::limits::MAX_NESTING;
use crate::pack::Unpacker;

/// Names and encoded values, in turn, to the end of a row; ascending by name.
pub(crate) struct Fields<'de> {
    rest: Unpacker<'de>,
    last: Option<&'de str>,
    /// The value of the last name, until it was read.
    due: Option<&'de [u8]>,
    damaged: bool,
}

impl<'de> Fields<'de> {
    pub(crate) const fn new(rest: Unpacker<'de>) -> Self {
        Self { rest, last: None, due: None, damaged: false }
    }

    /// Returns the fields as a type of the app; `None` if they are damaged or do not fit it, which
    /// the way through a value tells apart.
    pub(crate) fn read<T: DeserializeOwned>(mut self) -> Option<T> {
        let value = T::deserialize(&mut self).ok()?;
        self.skip_due().ok()?;
        while self.next_name().ok()?.is_some() {
            self.skip_due().ok()?;
        }
        (!self.damaged).then_some(value)
    }

    fn next_name(&mut self) -> Result<Option<&'de str>, ValueError> {
        if self.damaged || self.rest.is_empty() {
            return Ok(None);
        }
        match self.rest.text().zip(self.rest.string()) {
            Some((name, value)) if self.last.is_none_or(|last| last < name) => {
                (self.last, self.due) = (Some(name), Some(value));
                Ok(Some(name))
            }
            _ => Err(self.damage()),
        }
    }

    fn skip_due(&mut self) -> Result<(), ValueError> {
        let Some(value) = self.due.take() else { return Ok(()) };
        let mut reader = Reader::new(value);
        let skipped = reader.skip_value(MAX_NESTING).and_then(|()| reader.finish());
        skipped.map_err(|_| self.damage())
    }

    fn damage(&mut self) -> ValueError {
        self.damaged = true;
        unfit(())
    }
}

impl<'de> de::Deserializer<'de> for &mut Fields<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_map(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name == VALUE { visitor.visit_map(self) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let variant = self.next_name()?.ok_or(()).map_err(unfit)?;
        let content = self.due.map(|value| (value, MAX_NESTING));
        if !self.rest.is_empty() {
            return Err(unfit(()));
        }
        // Before it is read, so that a damaged value gives no result.
        self.skip_due()?;
        visitor.visit_enum(Variant { variant, content })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = ValueError;
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ValueError> {
        self.skip_due()?;
        let Some(name) = self.next_name()? else { return Ok(None) };
        seed.deserialize(MapKey(name)).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ValueError> {
        let mut reader = Reader::new(self.due.take().unwrap_or(&[NULL]));
        let value = encoded::read(&mut reader, MAX_NESTING, seed);
        if !reader.rest().is_empty() {
            return Err(self.damage());
        }
        value
    }
}

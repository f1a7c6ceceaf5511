//! Variants of enums in canonical bytes, and the kinds of value that serde has no word for.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::{Encoded, read, unfit};
use crate::cbor::{NULL, Reader, TIMESTAMP_TAG};
use crate::value::ValueError;

/// A variant, with its content unless it was a text alone, and how deep that may nest.
pub(in crate::value) struct Variant<'de> {
    pub(in crate::value) variant: &'de str,
    pub(in crate::value) content: Option<(&'de [u8], usize)>,
}

impl<'de> Variant<'de> {
    fn read<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ValueError> {
        let (bytes, room) = self.content.unwrap_or((&[NULL], 0));
        read(&mut Reader::new(bytes), room, seed)
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ValueError;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), ValueError> {
        let variant: BorrowedStrDeserializer<'de, ValueError> =
            BorrowedStrDeserializer::new(self.variant);
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = ValueError;
    fn unit_variant(self) -> Result<(), ValueError> {
        match self.content {
            None | Some(([NULL], _)) => Ok(()),
            Some(_) => Err(unfit(())),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        self.read(seed)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.read(AsAny(visitor))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.read(AsAny(visitor))
    }
}

/// A visitor that takes whatever is there.
struct AsAny<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for AsAny<V> {
    type Value = V::Value;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

/// A timestamp or decimal on its way to a [`crate::Value`], told apart by the variant.
pub(super) struct Kind<'de, 'c>(pub(super) Encoded<'de, 'c>);

impl<'de, 'c> EnumAccess<'de> for Kind<'de, 'c> {
    type Error = ValueError;
    type Variant = Variant<'de>;
    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Variant<'de>), ValueError> {
        let Encoded { bytes, room, .. } = self.0;
        let head = Reader::new(bytes).head().map_err(unfit)?;
        let is_timestamp = head.argument == TIMESTAMP_TAG;
        let tag = seed.deserialize(is_timestamp.into_deserializer())?;
        Ok((tag, Variant { variant: "", content: Some((bytes, room)) }))
    }
}

//! The items of an encoded list and the pairs of an encoded map, one after the other.
//!
//! Damage ends them, and is told at the end if not before.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::{read, unfit};
use crate::cbor::{self, NULL, Reader};
use crate::value::ValueError;
use crate::value::de::MapKey;

/// The items of a list that are still to be read.
pub(super) struct Items<'de> {
    reader: Reader<'de>,
    left: usize,
    room: usize,
    damaged: bool,
}

impl<'de> Items<'de> {
    pub(super) const fn new(reader: Reader<'de>, left: usize, room: usize) -> Self {
        Self { reader, left, room, damaged: false }
    }

    /// Goes past what was not asked for, and returns what follows.
    pub(super) fn finish(mut self) -> Result<Reader<'de>, ValueError> {
        for _ in 0..self.left {
            self.reader.skip_value(self.room).map_err(unfit)?;
        }
        if self.damaged { Err(unfit(())) } else { Ok(self.reader) }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = ValueError;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ValueError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let before = self.reader.rest().len();
        let item = read(&mut self.reader, self.room, seed);
        if self.reader.rest().len() == before {
            // It ends here, also for a type that goes on after an error.
            (self.left, self.damaged) = (0, true);
        }
        item.map(Some)
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The pairs of a map that are still to be read.
pub(super) struct Pairs<'de> {
    reader: Reader<'de>,
    left: usize,
    room: usize,
    last: Option<&'de str>,
    /// Whether the value of the last key comes next.
    is_due: bool,
    damaged: bool,
}

impl<'de> Pairs<'de> {
    pub(super) const fn new(reader: Reader<'de>, left: usize, room: usize) -> Self {
        Self { reader, left, room, last: None, is_due: false, damaged: false }
    }

    /// Goes past what was not asked for, and returns what follows.
    pub(super) fn finish(mut self) -> Result<Reader<'de>, ValueError> {
        while self.advance()?.is_some() {}
        if self.damaged { Err(unfit(())) } else { Ok(self.reader) }
    }

    /// Goes to the next key, past what was not asked for.
    fn advance(&mut self) -> Result<Option<&'de str>, ValueError> {
        if std::mem::take(&mut self.is_due) {
            self.reader.skip_value(self.room).map_err(|_| self.damage())?;
        }
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let key = self.reader.component().map_err(|_| self.damage())?;
        cbor::ascending(&mut self.last, key).map_err(|_| self.damage())?;
        self.is_due = true;
        Ok(Some(key))
    }

    /// It ends here, also for a type that goes on after an error.
    fn damage(&mut self) -> ValueError {
        (self.left, self.is_due, self.damaged) = (0, false, true);
        unfit(())
    }
}

impl<'de> MapAccess<'de> for &mut Pairs<'de> {
    type Error = ValueError;
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ValueError> {
        self.advance()?.map(|key| seed.deserialize(MapKey(key))).transpose()
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ValueError> {
        if !std::mem::take(&mut self.is_due) {
            return read(&mut Reader::new(&[NULL]), self.room, seed);
        }
        let before = self.reader.rest().len();
        let value = read(&mut self.reader, self.room, seed);
        if self.reader.rest().len() == before {
            return Err(self.damage());
        }
        value
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

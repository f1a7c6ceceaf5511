//! The store types that come with the crate, by name.

use crate::counter::CounterType;
use crate::doc::DocType;
use crate::log::LogType;
use crate::set::SetType;
use crate::store_type::StoreType;
use crate::table::TableType;

/// Returns the built-in store type with this name.
pub fn builtin(name: &str) -> Option<&'static dyn StoreType> {
    match name {
        LogType::NAME => Some(&LogType),
        TableType::NAME => Some(&TableType),
        DocType::NAME => Some(&DocType),
        CounterType::NAME => Some(&CounterType),
        SetType::NAME => Some(&SetType),
        _ => None,
    }
}

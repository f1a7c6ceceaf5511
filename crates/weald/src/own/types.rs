//! The store types that an app gives to an instance.
//!
//! Invariant: none has the name of a type that comes with Weald, and no two have one name.

use std::fmt;
use std::sync::Arc;

use weald_crdt::{MAX_TYPE_NAME_BYTES, SEALED_TYPE, StoreType};

use crate::open::OpenError;

/// Names that are, or may be, those of types that come with Weald, in any build.
const RESERVED: [&str; 7] = ["counter", "doc", "log", SEALED_TYPE, "set", "table", "text"];

/// Returns whether a type comes with Weald and has an API of its own.
pub(crate) fn is_built_in(type_name: &str) -> bool {
    RESERVED.contains(&type_name)
}

/// The types, in the order in which they were given.
#[derive(Clone, Default)]
pub(crate) struct OwnTypes(Vec<Arc<dyn StoreType>>);

impl fmt::Debug for OwnTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|store_type| store_type.name())).finish()
    }
}

impl OwnTypes {
    pub(crate) fn add(&mut self, store_type: Arc<dyn StoreType>) {
        self.0.push(store_type);
    }

    /// Returns the types if all their names can be used.
    pub(crate) fn checked(self) -> Result<Vec<Arc<dyn StoreType>>, OpenError> {
        for (place, store_type) in self.0.iter().enumerate() {
            let name = store_type.name();
            let is_taken = self.0.iter().take(place).any(|before| before.name() == name);
            let is_long = name.is_empty() || name.len() > MAX_TYPE_NAME_BYTES;
            if is_taken || is_long || name.starts_with('_') || is_built_in(name) {
                return Err(OpenError::StoreType { name });
            }
        }
        Ok(self.0)
    }
}

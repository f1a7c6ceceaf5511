//! Where what entries did to a document can be taken back: place by place, as far down as there are
//! maps.
//!
//! Invariant: a place is given free only where the document says now what the entries made it say.

use std::collections::BTreeSet;

use weald_crdt::{Path, Value};

/// Compares three states of a document: as it is, and as it would be if the rows that the entries
/// changed were as they were just before and just after.
pub(super) struct Comparison<'a> {
    /// Whether somebody else has changed something at or below a place since.
    pub(super) is_foreign: &'a dyn Fn(&Path) -> bool,
    /// The places that were changed since; nothing at or below them is touched.
    pub(super) changed: Vec<Path>,
}

impl Comparison<'_> {
    pub(super) fn at(
        &mut self,
        path: &Path,
        before: Option<&Value>,
        after: Option<&Value>,
        now: Option<&Value>,
    ) {
        if before == after {
            return;
        }
        let is_free = after == now && !(self.is_foreign)(path);
        let nothing = std::collections::BTreeMap::new();
        let before = match before {
            // Others have put something into the map, which stays with that.
            None if !is_free => Some(&nothing),
            other => other.and_then(Value::as_map),
        };
        let after = after.and_then(Value::as_map);
        let (Some(before), Some(after), Some(now)) = (before, after, now.and_then(Value::as_map))
        else {
            if !is_free {
                self.changed.push(path.clone());
            }
            return;
        };
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let path = path.child(key.as_str());
            self.at(&path, before.get(key), after.get(key), now.get(key));
        }
    }
}

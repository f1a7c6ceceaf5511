//! Splits a write of a row over as many operations as the limit on names asks for: mostly one.

use std::collections::{BTreeSet, VecDeque};

use super::operation::{Action, Operation};
use crate::limits::MAX_NAMES;
use crate::names::chunks;
use crate::stamp::{Dot, EntryStamp};

/// A field to set or remove, and the heads to name.
pub(super) struct FieldPlan<'a> {
    pub(super) field: &'a str,
    /// The encoded value, or `None` to remove the field.
    pub(super) value: Option<&'a [u8]>,
    pub(super) heads: BTreeSet<Dot>,
}

/// Returns the operations that name all heads, at most [`MAX_NAMES`] each; every one after the first
/// names the one before, as it writes existence again.
pub(super) fn write<'a>(
    key: &'a [u8],
    existence: Vec<Dot>,
    fields: impl IntoIterator<Item = FieldPlan<'a>>,
    first: u32,
) -> Vec<Operation<'a>> {
    let mut existence = VecDeque::from(existence);
    let mut queue: VecDeque<FieldPlan<'a>> = fields.into_iter().collect();
    let mut operations = Vec::new();
    for index in first.. {
        let own = Dot { entry: EntryStamp::PROVISIONAL.entry, index };
        let mut names: BTreeSet<Dot> = existence.drain(..existence.len().min(MAX_NAMES)).collect();
        let mut taken = Vec::new();
        while let Some(mut plan) = queue.pop_front() {
            let more = plan.heads.difference(&names).count();
            if names.len() + more <= MAX_NAMES {
                names.append(&mut plan.heads);
                taken.push((plan.field, plan.value));
                continue;
            }
            // One field with more heads than fit: write it now, and again with the next names.
            if taken.is_empty() && names.len() < MAX_NAMES {
                while names.len() < MAX_NAMES
                    && let Some(head) = plan.heads.pop_first()
                {
                    names.insert(head);
                }
                plan.heads.retain(|head| !names.contains(head));
                plan.heads.insert(own);
                taken.push((plan.field, plan.value));
            }
            queue.push_front(plan);
            break;
        }
        operations.push(Operation {
            key,
            names: names.into_iter().collect(),
            action: action(taken),
        });
        if existence.is_empty() && queue.is_empty() {
            break;
        }
        existence.push_front(own);
    }
    operations
}

fn action<'a>(mut taken: Vec<(&'a str, Option<&'a [u8]>)>) -> Action<'a> {
    taken.sort_unstable();
    let removed =
        taken.iter().filter(|(_, value)| value.is_none()).map(|(field, _)| *field).collect();
    let fields = taken.iter().filter_map(|(field, value)| Some((*field, (*value)?))).collect();
    Action::Write { fields, removed }
}

/// Returns the operations that delete a row.
pub(super) fn delete(key: &[u8], existence: Vec<Dot>, first: u32) -> Vec<Operation<'_>> {
    let chunks = chunks(existence, first).into_iter();
    chunks.map(|names| Operation { key, names, action: Action::Delete }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads(from: u8, count: u32) -> BTreeSet<Dot> {
        (0..count).map(|index| Dot { entry: [from; 32], index }).collect()
    }

    /// Returns the operations on a slot that no later one of them names, and the names they give there.
    fn left(operations: &[(Dot, &Operation<'_>)]) -> (usize, BTreeSet<Dot>) {
        let named: BTreeSet<Dot> =
            operations.iter().flat_map(|(_, operation)| operation.names.clone()).collect();
        (operations.iter().filter(|(own, _)| !named.contains(own)).count(), named)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_head_is_named_and_one_version_is_left(existence in 0..200_u32, first in 0..9_u32, fields in proptest::collection::vec((0..200_u32, 0..4_u8, any::<bool>()), 0..6)) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let plan = || names.iter().zip(&fields).map(|(field, (count, from, removed))| FieldPlan {
                field,
                value: (!removed).then_some(&[1][..]),
                heads: heads(*from, *count),
            });
            let operations = write(b"key", heads(0, existence).into_iter().collect(), plan(), first);
            let all: Vec<(Dot, &Operation<'_>)> = (first..).zip(&operations)
                .map(|(index, operation)| (Dot { entry: [0xff; 32], index }, operation)).collect();
            prop_assert!(operations.iter().all(|operation| operation.names.len() <= MAX_NAMES));
            let (last, named) = left(&all);
            prop_assert_eq!(last, 1);
            prop_assert!(named.is_superset(&heads(0, existence)));
            for plan in plan() {
                let touches = |operation: &Operation<'_>| match &operation.action {
                    Action::Write { fields, removed } => fields.contains(&(plan.field, &[1])) || removed.contains(&plan.field),
                    Action::Delete => false,
                };
                let here: Vec<_> = all.iter().filter(|(_, operation)| touches(operation)).copied().collect();
                let (last, named) = left(&here);
                prop_assert_eq!(last, 1);
                prop_assert!(named.is_superset(&plan.heads));
            }
        }
    }
}

//! Splits a write of a row over as many operations as the limits on names ask for: mostly one.
//! The values are written once, by the last operation, which supersedes the others.

use std::collections::BTreeSet;

use super::operation::{Action, Operation};
use crate::limits::{MAX_NAMED_SLOTS, MAX_NAMES};
use crate::names::chunks;
use crate::stamp::{Dot, Stamp};

/// One operation does the whole write unless it names more slots than this; then it pays to name
/// the heads of each field by themselves.
const WIDE: usize = MAX_NAMED_SLOTS / 16;
/// Fields with different heads share an operation up to this many slots named.
const PACKED: usize = 256;

/// A field to set or remove, and the heads it has.
pub(super) struct FieldPlan<'a> {
    pub(super) field: &'a str,
    /// The encoded value, or `None` to remove the field.
    pub(super) value: Option<&'a [u8]>,
    pub(super) heads: Vec<Stamp>,
}

/// A write of a row: existence and some fields.
pub(super) struct RowPlan<'a> {
    pub(super) key: &'a [u8],
    pub(super) existence: Vec<Stamp>,
    pub(super) fields: Vec<FieldPlan<'a>>,
}

impl<'a> RowPlan<'a> {
    /// Returns every head that the write replaces.
    pub(super) fn heads(&self) -> BTreeSet<Stamp> {
        let fields = self.fields.iter().flat_map(|plan| &plan.heads);
        self.existence.iter().chain(fields).copied().collect()
    }

    /// Returns operations that name every head since `oldest`, at most [`MAX_NAMES`] each.
    pub(super) fn operations(&self, oldest: &Stamp) -> Vec<Operation<'a>> {
        let fields = self.fields.iter().flat_map(|plan| since(&plan.heads, oldest));
        let mut names: BTreeSet<Dot> = since(&self.existence, oldest).chain(fields).collect();
        let mut operations = Vec::new();
        let wide = names.len() > 1 && names.len() * (1 + self.fields.len()) > WIDE;
        if names.len() > MAX_NAMES || wide {
            operations = self.clear(oldest);
            names.clear();
        }
        let names = names.into_iter().collect();
        operations.push(Operation { key: self.key, names, action: action(&self.fields) });
        operations
    }

    /// Returns operations that write nothing and remove fields only to name their heads.
    fn clear(&self, oldest: &Stamp) -> Vec<Operation<'a>> {
        let mut pieces = Vec::new();
        for plan in &self.fields {
            let heads: Vec<Dot> = since(&plan.heads, oldest).collect();
            let chunks = chunks(&heads).into_iter().filter(|chunk| !chunk.is_empty());
            pieces.extend(chunks.map(|chunk| (chunk, plan.field)));
        }
        pieces.sort_unstable();
        let mut groups: Vec<(BTreeSet<Dot>, Vec<&'a str>)> = Vec::new();
        for (heads, field) in pieces {
            match groups.last_mut() {
                Some((names, fields)) if fits(names, fields.len(), &heads) => {
                    names.extend(heads);
                    fields.push(field);
                }
                _ => groups.push((heads.into_iter().collect(), vec![field])),
            }
        }
        let named: BTreeSet<Dot> = groups.iter().flat_map(|(names, _)| names).copied().collect();
        let rest = since(&self.existence, oldest).filter(|head| !named.contains(head));
        let rest: Vec<Dot> = rest.collect();
        groups.extend(rest.chunks(MAX_NAMES).map(|rest| (rest.iter().copied().collect(), vec![])));
        let operation = |(names, mut removed): (BTreeSet<Dot>, Vec<&'a str>)| {
            removed.sort_unstable();
            let action = Action::Write { fields: Vec::new(), removed };
            Operation { key: self.key, names: names.into_iter().collect(), action }
        };
        groups.into_iter().map(operation).collect()
    }
}

/// Returns the names of the heads that are not older than `oldest`.
fn since(heads: &[Stamp], oldest: &Stamp) -> impl Iterator<Item = Dot> {
    heads.iter().filter(move |head| *head >= oldest).map(Stamp::dot)
}

/// Returns whether one more field joins an operation: it has the same heads, or few.
fn fits(names: &BTreeSet<Dot>, fields: usize, heads: &[Dot]) -> bool {
    let more = heads.iter().filter(|head| !names.contains(head)).count();
    let count = names.len() + more;
    (more == 0 && heads.len() == count)
        || (count <= MAX_NAMES && count * (1 + fields + 1) <= PACKED)
}

fn action<'a>(plans: &[FieldPlan<'a>]) -> Action<'a> {
    let mut taken: Vec<_> = plans.iter().map(|plan| (plan.field, plan.value)).collect();
    taken.sort_unstable();
    let removed =
        taken.iter().filter(|(_, value)| value.is_none()).map(|(field, _)| *field).collect();
    let fields = taken.iter().filter_map(|(field, value)| Some((*field, (*value)?))).collect();
    Action::Write { fields, removed }
}

/// Returns the operations that delete a row, and name every head of existence since `oldest`.
pub(super) fn delete<'a>(key: &'a [u8], existence: &[Stamp], oldest: &Stamp) -> Vec<Operation<'a>> {
    let heads: Vec<Dot> = since(existence, oldest).collect();
    let chunks = chunks(&heads).into_iter();
    chunks.map(|names| Operation { key, names, action: Action::Delete }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads(from: u8, count: u32) -> Vec<Stamp> {
        (0..count).map(|index| Stamp { time: u64::from(index), entry: [from; 32], index }).collect()
    }

    fn touches(operation: &Operation<'_>, field: &str) -> bool {
        match &operation.action {
            Action::Write { fields, removed } => {
                fields.iter().any(|(name, _)| *name == field) || removed.contains(&field)
            }
            Action::Delete => false,
        }
    }

    fn named<'a>(operations: impl Iterator<Item = &'a Operation<'a>>) -> BTreeSet<Dot> {
        operations.flat_map(|operation| operation.names.iter().copied()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_head_is_named_and_the_last_operation_writes_all(existence in 0..200_u32, oldest in 0..200_u64, fields in proptest::collection::vec((0..200_u32, 0..4_u8, any::<bool>()), 0..6)) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let plans = names.iter().zip(&fields).map(|(field, (count, from, removed))| FieldPlan {
                field,
                value: (!removed).then_some(&[1][..]),
                heads: heads(*from, *count),
            });
            let plan = RowPlan { key: b"key", existence: heads(0, existence), fields: plans.collect() };
            let oldest = Stamp { time: oldest, entry: [0; 32], index: 0 };
            let operations = plan.operations(&oldest);
            for operation in &operations {
                prop_assert!(operation.names.len() <= MAX_NAMES);
                prop_assert!(operation.names.len() * operation.slots() <= WIDE);
            }
            prop_assert!(named(operations.iter()).is_superset(&since(&plan.existence, &oldest).collect()));
            for field in &plan.fields {
                let here = operations.iter().filter(|operation| touches(operation, field.field));
                prop_assert!(named(here).is_superset(&since(&field.heads, &oldest).collect()));
            }
            let all = plan.heads();
            prop_assert!(named(operations.iter()).iter().all(|dot| all.iter().any(|head| head.dot() == *dot && *head >= oldest)));
            let (last, first) = operations.split_last().unwrap();
            prop_assert_eq!(&last.action, &action(&plan.fields));
            let empty = |operation: &Operation<'_>| matches!(&operation.action, Action::Write { fields, .. } if fields.is_empty());
            prop_assert!(first.iter().all(empty));
        }
    }

    #[test]
    fn many_fields_with_a_head_each_cost_few_slots() {
        let names: Vec<String> = (0..10_000).map(|field| format!("{field:05}")).collect();
        let plans = names.iter().zip(heads(1, 10_000)).map(|(field, head)| FieldPlan {
            field,
            value: Some(&[1]),
            heads: vec![head],
        });
        let plan = RowPlan { key: b"key", existence: heads(1, 1), fields: plans.collect() };
        let operations = plan.operations(&Stamp { time: 0, entry: [0; 32], index: 0 });
        let cost: usize =
            operations.iter().map(|operation| operation.names.len() * operation.slots()).sum();
        assert!(cost <= MAX_NAMED_SLOTS, "{cost}");
    }
}

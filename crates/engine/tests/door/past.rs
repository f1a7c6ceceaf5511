//! A view of the past is what a fresh replica of the ancestors holds; steps lead from nothing to now.

use std::sync::Arc;

use weald_crdt::Area;
use weald_dag::{EntryId, Graph, KeyRange, Number, Order, Snapshot};
use weald_engine::{StoreTypes, past, row_steps, space_of, state_digest, store_steps};

use crate::site::{NOW, Site, forked_history, rows_in};

/// Returns a replica that holds the ancestors of these entries and nothing else.
fn only(site: &Site, id: weald_dag::DatabaseId, tips: &[Number]) -> Site {
    let snapshot = site.store.snapshot().unwrap();
    let graph = Graph::new(&*snapshot, site.number(id));
    let ancestors = graph.ancestors(tips).unwrap();
    let parcels = ancestors.into_iter().map(|number| graph.stored(number).unwrap().parcel);
    let mut fresh = Site::new();
    fresh.ingest(id, parcels.collect(), NOW);
    fresh
}

#[test]
fn the_past_is_a_fresh_fold_of_the_ancestors() {
    let (site, _, id) = forked_history(8);
    let (database, types) = (site.number(id), StoreTypes::built_in());
    let newest = site.all(id).len() as u64 - 1;
    for first in 0..=newest {
        for second in [first, (first * 7 + 3) % (newest + 1)] {
            let tips = [Number(first), Number(second)];
            let snapshot: Arc<dyn Snapshot> = site.store.snapshot().unwrap();
            let rows = past(snapshot, database, &types, &tips).unwrap();
            let fresh = only(&site, id, &tips);
            let expected = fresh.digest(id);
            assert_eq!(state_digest(&rows, database).unwrap(), expected, "{tips:?}");
        }
    }
}

#[test]
fn steps_lead_from_nothing_to_what_is_there() {
    let (site, _, id) = forked_history(8);
    let (database, types) = (site.number(id), StoreTypes::built_in());
    let rows = site.rows();
    assert!(rows_in(&site, "history", database) > 0);
    let steps = store_steps(&rows, database, &types, ("table", "table")).unwrap();
    let mut shown = std::collections::BTreeMap::new();
    let mut seen = std::collections::BTreeSet::<EntryId>::new();
    for step in &steps {
        assert!(seen.insert(step.entry));
        for (key, values) in &step.rows {
            assert_eq!(shown.get(key), values.before.as_ref());
            match &values.after {
                Some(row) => shown.insert(key.clone(), row.clone()),
                None => shown.remove(key),
            };
        }
    }
    let mut now = std::collections::BTreeMap::new();
    let prefix = b"\x05table\x05table";
    let space = space_of(Area::State, database);
    rows.range(space, KeyRange::prefix(prefix), Order::Ascending, &mut |key, row| {
        now.insert(key[prefix.len()..].to_vec(), row.to_vec());
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(shown, now);
    for (key, row) in &now {
        let of_row = row_steps(&rows, database, &types, ("table", "table"), key).unwrap();
        let all = steps.iter().filter(|step| step.rows.iter().any(|(other, _)| other == key));
        assert_eq!(of_row.len(), all.count());
        assert_eq!(of_row.last().unwrap().values.after.as_ref(), Some(row));
        assert_eq!(of_row.first().unwrap().values.before, None);
    }
    let chat = store_steps(&rows, database, &types, ("chat", "log")).unwrap();
    assert_eq!(chat.iter().map(|step| step.rows.len()).sum::<usize>(), chat.len());
}

//! A store type of an app: the ten best scores. The book explains it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use serde::{Deserialize, Serialize};
use weald::Value;
use weald::own::{
    ApplyError, Area, Change, ChangeKind, EntryStamp, Stamp, StoreType, View, ViewError, ViewMut,
    Void, operations,
};

pub const PLACES: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub player: String,
    pub points: u32,
}

pub fn score(player: &str, points: u32) -> Score {
    Score { player: player.to_owned(), points }
}

/// Merges score boards.
#[derive(Clone, Copy, Debug)]
pub struct TopTen;

impl TopTen {
    pub const NAME: &'static str = "top-ten";
}

fn scores(payload: &[u8]) -> Result<Vec<Score>, Void> {
    let operations = operations(payload, TopTen::NAME, 1)?;
    let score = |(index, operation): (u32, Value)| {
        operation.to_serde().map_err(|error| Void::Operation { index, reason: error.to_string() })
    };
    (0..).zip(operations).map(score).collect()
}

fn key(score: &Score, stamp: &Stamp) -> Vec<u8> {
    let mut key = (u32::MAX - score.points).to_be_bytes().to_vec();
    key.extend(stamp.time.to_be_bytes());
    key.extend(stamp.entry);
    key.extend(stamp.index.to_be_bytes());
    key
}

fn rows(view: &(impl View + ?Sized)) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ViewError> {
    let mut rows = BTreeMap::new();
    view.range(Area::State, Bound::Unbounded, Bound::Unbounded, false, &mut |key, row| {
        rows.insert(key.to_vec(), row.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

impl StoreType for TopTen {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        scores(payload).map(drop)
    }

    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        let new = scores(payload)?;
        let before = rows(view)?;
        let mut after = before.clone();
        for (index, score) in (0..).zip(new) {
            after.insert(key(&score, &entry.at(index)), score.player.into_bytes());
        }
        while after.len() > PLACES {
            after.pop_last();
        }
        for (key, row) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
            view.put(Area::State, key, row.clone());
            let kind = ChangeKind::Created;
            changes.push(Change { key: key.clone(), kind, conflict: None });
        }
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            view.remove(Area::State, key);
            let kind = ChangeKind::Removed;
            changes.push(Change { key: key.clone(), kind, conflict: None });
        }
        Ok(())
    }

    fn show(&self, key: &[u8], row: &[u8]) -> Option<Value> {
        let score = read(key, row)?;
        Some(Value::from([
            ("player", Value::from(score.player)),
            ("points", Value::from(score.points)),
        ]))
    }
}

fn read(key: &[u8], row: &[u8]) -> Option<Score> {
    let points = u32::MAX - u32::from_be_bytes(*key.first_chunk()?);
    Some(Score { player: String::from_utf8(row.to_vec()).ok()?, points })
}

/// Returns the best scores, best first.
pub fn top(view: &(impl View + ?Sized)) -> Result<Vec<Score>, ViewError> {
    Ok(rows(view)?.iter().filter_map(|(key, row)| read(key, row)).collect())
}

//! Writing JSON Lines.
//!
//! Invariant: they hold the values of one moment, each row of a known type in a line of its own, and
//! what could not be written is told.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;
use weald_crdt::{
    Area, CounterType, DocType, Key, LogType, RowError, SetType, StoreType, TableType, Value, View,
    doc, log, table,
};
use weald_dag::{EntryId, StoreError, Time};
use weald_engine::{
    StoreName, StorePlace, StoreView, sealed_stores, store_error, stores, unfolded_stores,
};

use super::super::error::ExportError;
use super::super::meter::{Meter, TransferProgress};
use super::JSON_PROGRESS_LINES;
use super::line::{
    FORMAT, Header, HeaderStore, Line, StoreRows, VERSION, bytes_to_json, item_to_json, key_to_json,
};
#[cfg(feature = "text")]
use super::text_part::spans_to_json;
use crate::database::Database;
use crate::error::ReadError;
use crate::rows::Rows;
#[cfg(feature = "text")]
use crate::store_ref::StoreRef;
#[cfg(feature = "text")]
use crate::text::{Text, TextType, stretches};

/// How many items of a log are read at a time.
const LOG_PAGE: usize = 256;

/// How JSON Lines are written.
#[derive(Debug, Default)]
pub struct JsonExport<'a> {
    meter: Meter<'a>,
    stores: Option<BTreeSet<String>>,
}

impl<'a> JsonExport<'a> {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the stores with these names alone. All by default.
    #[must_use]
    pub fn stores<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.stores = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Calls back every [`crate::JSON_PROGRESS_LINES`] lines and at the end; breaking ends the
    /// export. Nobody is told by default.
    #[must_use]
    pub fn progress(mut self, call: impl FnMut(TransferProgress) -> ControlFlow<()> + 'a) -> Self {
        self.meter.call(call);
        self
    }

    fn wants(&self, store: &str) -> bool {
        !store.starts_with('_') && self.stores.as_ref().is_none_or(|names| names.contains(store))
    }
}

/// What an export to JSON Lines has written, and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonExportReport {
    /// How many rows were written, each in a line.
    pub rows: u64,
    /// How long the file is, in bytes.
    pub bytes: u64,
    /// The stores of which rows were written that an import leaves out: those of the app's own types.
    pub one_way: Vec<StoreRows>,
    /// The stores of which rows, or whole sections, were not written: nothing here knows what they
    /// say.
    pub left_out: Vec<StoreRows>,
}

impl Database {
    /// Writes all values as JSON Lines: a header, then an object for each row of a table, item of a
    /// log, value of a document, counter, member of a set and part of a text, with `store`, `type`,
    /// `key` and `value`.
    ///
    /// It holds one moment of the database. Rows are written as they are read; of documents, one at a
    /// time is held in memory. Of values that stand side by side in a conflict the one that reading
    /// gives is written. It blocks, so call it off the threads of an async runtime. Disk pages that
    /// are freed meanwhile are used again only after it.
    ///
    /// # Errors
    /// [`ExportError`]; the lines that were written then are not all.
    pub fn export_json(&self, writer: impl Write) -> Result<JsonExportReport, ExportError> {
        self.export_json_with(writer, JsonExport::new())
    }

    /// As [`Database::export_json`], with other options.
    ///
    /// # Errors
    /// As for [`Database::export_json`], and [`ExportError::Cancelled`].
    pub fn export_json_with(
        &self,
        writer: impl Write,
        options: JsonExport<'_>,
    ) -> Result<JsonExportReport, ExportError> {
        let rows = self.core().rows()?;
        let mut all = stores(&rows, self.number())?;
        for store in sealed_stores(&rows, self.number())? {
            all.retain(|name| name.store != store);
            if options.wants(&store) {
                let type_name = self.core().vault.type_of(self.number(), &store);
                let locked = || ReadError::Locked { store: store.clone() };
                let type_name = type_name.ok_or_else(locked)?;
                all.push(StoreName { store, type_name });
            }
        }
        all.retain(|name| options.wants(&name.store));
        let mut report = JsonExportReport::default();
        for (name, count) in unfolded_stores(&rows, self.number())? {
            if options.wants(&name.store) {
                report.left_out.push(told(&name, count));
            }
        }
        let mut export =
            Export { database: self, rows, writer, meter: options.meter, report, failure: None };
        export.header(&all)?;
        for name in &all {
            export.store(name)?;
        }
        export.writer.flush()?;
        export.meter.tell()?;
        export.report.bytes = export.meter.progress.bytes;
        export.report.rows = export.meter.progress.items;
        Ok(export.report)
    }
}

fn told(name: &StoreName, rows: u64) -> StoreRows {
    let StoreName { store, type_name } = name.clone();
    StoreRows { store, type_name, rows }
}

/// JSON Lines on their way out.
struct Export<'a, W> {
    database: &'a Database,
    rows: Rows,
    writer: W,
    meter: Meter<'a>,
    report: JsonExportReport,
    /// Why a visit of rows was ended.
    failure: Option<ExportError>,
}

impl<W: Write> Export<'_, W> {
    fn header(&mut self, stores: &[StoreName]) -> Result<(), ExportError> {
        let stores = stores.iter().cloned();
        let stores = stores.map(|StoreName { store, type_name }| HeaderStore { store, type_name });
        self.put(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            database: Some(self.database.id().to_string()),
            name: self.database.name(),
            stores: stores.collect(),
        })
    }

    fn put(&mut self, line: &impl Serialize) -> Result<(), ExportError> {
        let mut text = serde_json::to_vec(line).map_err(std::io::Error::from)?;
        text.push(b'\n');
        self.writer.write_all(&text)?;
        self.meter.progress.bytes += text.len() as u64;
        Ok(())
    }

    fn row(&mut self, line: &Line<'_>) -> Result<(), ExportError> {
        self.put(line)?;
        self.meter.progress.items += 1;
        if self.meter.progress.items.is_multiple_of(JSON_PROGRESS_LINES) {
            self.meter.tell()?;
        }
        Ok(())
    }

    /// Keeps an error for after the visit of rows that it ends.
    fn flow(&mut self, done: Result<(), ExportError>) -> ControlFlow<()> {
        let Err(error) = done else { return ControlFlow::Continue(()) };
        self.failure = Some(error);
        ControlFlow::Break(())
    }

    fn store(&mut self, name: &StoreName) -> Result<(), ExportError> {
        let rows = self.rows.clone();
        let (types, named) = (&self.database.core().types, (&*name.store, &*name.type_name));
        let place = StorePlace::of(&rows, types, self.database.number(), named)?;
        let view = StoreView::new(&rows, place);
        match name.type_name.as_str() {
            TableType::NAME => self.table(name, &view)?,
            LogType::NAME => self.log(name, &view)?,
            DocType::NAME => self.doc(name, &view)?,
            CounterType::NAME => self.shown(name, &view, &CounterType, &|key| {
                Key::decode(key).map_or_else(|_| bytes_to_json(key), |key| key_to_json(&key))
            })?,
            // A member is its own key, so the value says all.
            SetType::NAME => self.shown(name, &view, &SetType, &|_| Json::Null)?,
            #[cfg(feature = "text")]
            TextType::NAME => self.text(name)?,
            other => {
                let known = self.database.core().types.get(other).map(Arc::clone);
                self.other(name, &view, known.as_deref())?;
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    fn table(&mut self, name: &StoreName, view: &dyn View) -> Result<(), ExportError> {
        let all = Bound::Unbounded;
        let visited = table::range(view, all, all, false, &mut |key, row| {
            let line = value_of(&row.value)
                .and_then(|value| self.row(&line(name, key_to_json(&key), value)));
            self.flow(line)
        });
        Ok(visited.map_err(ReadError::from)?)
    }

    fn log(&mut self, name: &StoreName, view: &dyn View) -> Result<(), ExportError> {
        let mut after = None;
        loop {
            let items = log::after(view, after.as_ref(), LOG_PAGE).map_err(ReadError::from)?;
            let Some(last) = items.last() else { return Ok(()) };
            after = Some(last.stamp);
            for item in &items {
                let (core, entry) = (self.database.core(), EntryId::from_bytes(item.stamp.entry));
                let author = core.author(&self.rows, self.database.number(), &entry)?;
                let mut line = line(name, item_to_json(&item.stamp), value_of(&item.value)?);
                line.author = Some(author.to_string());
                line.time = Some(Time::from_raw(item.stamp.time).millis());
                self.row(&line)?;
            }
        }
    }

    fn doc(&mut self, name: &StoreName, view: &dyn View) -> Result<(), ExportError> {
        let value = doc::to_value(view).map_err(ReadError::from)?;
        self.leaves(name, &mut Vec::new(), &value)
    }

    #[cfg(feature = "text")]
    fn text(&mut self, name: &StoreName) -> Result<(), ExportError> {
        let (core, database) = (self.database.core(), self.database.number());
        let rows = self.rows.clone();
        let store = StoreRef::open_at(core, database, rows, &name.store, TextType::NAME)?;
        for (start, spans) in stretches(Text::new(store).rich()?) {
            self.row(&line(name, Json::from(start), spans_to_json(&spans)?))?;
        }
        Ok(())
    }

    /// Writes the values of a document that are no maps, and maps that are empty.
    fn leaves(
        &mut self,
        name: &StoreName,
        path: &mut Vec<Json>,
        value: &Value,
    ) -> Result<(), ExportError> {
        match value {
            Value::Map(map) if !map.is_empty() => {
                for (key, value) in map {
                    path.push(Json::from(key.as_str()));
                    self.leaves(name, path, value)?;
                    path.pop();
                }
                Ok(())
            }
            Value::Map(_) if path.is_empty() => Ok(()),
            value => self.row(&line(name, Json::Array(path.clone()), value_of(value)?)),
        }
    }

    /// Writes rows of a type whose rows each say one value.
    fn shown(
        &mut self,
        name: &StoreName,
        view: &dyn View,
        store_type: &dyn StoreType,
        key_of: &dyn Fn(&[u8]) -> Json,
    ) -> Result<(), ExportError> {
        let all = Bound::Unbounded;
        let visited = view.range(Area::State, all, all, false, &mut |key, row| {
            let done = match store_type.show(key, row) {
                Some(value) => {
                    value_of(&value).and_then(|value| self.row(&line(name, key_of(key), value)))
                }
                None => Err(damaged(key)),
            };
            self.flow(done)
        });
        visited.map_err(|error| store_error(&error).into())
    }

    /// Writes rows by what a type of the app says of them.
    fn other(
        &mut self,
        name: &StoreName,
        view: &dyn View,
        known: Option<&dyn StoreType>,
    ) -> Result<(), ExportError> {
        let (mut shown, mut hidden) = (0, 0);
        let all = Bound::Unbounded;
        let visited = view.range(Area::State, all, all, false, &mut |key, row| {
            let Some(value) = known.and_then(|known| known.show(key, row)) else {
                hidden += 1;
                return ControlFlow::Continue(());
            };
            shown += 1;
            let done =
                value_of(&value).and_then(|value| self.row(&line(name, bytes_to_json(key), value)));
            self.flow(done)
        });
        visited.map_err(|error| store_error(&error))?;
        for (count, told_in) in
            [(shown, &mut self.report.one_way), (hidden, &mut self.report.left_out)]
        {
            if count > 0 {
                told_in.push(told(name, count));
            }
        }
        Ok(())
    }
}

fn line(name: &StoreName, key: Json, value: Json) -> Line<'_> {
    let (store, type_name) = (Cow::from(&name.store), Cow::from(&name.type_name));
    Line { store, type_name, key, value, author: None, time: None }
}

fn damaged(key: &[u8]) -> ExportError {
    ReadError::from(weald_crdt::ReadError::from(RowError { key: key.to_vec() })).into()
}

pub(super) fn value_of(value: &Value) -> Result<Json, ExportError> {
    // Only not-a-number has no form, and that is never stored.
    value.to_json().map_err(|error| StoreError::Corrupt { what: error.to_string() }.into())
}

//! A line of a text: the position that it begins at, and what stands there, with its marks.
//!
//! Invariant: a line is read back as the characters and marks that were written.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use weald_crdt::Value;

use super::error::BadLineReason;
use super::export::value_of;
use super::line::Line;
use crate::error::WriteError;
use crate::text::TextSpan;
use crate::transaction::Transaction;
use crate::transfer::error::ExportError;

/// What a line puts into a text, in the place of all that there is from a position on.
#[derive(Clone, Debug)]
pub(super) struct TextPart {
    position: usize,
    spans: Vec<TextSpan>,
}

/// Writes a stretch: one without marks as it is, another as a list.
pub(super) fn spans_to_json(spans: &[TextSpan]) -> Result<Json, ExportError> {
    if spans.iter().all(|span| span.marks.is_empty()) {
        return Ok(spans.iter().map(|span| span.text.as_str()).collect::<String>().into());
    }
    let one = |TextSpan { text, marks }: &TextSpan| {
        if marks.is_empty() {
            return Ok(json!({ "text": text }));
        }
        let marks = value_of(&Value::Map(marks.clone()))?;
        Ok(json!({ "text": text, "marks": marks }))
    };
    spans.iter().map(one).collect()
}

impl TextPart {
    pub(super) fn of(line: &Line<'_>) -> Result<Self, BadLineReason> {
        let position = match &line.key {
            Json::Null => Some(0),
            key => key.as_u64().and_then(|position| usize::try_from(position).ok()),
        };
        let position = position.ok_or(BadLineReason::Text)?;
        let spans = match Value::from_json(&line.value)? {
            Value::Text(text) => vec![TextSpan { text, marks: BTreeMap::new() }],
            Value::List(spans) => {
                let spans = spans.into_iter().map(span).collect::<Option<_>>();
                spans.ok_or(BadLineReason::Text)?
            }
            _ => return Err(BadLineReason::Text),
        };
        Ok(Self { position, spans })
    }

    pub(super) fn write(&self, tx: &mut Transaction, store: &str) -> Result<(), WriteError> {
        tx.text(store)?.write_stretch(self.position, &self.spans)
    }

    /// Returns whether something is there already, or the part before it is not: then the text is
    /// another one, and this is no part of it.
    pub(super) fn exists(&self, tx: &mut Transaction, store: &str) -> Result<bool, WriteError> {
        Ok(tx.text(store)?.len()? != self.position)
    }
}

fn span(value: Value) -> Option<TextSpan> {
    let Value::Map(mut fields) = value else { return None };
    let Some(Value::Text(text)) = fields.remove("text") else { return None };
    let marks = match fields.remove("marks") {
        Some(Value::Map(marks)) => marks,
        Some(_) => return None,
        None => BTreeMap::new(),
    };
    fields.is_empty().then_some(TextSpan { text, marks })
}

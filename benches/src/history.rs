//! A commit graph as it stands in a file: one JSON array a line, parents first,
//! `[parent line numbers from 0, author number, unix seconds, subject]`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;

/// One line of a history.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Line(pub(crate) Vec<usize>, pub(crate) u64, pub(crate) i64, pub(crate) String);

/// A whole history, parents before children.
pub(crate) struct History {
    pub(crate) lines: Vec<Line>,
}

impl History {
    /// Reads a file, compressed by gzip or not.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let gz = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn Read> =
            if gz { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut lines: Vec<Line> = Vec::new();
        for (number, text) in BufReader::new(reader).lines().enumerate() {
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            let line: Line = serde_json::from_str(&text).with_context(|| {
                format!("line {number} is not [parents, author, seconds, subject]")
            })?;
            if let Some(parent) = line.0.iter().find(|parent| **parent >= lines.len()) {
                bail!(
                    "line {number} names line {parent} as a parent, which does not stand before it"
                );
            }
            lines.push(line);
        }
        Ok(Self { lines })
    }

    /// Makes a history of `n` lines with branches and merges, the same in every run.
    pub(crate) fn generated(n: usize) -> Self {
        let line = |i: usize| {
            let parents = match i {
                0 => vec![],
                _ if i.is_multiple_of(7) && i > 20 => vec![i - 13, i - 1],
                _ if i.is_multiple_of(5) && i > 10 => vec![i - 6],
                _ => vec![i - 1],
            };
            Line(parents, i as u64 % 97, 1_400_000_000 + i as i64 * 60, format!("change {i}"))
        };
        Self { lines: (0..n).map(line).collect() }
    }

    pub(crate) fn merges(&self) -> usize {
        self.lines.iter().filter(|line| line.0.len() > 1).count()
    }
}

//! Editing traces: what people typed into a text, in the two forms in which such files come.
//!
//! A linear one is `{startContent, endContent, txns: [{patches}]}`, a concurrent one `{endContent,
//! numAgents, txns: [{parents, agent, patches}]}`; a patch is `[position, deleted, inserted]`, with
//! positions in unicode scalar values.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

/// One edit: position, characters deleted there, text inserted there.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Patch(pub(crate) usize, pub(crate) usize, pub(crate) String);

/// Edits that were made at once.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    /// The steps that it had seen; of a linear trace all before.
    #[serde(default)]
    pub(crate) parents: Vec<usize>,
    #[serde(default)]
    pub(crate) agent: usize,
    pub(crate) patches: Vec<Patch>,
}

/// A whole trace.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    #[serde(default)]
    pub(crate) start_content: String,
    pub(crate) end_content: String,
    /// Only of a concurrent trace.
    pub(crate) num_agents: Option<usize>,
    #[serde(rename = "txns")]
    pub(crate) steps: Vec<Step>,
}

impl Trace {
    /// Reads a file, compressed by gzip or not.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let gz = path.extension().is_some_and(|extension| extension == "gz");
        let mut reader: Box<dyn Read> =
            if gz { Box::new(GzDecoder::new(file)) } else { Box::new(BufReader::new(file)) };
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let trace: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not an editing trace", path.display()))?;
        let agents = trace.num_agents.unwrap_or(1);
        for (number, step) in trace.steps.iter().enumerate() {
            ensure!(
                step.parents.iter().all(|parent| *parent < number),
                "step {number} has a parent that does not stand before it"
            );
            ensure!(step.agent < agents, "step {number} is of agent {}, of {agents}", step.agent);
        }
        Ok(trace)
    }

    /// Makes a linear trace of this many edits, the same in every run.
    pub(crate) fn linear(edits: usize) -> Self {
        let (mut text, mut drawn) = (Vec::new(), Drawn(1));
        let mut steps = Vec::new();
        for _ in 0..edits {
            let patch = drawn.patch(&mut text);
            steps.push(Step { parents: Vec::new(), agent: 0, patches: vec![patch] });
        }
        Self {
            start_content: String::new(),
            end_content: text.into_iter().collect(),
            num_agents: None,
            steps,
        }
    }

    /// Returns how many edits there are.
    pub(crate) fn edits(&self) -> u64 {
        self.steps.iter().map(|step| step.patches.len() as u64).sum()
    }
}

/// Numbers that look random.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    /// Draws an edit, and makes it.
    fn patch(&mut self, text: &mut Vec<char>) -> Patch {
        let at = self.below(text.len() + 1);
        if self.below(4) == 0 && at < text.len() {
            text.remove(at);
            return Patch(at, 1, String::new());
        }
        let inserted = ["a", "é", "word ", "🎉"].get(self.below(4)).copied().unwrap_or("x");
        text.splice(at..at, inserted.chars());
        Patch(at, 0, inserted.to_owned())
    }
}

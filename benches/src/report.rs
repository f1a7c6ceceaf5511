//! Figures as they are printed: one line each, JSON or for people.

use serde::Serialize;

/// One measured figure.
#[derive(Serialize)]
struct Figure<'a> {
    case: &'a str,
    peer: &'a str,
    n: u64,
    value: f64,
    unit: &'a str,
}

/// Prints figures of one case.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    case: &'static str,
    json: bool,
}

impl Report {
    pub(crate) const fn new(case: &'static str, json: bool) -> Self {
        Self { case, json }
    }

    /// Prints the figures of another case in the same way.
    pub(crate) const fn of(&self, case: &'static str) -> Self {
        Self { case, json: self.json }
    }

    /// Prints what `peer` measured at size `n`.
    #[allow(clippy::print_stdout)] // printing figures is what the program is for
    pub(crate) fn figure(&self, peer: &str, n: u64, value: f64, unit: &str) {
        let figure = Figure { case: self.case, peer, n, value, unit };
        if self.json {
            println!("{}", serde_json::to_string(&figure).unwrap_or_default());
        } else {
            println!("{:16} {peer:14} n={n:<9} {value:>14.3} {unit}", self.case);
        }
    }

    /// Prints a state digest of `peer` at size `n`, in hexadecimal.
    #[allow(clippy::print_stdout)]
    pub(crate) fn digest(&self, peer: &str, n: u64, digest: &str) {
        if self.json {
            let unit = "state digest";
            let line = serde_json::json!({
                "case": self.case, "peer": peer, "n": n, "value": digest, "unit": unit,
            });
            println!("{line}");
        } else {
            println!("{:16} {peer:14} n={n:<9} state digest {digest}", self.case);
        }
    }

    /// Prints a text beside the figures, for people only.
    #[allow(clippy::print_stdout)]
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            println!("{:16} {text}", self.case);
        }
    }
}

/// Returns the value below which `share` of the sorted values lie.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let place = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

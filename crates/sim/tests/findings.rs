//! What worlds have found: each by name, in a world that shows it.
#![allow(clippy::panic)]

use weald_sim::{Plan, run};

/// Found by seeds 0, 20 and 70: two sites asked each other for a database that neither held; the
/// refusal of one crossed the offer that the other made once it held all, and ended it.
#[test]
fn a_refusal_that_crosses_an_offer_ends_nothing() {
    for seed in 0..20 {
        let outcome = run(Plan { sites: 4, commits: 3, ..Plan::calm(seed) }, false);
        if let Some(finding) = outcome.finding {
            panic!("seed {seed}: {finding}");
        }
    }
}

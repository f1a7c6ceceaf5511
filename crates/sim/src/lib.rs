//! A deterministic world in which instances sync, crash and heal.
//!
//! A [`Plan`] is drawn from a seed, [`run`] lets its world take its course in virtual time: sites
//! commit and sync through the real door and real sessions, over simulated wires and disks, while
//! links are cut, frames tampered with and sites lose power. Then all is mended, and all sites must
//! come to hold the same, nothing acknowledged may be lost, and silence must follow. An
//! [`Outcome`] says what was found; equal seeds give equal traces.
//!
//! It is a test bed and no part of what an app uses: no threads, no sockets, no clock.
//!
//! ```
//! use weald_sim::{Plan, run};
//!
//! let outcome = run(Plan::calm(1), false);
//! assert!(outcome.finding.is_none());
//! assert_eq!(outcome.trace.hash(), run(Plan::calm(1), false).trace.hash());
//! ```

mod chance;
mod clock;
mod counts;
mod dials;
mod disk;
mod drawing;
mod fault;
mod finding;
mod founding;
mod lie;
mod network;
mod oracle;
mod outside;
mod permits;
mod plan;
mod port;
mod reads;
mod schedule;
mod site;
mod trace;
mod twist;
mod work;
mod workload;
mod world;
mod writer;

pub use clock::WrongClock;
pub use counts::Counts;
pub use finding::Finding;
pub use lie::Lie;
pub use plan::{Faults, Plan, Topology};
pub use trace::Trace;
pub use world::{Outcome, run};

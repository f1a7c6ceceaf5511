//! The door as a whole, through its public functions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod checking;
mod later;
mod merging;
mod past;
mod sealed;
mod site;
mod verdicts;

//! Which entries are visible, needed and tips, and the state that follows from it, as authority is
//! given and taken away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod ladder;
mod laws;
mod scenarios;
mod site;
mod world;

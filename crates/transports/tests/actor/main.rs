//! Instances that sync through their actors, over memory and over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod attacker;
mod authority;
mod bad_input;
mod failing;
mod health;
mod hostile;
mod limited;
mod mesh;
mod outliving;
mod site;
mod sync;
mod wires;

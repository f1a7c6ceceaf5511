//! What somebody who follows no rule can send to an instance, and what it finds out: nothing of it
//! gets in, and nothing honest is kept out by it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod forged;
mod keys;
mod scene;

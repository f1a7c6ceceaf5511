//! The authority of a database against a naive oracle, its laws over random graphs, and scenarios.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::cast_possible_truncation)]
mod compare;
mod golden;
mod grants;
mod graph;
mod laws;
mod oracle;
mod powers;
mod random;
mod replica;
mod scenarios;
mod world;

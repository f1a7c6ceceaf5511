//! What the format and the graph promise: golden bytes, laws over random input, limits at their
//! bounds, edge cases of signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::cast_possible_truncation)]
mod coding;
mod domains;
mod door;
mod golden;
mod ladder;
mod limits;
mod make;
mod overlay;
mod pending;
mod rows;
mod signatures;
mod walks;

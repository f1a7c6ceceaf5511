//! The guide's Rust blocks, compiled and run.

//! Scenarios across crates and processes.

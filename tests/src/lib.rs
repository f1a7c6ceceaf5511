//! Scenarios across crates and processes: everything is in `tests/`.

//! A deterministic world in which instances sync, crash and heal.

//! What two peers say until they hold the same entries.

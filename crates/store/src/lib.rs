//! The redb store: one writer thread, group commit, snapshots.

//! The number of a settings entry on this replica.

/// The place of a settings entry among those accepted, in causal order; the root is 0. Numbers are
/// local to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingsIndex(pub u64);

//! What is done with requests for access to a database.

/// What this device does with requests for access to a database; kept on this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestPolicy {
    /// Answers as if the database were not there, whatever is asked and whoever asks.
    Refuse,
    /// Approves what the key holds already, by itself or because anyone does; answers everything else as if
    /// the database were not there. The default.
    #[default]
    Covered,
    /// As [`RequestPolicy::Covered`], but what is not covered waits for an administrator to decide.
    Queue,
}

impl RequestPolicy {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Refuse => 0,
            Self::Covered => 1,
            Self::Queue => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Refuse),
            1 => Some(Self::Covered),
            2 => Some(Self::Queue),
            _ => None,
        }
    }
}

//! Configurations of transports, kept under the names that the app gives its transports.
//!
//! Invariant: a row is written when what it says changes and never otherwise; one of another kind is neither
//! read nor replaced as if it were of this one.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use weald_crdt::{Key, Value, ValueError};

use super::PeerSync;
use super::rows::SyncRows;
use crate::error::Error;
use crate::system;

const CONFIGS: &str = "transports";

/// The greatest length of the name of a kept configuration, in bytes.
pub const TRANSPORT_NAME_MAX: usize = 128;

/// The configuration of a transport, as [`PeerSync::save_transport_config`] keeps it.
///
/// ```
/// # fn main() -> Result<(), weald::Error> {
/// use serde::{Deserialize, Serialize};
/// use weald::{Instance, TransportConfig};
///
/// #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
/// struct Radio {
///     channel: u32,
/// }
///
/// impl TransportConfig for Radio {
///     const KIND: &'static str = "radio";
/// }
///
/// let sync = Instance::in_memory()?.enable_sync()?;
/// assert_eq!(sync.transport_config::<Radio>("roof")?, Radio::default());
/// sync.save_transport_config("roof", &Radio { channel: 7 })?;
/// assert_eq!(sync.transport_config::<Radio>("roof")?.channel, 7);
/// # Ok(())
/// # }
/// ```
pub trait TransportConfig: Serialize + DeserializeOwned + Default {
    /// What tells it from configurations of other transports, such as `http`.
    const KIND: &'static str;
}

/// Why a configuration is not read or kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportConfigError {
    /// What is kept under the name is the configuration of another kind of transport.
    #[error(
        "the configuration '{name}' is of kind {found}, not {expected}: use another name, or remove that one first"
    )]
    Kind {
        /// The name asked for.
        name: String,
        /// The kind that is kept.
        found: String,
        /// The kind asked for.
        expected: &'static str,
    },
    /// What is kept is of the kind, and not of the type any more.
    #[error(
        "the configuration '{name}' does not fit its type: give new fields a default, or remove it and save it anew"
    )]
    Misfit {
        /// The name asked for.
        name: String,
        /// What does not fit.
        #[source]
        source: ValueError,
    },
    /// It cannot be stored.
    #[error(
        "the configuration cannot be stored: use plain fields of text, numbers, lists and maps"
    )]
    Value(#[source] ValueError),
    /// The name cannot be used.
    #[error("a transport's name has 1 to {TRANSPORT_NAME_MAX} bytes: choose another")]
    Name,
}

/// A configuration at rest.
#[derive(Serialize, Deserialize, PartialEq)]
struct ConfigRow {
    kind: String,
    config: Value,
}

/// The way to the rows; one writes at a time, so that each sees what the one before wrote.
pub(super) struct TransportConfigs {
    rows: Arc<SyncRows>,
    saving: Mutex<()>,
}

impl TransportConfigs {
    pub(super) const fn new(rows: Arc<SyncRows>) -> Self {
        Self { rows, saving: Mutex::new(()) }
    }
}

impl PeerSync {
    /// Keeps the configuration of a transport under a name, in place of what was kept there.
    ///
    /// It rests on this device and is given to no peer. Nothing is written when nothing has changed.
    ///
    /// # Errors
    /// [`TransportConfigError`], or when it cannot be stored.
    pub fn save_transport_config<T: TransportConfig>(
        &self,
        name: &str,
        config: &T,
    ) -> Result<(), Error> {
        check_name(name)?;
        let config = Value::from_serde(config).map_err(TransportConfigError::Value)?;
        let row = ConfigRow { kind: T::KIND.to_owned(), config };
        let _saving = self.configs.saving.lock().unwrap_or_else(PoisonError::into_inner);
        match self.config_row(name)? {
            Some(kept) if kept == row => Ok(()),
            Some(kept) => {
                check_kind::<T>(name, &kept)?;
                self.configs.rows.put(CONFIGS, &Key::from(name), &row)
            }
            None => self.configs.rows.put(CONFIGS, &Key::from(name), &row),
        }
    }

    /// Returns the configuration kept under a name, and the default where none is.
    ///
    /// # Errors
    /// [`TransportConfigError::Kind`] where one of another kind is kept, [`TransportConfigError::Misfit`] where it
    /// is not of this type any more.
    pub fn transport_config<T: TransportConfig>(&self, name: &str) -> Result<T, Error> {
        check_name(name)?;
        let Some(kept) = self.config_row(name)? else { return Ok(T::default()) };
        check_kind::<T>(name, &kept)?;
        let misfit = |source| TransportConfigError::Misfit { name: name.to_owned(), source };
        Ok(kept.config.to_serde().map_err(misfit)?)
    }

    /// Removes the configuration kept under a name, of whatever kind; returns whether one was.
    ///
    /// # Errors
    /// When the rows cannot be read or written.
    pub fn remove_transport_config(&self, name: &str) -> Result<bool, Error> {
        check_name(name)?;
        let _saving = self.configs.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if self.config_row(name)?.is_none() {
            return Ok(false);
        }
        self.configs.rows.delete(CONFIGS, &Key::from(name)).map(|()| true)
    }

    fn config_row(&self, name: &str) -> Result<Option<ConfigRow>, Error> {
        let database = system::open(&self.core, system::SYNC)?;
        Ok(database.table::<ConfigRow>(CONFIGS)?.get(name)?)
    }
}

fn check_name(name: &str) -> Result<(), TransportConfigError> {
    let fits = (1..=TRANSPORT_NAME_MAX).contains(&name.len());
    if fits { Ok(()) } else { Err(TransportConfigError::Name) }
}

fn check_kind<T: TransportConfig>(
    name: &str,
    kept: &ConfigRow,
) -> Result<(), TransportConfigError> {
    if kept.kind == T::KIND {
        return Ok(());
    }
    let (name, found) = (name.to_owned(), kept.kind.clone());
    Err(TransportConfigError::Kind { name, found, expected: T::KIND })
}

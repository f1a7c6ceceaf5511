//! One presence message as an app reads it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use weald_crdt::Value;
use weald_dag::PublicKey;
use weald_sync::PresenceMessage;

use super::error::PresenceError;

/// A presence message that was heard. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Heard {
    pub(super) message: Arc<PresenceMessage>,
    pub(super) at: Instant,
}

impl Heard {
    /// Returns who said it; that is proven by a signature.
    pub fn author(&self) -> PublicKey {
        self.message.author
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.message.topic
    }

    /// Returns when it was said, by its author's clock, in milliseconds since 1970.
    pub fn time(&self) -> u64 {
        self.message.time
    }

    /// Returns how long ago it was heard here.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }

    /// Returns what was said.
    pub fn body(&self) -> &[u8] {
        &self.message.body
    }

    /// Returns what was said as a `T`, where it was said by [`Presence::publish`](super::Presence::publish).
    ///
    /// # Errors
    /// [`PresenceError::NoValue`], [`PresenceError::Value`].
    pub fn value<T: DeserializeOwned>(&self) -> Result<T, PresenceError> {
        Ok(Value::decode(&self.message.body)?.to_serde()?)
    }
}

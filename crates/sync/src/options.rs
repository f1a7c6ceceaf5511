//! Who a session speaks for and whom it wants to reach.
//!
//! Invariant: no secret is printed with the options.

use std::fmt;

use weald_dag::{PublicKey, SecretKey};

/// Which end of the link a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that dialled.
    Dialler,
    /// The end that was dialled.
    Responder,
}

/// Who a session speaks for and whom it wants to reach.
#[derive(Clone)]
pub struct SessionOptions {
    /// Which end of the link this is.
    pub role: Role,
    /// This instance's device key.
    pub device: SecretKey,
    /// What this device calls itself; cut after [`NAME_MAX`](crate::limits::NAME_MAX) characters.
    pub name: String,
    /// The device that must answer; `None` trusts whoever does, on first use.
    pub expected_peer: Option<PublicKey>,
    /// What both ends of an authenticated, encrypted channel know of it; frames are then not sealed.
    pub channel_binding: Option<Vec<u8>>,
    /// 32 random secret bytes, of this session alone.
    pub seed: [u8; 32],
    /// Whether frames go unsealed on a link without channel binding; both sides must agree.
    pub plain: bool,
    /// How long nothing may come before the peer is asked whether it is there, in milliseconds, such as
    /// [`HEALTH_EVERY_MS`](crate::limits::HEALTH_EVERY_MS); half as long later the session ends. `None` never asks.
    pub health_every: Option<u64>,
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("role", &self.role)
            .field("device", &self.device.public())
            .field("name", &self.name)
            .field("expected_peer", &self.expected_peer)
            .field("has_channel_binding", &self.channel_binding.is_some())
            .field("plain", &self.plain)
            .field("health_every", &self.health_every)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let options = SessionOptions {
            role: Role::Dialler,
            device: SecretKey::from_seed(&[171; 32]),
            name: "desk".into(),
            expected_peer: None,
            channel_binding: Some(vec![172; 3]),
            seed: [174; 32],
            plain: false,
            health_every: None,
        };
        let printed = format!("{options:?}");
        assert!(printed.contains("desk"));
        for secret in ["171, 171", "172, 172", "174, 174", "seed"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

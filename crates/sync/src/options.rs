//! Who a session speaks for and whom it wants to reach.

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
#[derive(Clone, Debug)]
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
    /// Keys that are proven to the peer beside the device key.
    pub keys: Vec<SecretKey>,
    /// 32 random secret bytes, of this session alone.
    pub seed: [u8; 32],
    /// Whether frames go unsealed on a link without channel binding; both sides must agree.
    pub plain: bool,
}

//! Transports of an instance and the addresses that it listens at.
//!
//! Invariant: nobody is accepted before the app says so, at each start.

use std::sync::Arc;

use weald_transports::{Address, BandwidthLimit, SyncError, Transport};
#[cfg(feature = "http")]
use weald_transports::{HTTP, HostError, HttpTransport};

#[cfg(feature = "http")]
use super::IntoAddress;
use super::PeerSync;

impl PeerSync {
    /// Adds a transport under a name of the app's choice, in place of one of that name.
    ///
    /// From now on peers at addresses of its kind are dialled. It accepts nobody by itself.
    pub fn register_transport(&self, name: impl Into<String>, transport: impl Transport + 'static) {
        self.actor.register_transport(name, Arc::new(transport));
    }

    /// Starts every registered transport that has an address to listen at. Needed at each start.
    ///
    /// Transports that listen already go on; those that only dial are left alone.
    ///
    /// # Errors
    /// [`SyncError::NoTransportEnabled`], or [`SyncError::Listen`] for the first that fails, such as for a port in
    /// use; the others listen nevertheless.
    pub async fn accept_connections(&self) -> Result<Vec<Address>, SyncError> {
        self.actor.accept_connections().await
    }

    /// Listens at an address over HTTP, and at those of all other transports that are registered: registers an
    /// [`HttpTransport`] under the name `http`, then does what
    /// [`accept_connections`](Self::accept_connections) does. Needed at each start.
    ///
    /// Returns the address with its real port; port 0 takes a free one.
    ///
    /// # Errors
    /// [`SyncError::Address`], [`SyncError::NoTransport`] for an address of another kind, or [`SyncError::Listen`].
    #[cfg(feature = "http")]
    pub async fn start_server(&self, address: impl IntoAddress) -> Result<Address, SyncError> {
        let address = address.into_address()?;
        if address.kind() != HTTP {
            return Err(SyncError::NoTransport { address });
        }
        let transport = HttpTransport::builder().bind(address.to_string()).build();
        let transport = transport.map_err(|error| HostError::Other(Arc::new(error)))?;
        self.register_transport(HTTP, transport);
        let accepted = self.accept_connections().await;
        let here = self.all_server_addresses().into_iter().find(|(name, _)| name == HTTP);
        match (here, accepted) {
            (Some((_, address)), _) => Ok(address),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(SyncError::NoTransport { address }),
        }
    }

    /// Stops accepting connections.
    ///
    /// # Errors
    /// [`SyncError::InstanceDropped`].
    pub async fn stop_accepting(&self) -> Result<(), SyncError> {
        self.actor.stop_accepting().await
    }

    /// Sets how many bytes a second all links of this instance carry together from now on, or lifts the limit
    /// (default: none). It is not kept over restarts.
    ///
    /// Each way the links take turns; what waits goes by the new limit at once, and nothing is dropped.
    pub fn set_bandwidth_limit(&self, limit: Option<BandwidthLimit>) {
        self.actor.set_bandwidth_limit(limit);
    }

    /// Returns whether any transport listens.
    pub fn is_server_running(&self) -> bool {
        !self.actor.servers().is_empty()
    }

    /// Returns the address of the first transport that listens, with its real port.
    pub fn server_address(&self) -> Option<Address> {
        self.actor.servers().into_iter().next().map(|(_, address)| address)
    }

    /// Returns the name and address of every transport that listens.
    pub fn all_server_addresses(&self) -> Vec<(String, Address)> {
        self.actor.servers()
    }
}

//! Ways of reaching peers: those that come with Weald, and what an app's own needs.

pub use weald_transports::{
    Address, AddressError, Arrivals, BoxFuture, CutReason, DEFAULT_PORT, DialError, FRAME_MAX,
    Link, LinkError, LinkReceiver, LinkSender, ListenError, Listener, Running, Transport,
};

/// Links over plain HTTP requests, for simple deployments and through any proxy.
#[cfg(feature = "http")]
pub mod http {
    use serde::{Deserialize, Serialize};
    pub use weald_transports::{BuildError, HttpTransport, HttpTransportBuilder};

    use crate::sync::TransportConfig;

    /// What an instance keeps of an HTTP transport; see [`crate::PeerSync::save_transport_config`].
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct HttpConfig {
        /// The address to listen at, such as `0.0.0.0:8088`. None by default: it only dials.
        pub bind: Option<String>,
    }

    impl TransportConfig for HttpConfig {
        const KIND: &'static str = "http";
    }

    impl HttpConfig {
        /// Starts to configure a transport as it says.
        pub fn builder(&self) -> HttpTransportBuilder {
            let builder = HttpTransport::builder();
            self.bind.iter().fold(builder, |builder, bind| builder.bind(bind))
        }
    }
}

/// Links between instances of one process.
pub mod memory {
    pub use weald_transports::{MemoryNetwork, MemoryTransport};
}

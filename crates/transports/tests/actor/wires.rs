//! The two ways in which the tests connect sites.

use std::sync::Arc;

use weald_transports::{ActorHandle, Address, HttpTransport, MemoryNetwork};

/// A kind of transport, and what its ends share.
pub(crate) enum Wires {
    Memory(MemoryNetwork),
    Http,
}

impl Wires {
    pub(crate) fn all() -> [Self; 2] {
        [Self::Memory(MemoryNetwork::new()), Self::Http]
    }

    /// Lets an actor dial.
    pub(crate) fn plug(&self, actor: &ActorHandle, name: &str) {
        match self {
            Self::Memory(network) => {
                actor.register_transport("wires", Arc::new(network.transport(name)));
            }
            Self::Http => self.plug_at(actor, "127.0.0.1:0"),
        }
    }

    fn plug_at(&self, actor: &ActorHandle, bind: &str) {
        let transport = HttpTransport::builder().bind(bind).build().unwrap();
        actor.register_transport("wires", Arc::new(transport));
    }

    /// Lets an actor dial and listen; returns its address.
    pub(crate) async fn serve(&self, actor: &ActorHandle, name: &str) -> Address {
        self.plug(actor, name);
        self.address(actor).await
    }

    /// Lets an actor dial and listen where another did before.
    pub(crate) async fn serve_again(&self, actor: &ActorHandle, name: &str, at: &Address) {
        match self {
            Self::Memory(_) => self.plug(actor, name),
            Self::Http => self.plug_at(actor, at.text()),
        }
        assert_eq!(self.address(actor).await, *at);
    }

    async fn address(&self, actor: &ActorHandle) -> Address {
        let addresses = actor.accept_connections().await.unwrap();
        addresses.into_iter().next().unwrap()
    }
}

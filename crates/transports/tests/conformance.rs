//! Every transport of this crate passes the conformance suite.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use weald_transports::{Ends, MemoryNetwork, transport_conformance};

fn memory() -> Ends {
    let network = MemoryNetwork::new();
    Ends {
        dialer: Arc::new(network.transport("alice")),
        listener: Arc::new(network.transport("bob")),
        nobody: "memory:nobody".parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms() {
    transport_conformance(memory).await;
}

#[tokio::test]
async fn memory_conforms_on_one_thread() {
    transport_conformance(memory).await;
}

#[cfg(feature = "http")]
mod http {
    use super::*;
    use weald_transports::{Address, HttpTransport};

    fn nobody() -> Address {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Address::from_socket(socket.local_addr().unwrap())
    }

    fn http() -> Ends {
        Ends {
            dialer: Arc::new(HttpTransport::builder().build().unwrap()),
            listener: Arc::new(HttpTransport::builder().bind("127.0.0.1:0").build().unwrap()),
            nobody: nobody(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn http_conforms() {
        transport_conformance(http).await;
    }

    #[tokio::test]
    async fn http_conforms_on_one_thread() {
        transport_conformance(http).await;
    }
}

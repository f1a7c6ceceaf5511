//! Addresses: hosts, names, both kinds of IP, ports; and where an instance listens.

use std::net::TcpListener;

use weald::transport::http::HttpTransport;
use weald::transport::memory::MemoryNetwork;
use weald::transport::{DEFAULT_PORT, DialError};
use weald::{Address, AddressError, SyncError};

use super::Place;
use super::common::within;

fn dialler() -> Place {
    let place = Place::at_rest("dialler");
    place.sync.register_transport("http", HttpTransport::builder().build().unwrap());
    place
}

/// Whether this machine has a loopback address of IPv6.
fn has_v6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[tokio::test]
async fn p16_a_peer_is_reached_by_ip_by_name_and_over_ipv6() {
    let bob = dialler();
    let mut hosts = vec![("127.0.0.1:0", vec!["127.0.0.1", "localhost", "http://localhost"])];
    if has_v6() {
        hosts.push(("[::1]:0", vec!["[::1]", "http://[0:0::1]"]));
    }
    for (bind, names) in hosts {
        let alice = Place::at_rest("alice");
        let address = within("serving", alice.sync.start_server(bind)).await.unwrap();
        let (_, port) = address.host_port().unwrap();
        for name in names {
            let at = format!("{name}:{port}");
            let peer = within(&at, bob.sync.connect_to_peer(&at)).await;
            assert_eq!(peer.unwrap(), alice.instance.device_key(), "{at}");
        }
    }
}

#[tokio::test]
async fn p16_p40_a_name_that_leads_nowhere_and_a_text_that_is_none_are_told_apart() {
    let bob = dialler();
    let failed = within("dialling", bob.sync.connect_to_peer("nobody.invalid:80")).await;
    let Err(SyncError::Dial(error)) = failed else { panic!("{failed:?}") };
    assert!(matches!(&*error, DialError::Unreachable { .. }), "{error:?}");
    for (text, wrong) in [
        ("", "empty"),
        ("two words:80", "character"),
        ("[::1", "brackets"),
        ("host:port", "port"),
        ("a:b:c", "port"),
    ] {
        let failed = within("parsing", bob.sync.connect_to_peer(text)).await;
        let Err(SyncError::Address(error)) = failed else { panic!("{text}: {failed:?}") };
        let found = match error {
            AddressError::Empty => "empty",
            AddressError::Character { .. } => "character",
            AddressError::Bracket => "brackets",
            AddressError::Port { .. } => "port",
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(found, wrong, "{text}");
    }
}

#[test]
fn p17_an_address_without_a_port_has_the_default_port() {
    for (text, host) in [
        ("example.org", "example.org"),
        ("http://Example.org", "example.org"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("[2001:db8::7]", "2001:db8::7"),
    ] {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.host_port(), Some((host, DEFAULT_PORT)), "{text}");
        assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
    }
    let named: Address = "example.org:80".parse().unwrap();
    assert_eq!(named.host_port(), Some(("example.org", 80)));
}

#[tokio::test]
async fn p11_p18_p51_servers_are_started_by_one_call_and_tell_their_real_addresses() {
    let alice = Place::at_rest("alice");
    assert_eq!(alice.sync.server_address(), None);
    alice.sync.register_transport("wires", MemoryNetwork::new().transport("alice"));
    let address = within("serving", alice.sync.start_server("127.0.0.1:0")).await.unwrap();
    assert_ne!(address.host_port().unwrap().1, 0, "the real port");
    let mut all = alice.sync.all_server_addresses();
    all.sort();
    let memory = "memory:alice".parse().unwrap();
    assert_eq!(all, [("http".to_owned(), address.clone()), ("wires".to_owned(), memory)]);
    assert!(alice.sync.is_server_running() && alice.sync.server_address().is_some());
    assert_eq!(alice.sync.ticket(&alice.room()).addresses().len(), 2);
    let other = within("serving", alice.sync.start_server("memory:elsewhere")).await;
    assert!(matches!(other, Err(SyncError::NoTransport { .. })), "{other:?}");
    within("hushing", alice.sync.stop_accepting()).await.unwrap();
    assert!(!alice.sync.is_server_running() && alice.sync.all_server_addresses().is_empty());
    let failed = within("connecting", dialler().sync.connect_to_peer(&address)).await;
    assert!(matches!(failed, Err(SyncError::Dial(_))), "{failed:?}");
}

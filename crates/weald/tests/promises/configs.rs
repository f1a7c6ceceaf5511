//! What an instance keeps of its transports.

use serde::{Deserialize, Serialize};
use weald::transport::http::HttpConfig;
use weald::{Error, TRANSPORT_NAME_MAX, TransportConfig, TransportConfigError};

use super::Place;
use super::common::within;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Radio {
    channel: u32,
    call_sign: Option<String>,
}

impl TransportConfig for Radio {
    const KIND: &'static str = "radio";
}

/// What the app made of [`Radio`] later.
#[derive(Debug, Default, Serialize, Deserialize)]
struct NewRadio {
    frequency: String,
}

impl TransportConfig for NewRadio {
    const KIND: &'static str = "radio";
}

/// How many entries the instance has, those of its own databases among them.
fn entries(place: &Place) -> u64 {
    let databases = place.instance.verify().unwrap().databases;
    databases.iter().map(|(_, findings)| findings.entries).sum()
}

#[test]
fn p24_configurations_of_transports_are_kept_by_name_and_kind() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::at(directory.path(), "alice");
    assert_eq!(place.sync.transport_config::<Radio>("roof").unwrap(), Radio::default());
    let roof = Radio { channel: 7, call_sign: Some("WEALD".into()) };
    place.sync.save_transport_config("roof", &roof).unwrap();
    let web = HttpConfig { bind: Some("127.0.0.1:0".into()) };
    place.sync.save_transport_config("web", &web).unwrap();
    drop(place);

    let place = Place::at(directory.path(), "alice");
    assert_eq!(place.sync.transport_config::<Radio>("roof").unwrap(), roof);
    assert_eq!(place.sync.transport_config::<HttpConfig>("web").unwrap(), web);
    assert_eq!(place.sync.transport_config::<Radio>("cellar").unwrap(), Radio::default());
    // Reading kept nothing, and the same kept again is written no second time.
    assert!(!place.sync.remove_transport_config("cellar").unwrap());
    let before = entries(&place);
    place.sync.save_transport_config("roof", &roof).unwrap();
    assert_eq!(entries(&place), before);

    let clash = place.sync.transport_config::<HttpConfig>("roof").unwrap_err();
    let Error::TransportConfig(TransportConfigError::Kind { found, expected, .. }) = clash else {
        panic!("{clash:?}")
    };
    assert_eq!((found.as_str(), expected), ("radio", "http"));
    let clash = place.sync.save_transport_config("roof", &web).unwrap_err();
    let is_clash = matches!(clash, Error::TransportConfig(TransportConfigError::Kind { ref name, .. }) if name == "roof");
    assert!(is_clash, "{clash:?}");
    let misfit = place.sync.transport_config::<NewRadio>("roof").unwrap_err();
    let is_misfit = matches!(misfit, Error::TransportConfig(TransportConfigError::Misfit { .. }));
    assert!(is_misfit, "{misfit:?}");
    assert_eq!(place.sync.transport_config::<Radio>("roof").unwrap(), roof, "it is as it was");
    for name in [String::new(), "x".repeat(TRANSPORT_NAME_MAX + 1)] {
        let bad = place.sync.save_transport_config(&name, &roof).unwrap_err();
        assert!(matches!(bad, Error::TransportConfig(TransportConfigError::Name)), "{bad:?}");
    }
    assert!(place.sync.remove_transport_config("roof").unwrap());
    place.sync.save_transport_config("roof", &web).unwrap();
}

#[tokio::test]
async fn p24_a_transport_is_built_from_what_was_kept() {
    let place = Place::at_rest("alice");
    let config = place.sync.transport_config::<HttpConfig>("web").unwrap();
    place.sync.register_transport("web", config.builder().build().unwrap());
    assert!(within("serving", place.sync.accept_connections()).await.is_err(), "it only dials");
    let config = HttpConfig { bind: Some("127.0.0.1:0".into()) };
    place.sync.save_transport_config("web", &config).unwrap();
    let config = place.sync.transport_config::<HttpConfig>("web").unwrap();
    place.sync.register_transport("web", config.builder().build().unwrap());
    within("serving", place.sync.accept_connections()).await.unwrap();
    assert!(place.sync.server_address().is_some());
}

//! What is signed for one use is never what is signed for another, whatever the digests are.

use proptest::prelude::*;
use weald_dag::{Domain, SecretKey};

/// Every use of a signature.
fn domains() -> Vec<Domain> {
    let all = [Domain::Entry, Domain::Hello, Domain::Possession, Domain::Request, Domain::Presence];
    // A new use does not compile before it is listed above.
    for domain in all {
        match domain {
            Domain::Entry
            | Domain::Hello
            | Domain::Possession
            | Domain::Request
            | Domain::Presence => {}
        }
    }
    all.to_vec()
}

#[test]
fn no_prefix_begins_another_and_each_names_a_version() {
    let prefix = |domain: &Domain| {
        let message = domain.message(&[0; 32]);
        String::from_utf8(message[..message.len() - 32].to_vec()).unwrap()
    };
    let prefixes: Vec<String> = domains().iter().map(prefix).collect();
    for (n, one) in prefixes.iter().enumerate() {
        assert!(one.starts_with("weald/") && one.ends_with("/v1"), "{one}");
        for (m, other) in prefixes.iter().enumerate() {
            assert!(n == m || !one.starts_with(other.as_str()), "{one} begins with {other}");
        }
    }
}

proptest! {
    #[test]
    fn the_signed_bytes_of_two_uses_are_never_the_same(one: [u8; 32], other: [u8; 32]) {
        for (n, domain) in domains().into_iter().enumerate() {
            let message = domain.message(&one);
            prop_assert!(message.ends_with(&one));
            for (m, second) in domains().into_iter().enumerate() {
                prop_assert!(n == m || message != second.message(&other), "{domain:?}, {second:?}");
                prop_assert!(n == m || !message.starts_with(&second.message(&other)));
            }
        }
    }

    #[test]
    fn a_signature_holds_for_no_other_use_of_the_same_digest(seed: [u8; 32], digest: [u8; 32]) {
        let key = SecretKey::from_seed(&seed);
        for domain in domains() {
            let signature = key.sign(domain, &digest);
            for other in domains() {
                let holds = key.public().verifies(other, &digest, &signature);
                prop_assert_eq!(holds, other == domain, "{:?} for {:?}", domain, other);
            }
        }
    }
}

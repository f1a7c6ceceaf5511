use serde_bytes::ByteArray;
use weald_auth::{AccessRequest, Level};
use weald_dag::SecretKey;

use super::*;

const NOW: u64 = 1_000_000_000;

/// A book with one request, its peer and its id.
fn asked() -> (RequestedBook, PublicKey, RequestId) {
    let [own, peer] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let request = AccessRequest {
        database: DatabaseId::from_bytes([3; 32]),
        key: own.public(),
        device: own.public(),
        audience: peer.public(),
        wanted: Level::Read,
        nonce: [0; 16],
        made: NOW,
        expires: NOW + 1_000,
        name: String::new(),
        note: String::new(),
    };
    let signed = request.sign(&own).unwrap();
    let (mut book, id) = (RequestedBook::default(), signed.id());
    book.insert(Requested { signed, answer: None });
    (book, peer.public(), id)
}

fn pending(salt: u8) -> RequestAnswer {
    RequestAnswer::Pending { salt: ByteArray::new([salt; SALT_LEN]) }
}

#[test]
fn a_peer_that_answers_without_end_has_no_more_written_than_it_was_asked_for() {
    let (mut book, peer, id) = asked();
    let hear = |book: &mut RequestedBook, answer| book.answered(&peer, &id, answer, NOW);
    assert!(hear(&mut book, pending(0)).is_none(), "it was not asked yet");
    let (mut written, asks) = (0, 3);
    for _ in 0..asks {
        assert_eq!(book.take_unsent(&peer, NOW).len(), 1);
    }
    for n in 0..200 {
        let answer = if n % 2 == 0 { RequestAnswer::Unavailable } else { pending(n) };
        written += usize::from(hear(&mut book, answer).is_some());
    }
    assert_eq!(written, asks);
    // A decision needs no question, and is taken once.
    assert!(hear(&mut book, RequestAnswer::Approved).is_some());
    let later = RequestAnswer::Rejected { reason: "no".into() };
    assert!(hear(&mut book, later).is_none());
}

#[test]
fn what_waits_keeps_its_code_where_the_peer_has_no_time_or_shows_another() {
    let (mut book, peer, id) = asked();
    for answer in [pending(1), RequestAnswer::NotNow, pending(2)] {
        book.take_unsent(&peer, NOW);
        book.answered(&peer, &id, answer, NOW);
    }
    assert_eq!(book.get(&id).unwrap().answer, Some(pending(1)));
}

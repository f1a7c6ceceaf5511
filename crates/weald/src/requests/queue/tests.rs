use weald_auth::{AccessRequest, Level};
use weald_dag::SecretKey;

use super::super::hourly::COUNTED_MAX;
use super::*;

const NOW: u64 = 1_000_000_000;

fn secret(seed: u32) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    SecretKey::from_seed(&bytes)
}

/// The request of key `key` on device `device`, made at `made` and open for a day.
fn signed(database: u8, key: u32, device: u32, made: u64) -> SignedRequest {
    let request = AccessRequest {
        database: DatabaseId::from_bytes([database; 32]),
        key: secret(key).public(),
        device: secret(device).public(),
        audience: secret(0).public(),
        wanted: Level::Write(10),
        nonce: [0; 16],
        made,
        expires: made + 86_400_000,
        name: String::new(),
        note: String::new(),
    };
    request.sign(&secret(key)).unwrap()
}

#[test]
fn p48_duplicates_are_merged_and_a_replayed_one_opens_nothing() {
    let mut queue = Queue::default();
    let (first, second) = (signed(1, 1, 1, NOW), signed(1, 1, 1, NOW + 1));
    assert_eq!(queue.admit(&first, "a", NOW), Admission::Queued);
    assert_eq!(queue.admit(&first, "a", NOW), Admission::Known(RequestState::Pending));
    assert_eq!(queue.admit(&second, "a", NOW + 5), Admission::Queued);
    let open = queue.open(NOW + 5);
    assert_eq!((open.len(), open[0].received, open[0].signed.id()), (1, NOW, second.id()));
    assert_eq!(queue.admit(&first, "a", NOW + 5), Admission::Replayed);
    let place = open[0].place();
    let rejected = RequestState::Rejected { reason: "no".into() };
    queue.decide(&place, rejected.clone());
    let third = signed(1, 1, 1, NOW + 9);
    assert_eq!(queue.admit(&third, "a", NOW + 9), Admission::Known(rejected), "it stands");
    assert_eq!(queue.admit(&second, "a", NOW + 9).clone(), queue.admit(&third, "a", NOW + 9));
    // Once it has expired another may be made; the old one is over by its own time.
    let later = NOW + 2 * 86_400_000;
    assert_eq!(queue.admit(&signed(1, 1, 1, later), "a", later), Admission::Queued);
}

#[test]
fn p48_a_flood_stays_within_its_bounds_and_pushes_nobody_out() {
    let mut queue = Queue::default();
    let real = signed(1, 1, 1, NOW);
    assert_eq!(queue.admit(&real, "home", NOW), Admission::Queued);
    // One device with many keys.
    let mut taken = 0;
    for key in 100..160 {
        taken += usize::from(queue.admit(&signed(1, key, 2, NOW), "x", NOW) == Admission::Queued);
    }
    assert_eq!(taken, REQUESTS_PER_DEVICE_MAX);
    // Many devices at one address.
    for device in 200..300 {
        queue.admit(&signed(1, device, device, NOW), "y", NOW);
    }
    let from_y = queue.open(NOW).iter().filter(|queued| queued.from == "y").count();
    assert_eq!(from_y, REQUESTS_PER_ADDRESS_MAX);
    // Many devices at many addresses, for one database and for several.
    for device in 1_000..1_200 {
        queue.admit(&signed(1, device, device, NOW), &device.to_string(), NOW);
    }
    assert_eq!(queue.open(NOW).len(), REQUESTS_PER_DATABASE_MAX);
    for device in 2_000..3_000 {
        let database = u8::try_from(device % 200).unwrap() + 2;
        queue.admit(&signed(database, device, device, NOW), &device.to_string(), NOW);
    }
    assert_eq!(queue.open(NOW).len(), REQUESTS_WAITING_MAX);
    assert!(queue.find(&real.id(), NOW).is_some(), "who came first waits still");
    assert_eq!(queue.admit(&real, "home", NOW), Admission::Known(RequestState::Pending));
    // All of it is over in time, and is swept.
    let later = NOW + 2 * 86_400_000;
    let mut swept = 0;
    loop {
        let gone = queue.sweep(later, 16).len();
        assert!(gone <= 16);
        swept += gone;
        if gone == 0 {
            break;
        }
    }
    assert_eq!((swept, queue.all.len()), (REQUESTS_WAITING_MAX, 0));
}

#[test]
fn ten_thousand_asks_of_one_device_and_of_many_are_counted_in_bounded_memory() {
    let mut queue = Queue::default();
    let device = secret(1).public();
    let allowed = (0..10_000).filter(|_| queue.may_ask(&device, NOW)).count();
    assert_eq!(allowed, ASKS_PER_HOUR_MAX as usize);
    assert!(queue.may_ask(&device, NOW + 3_600_000), "an hour later it may again");
    for seed in 0..2_000 {
        queue.may_ask(&secret(seed).public(), NOW + u64::from(seed));
        assert!(queue.askers.len() <= COUNTED_MAX);
    }
}

#[test]
fn decided_requests_are_remembered_up_to_a_bound_the_oldest_going_first() {
    let mut queue = Queue::default();
    for n in 0..600_u32 {
        let signed = signed(1, n, n, NOW);
        let received = NOW + u64::from(n);
        let (from, state) = (String::new(), RequestState::Approved);
        queue.restore(Queued { signed, from, received, state });
    }
    let gone = queue.sweep(NOW + 1_000, usize::MAX).len();
    assert_eq!(gone, 600 - REQUESTS_DECIDED_MAX);
    assert_eq!(queue.open(NOW + 1_000)[0].received, NOW + 88);
}

#[test]
fn a_stranger_with_ever_new_devices_and_keys_has_little_written_in_an_hour() {
    let mut queue = Queue::default();
    let mut written = 0;
    // Each is over as soon as it is there, or takes the place of the one before by another device.
    for n in 1..1_000_u32 {
        let now = NOW + u64::from(n);
        let short = AccessRequest { expires: now + 1, ..signed(1, n, n, now).request().clone() };
        let again = signed(2, 1, n, now);
        for request in [short.sign(&secret(n)).unwrap(), again] {
            written += u32::from(queue.admit(&request, "x", now) == Admission::Queued);
        }
        queue.sweep(now, 4);
    }
    assert_eq!(written, WRITTEN_PER_HOUR_MAX);
    assert_eq!(queue.admit(&signed(3, 5, 5, NOW), "home", NOW), Admission::Queued);
}

#[test]
fn requests_that_move_to_another_device_count_for_that_device() {
    let mut queue = Queue::default();
    let mut taken = 0;
    for (key, device) in (10..14).map(|key| (key, 1)).chain((20..24).map(|key| (key, 2))) {
        assert_eq!(queue.admit(&signed(1, key, device, NOW), "a", NOW), Admission::Queued);
        let moved = queue.admit(&signed(1, key, 3, NOW + 1), "a", NOW + 1);
        taken += usize::from(moved == Admission::Queued);
    }
    assert_eq!(taken, REQUESTS_PER_DEVICE_MAX);
}

#[test]
fn a_decision_is_on_the_request_that_was_seen_and_on_no_later_one() {
    let mut queue = Queue::default();
    let (seen, later) = (signed(1, 1, 1, NOW), signed(1, 1, 1, NOW + 1));
    queue.admit(&seen, "a", NOW);
    let place = queue.open(NOW)[0].place();
    assert!(queue.undecided(&place, &seen.id()).is_some());
    queue.admit(&later, "a", NOW + 1);
    assert!(queue.undecided(&place, &seen.id()).is_none());
    queue.decide(&place, RequestState::Approved);
    assert!(queue.undecided(&place, &later.id()).is_none(), "it is decided once");
}

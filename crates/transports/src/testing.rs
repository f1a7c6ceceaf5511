//! The conformance suite: what every transport promises, each check on a fresh pair of transports.
//!
//! A check panics where the promise is broken. Deadlines are long: they bound a hang, they measure nothing.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a check fails by panicking, as a test does"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::address::Address;
use crate::link::{FRAME_MAX, Link, LinkError, LinkReceiver, LinkSender};
use crate::listener::Listener;
use crate::transport::{DialError, Transport};

/// The most bytes that a link may hold while its reader does not read.
pub const IN_FLIGHT_MAX: usize = 32 << 20;

/// How many links are open at once in [`check_many_links`].
pub const LINKS_AT_ONCE: usize = 50;

/// How long a check waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a sender makes no progress until it counts as held back.
const STALLED: Duration = Duration::from_millis(500);

/// A pair of transports of one kind, fresh for each check.
pub struct Ends {
    /// Dials.
    pub dialer: Arc<dyn Transport>,
    /// Listens, each time at the same address where that can be had.
    pub listener: Arc<dyn Transport>,
    /// An address of the kind at which nobody listens.
    pub nobody: Address,
}

/// Runs every check of the suite; `make` gives fresh transports to each.
///
/// # Panics
/// Where the transport breaks a promise of [`Transport`], [`LinkSender`] or [`LinkReceiver`].
pub async fn transport_conformance(make: impl Fn() -> Ends) {
    check_order_and_sizes(make()).await;
    check_oversize(make()).await;
    check_duplex(make()).await;
    check_cancel_safety(make()).await;
    check_half_close(make()).await;
    check_cut(make()).await;
    check_reconnect(make()).await;
    check_backpressure(make()).await;
    check_many_links(make()).await;
    check_dial_to_nobody(make()).await;
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

async fn listen(ends: &Ends) -> Listener {
    let listener = within("listening", ends.listener.listen()).await;
    listener.expect("the transport listens")
}

/// Returns the dialled end and the accepted end of a new link.
async fn connect(ends: &Ends, listener: &mut Listener) -> (Link, Link) {
    let address = listener.address().clone();
    let (dialled, accepted) =
        within("connecting", async { tokio::join!(ends.dialer.dial(&address), listener.accept()) })
            .await;
    let dialled = dialled.expect("the transport dials");
    assert_eq!(dialled.peer(), &address);
    assert_eq!(dialled.kind(), ends.dialer.kind());
    (dialled, accepted.expect("the link is accepted"))
}

/// Returns a frame whose content follows from its number.
fn frame(number: usize, size: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().repeat(size / 8 + 1);
    // One byte a KiB counts, so that a frame cut or shifted inside is noticed too.
    for (at, byte) in bytes.iter_mut().step_by(1021).enumerate() {
        *byte = at.to_le_bytes()[0];
    }
    bytes.truncate(size);
    bytes.into()
}

async fn send_frames(sender: &mut dyn LinkSender, count: usize, size: usize) {
    for number in 0..count {
        let sent = within("sending", sender.send(frame(number, size))).await;
        sent.expect("the frame is sent");
    }
    within("closing", sender.close()).await.expect("the link closes");
}

async fn expect_frames(receiver: &mut dyn LinkReceiver, count: usize, size: usize) {
    for number in 0..count {
        let received = within("receiving", receiver.recv()).await;
        let received = received.expect("the link is whole").expect("more frames come");
        assert!(received == frame(number, size), "frame {number} is not what was sent");
    }
    let end = within("receiving the end", receiver.recv()).await;
    assert_eq!(end.expect("the link ends in order"), None);
}

/// Checks that frames of every size, empty ones too, arrive whole, once, in order, both ways.
pub async fn check_order_and_sizes(ends: Ends) {
    let mut listener = listen(&ends).await;
    let (mut here, mut there) = connect(&ends, &mut listener).await;
    let sizes = [0, 1, 64 << 10, 1 << 20, 0, FRAME_MAX, 7];
    for (number, size) in sizes.into_iter().enumerate() {
        within("sending", here.send(frame(number, size))).await.expect("sent");
        within("sending", there.send(frame(number, size))).await.expect("sent");
    }
    for (number, size) in sizes.into_iter().enumerate() {
        for link in [&mut here, &mut there] {
            let received = within("receiving", link.recv()).await.expect("the link is whole");
            assert!(received == Some(frame(number, size)), "frame {number} of {size} bytes");
        }
    }
    let (mut sender, _back) = here.split();
    let (_forth, mut receiver) = there.split();
    tokio::join!(
        send_frames(sender.as_mut(), 5000, 40),
        expect_frames(receiver.as_mut(), 5000, 40)
    );
}

/// Checks that a frame over the limit is refused with its error on both ends, and that the link stays usable.
pub async fn check_oversize(ends: Ends) {
    let mut listener = listen(&ends).await;
    let (mut here, mut there) = connect(&ends, &mut listener).await;
    for link in [&mut here, &mut there] {
        let sent = within("sending", link.send(vec![0; FRAME_MAX + 1].into())).await;
        match sent {
            Err(LinkError::FrameTooLarge { size, max }) => {
                assert_eq!((size, max), (FRAME_MAX + 1, FRAME_MAX));
            }
            other => panic!("an oversized frame gave {other:?}"),
        }
        within("sending", link.send("small".into())).await.expect("the link stays usable");
    }
    for link in [&mut here, &mut there] {
        let received = within("receiving", link.recv()).await.expect("the link is whole");
        assert_eq!(received.as_deref(), Some(&b"small"[..]));
    }
}

/// Checks that both directions run at once, each with more than a queue holds.
pub async fn check_duplex(ends: Ends) {
    let mut listener = listen(&ends).await;
    let (here, there) = connect(&ends, &mut listener).await;
    let (mut here_sends, mut here_reads) = here.split();
    let (mut there_sends, mut there_reads) = there.split();
    tokio::join!(
        send_frames(here_sends.as_mut(), 300, 64 << 10),
        send_frames(there_sends.as_mut(), 300, 64 << 10),
        expect_frames(here_reads.as_mut(), 300, 64 << 10),
        expect_frames(there_reads.as_mut(), 300, 64 << 10),
    );
}

/// Checks that a `recv` given up before it finished has taken nothing.
pub async fn check_cancel_safety(ends: Ends) {
    const COUNT: usize = 500;
    let mut listener = listen(&ends).await;
    for dialled_sends in [true, false] {
        let (here, there) = connect(&ends, &mut listener).await;
        let (sending, reading) = if dialled_sends { (here, there) } else { (there, here) };
        let (mut sender, _back) = sending.split();
        let (_forth, mut receiver) = reading.split();
        let given_up = async {
            let mut number = 0;
            while number < COUNT {
                let received = tokio::select! {
                    biased;
                    () = tokio::task::yield_now() => continue,
                    received = receiver.recv() => received,
                };
                let received = received.expect("the link is whole");
                assert!(received == Some(frame(number, 100)), "frame {number} was lost");
                number += 1;
            }
        };
        tokio::join!(send_frames(sender.as_mut(), COUNT, 100), within("receiving", given_up));
    }
}

/// Checks that closing one side delivers all that was sent, leaves the other side open, and survives dropping the link.
pub async fn check_half_close(ends: Ends) {
    let mut listener = listen(&ends).await;
    for dialled_closes in [true, false] {
        let (here, there) = connect(&ends, &mut listener).await;
        let (closing, other) = if dialled_closes { (here, there) } else { (there, here) };
        let (mut sender, mut receiver) = closing.split();
        let (mut other_sends, mut other_reads) = other.split();
        send_frames(sender.as_mut(), 20, 1000).await;
        assert!(matches!(sender.send("late".into()).await, Err(LinkError::Closed)));
        drop(sender);
        expect_frames(other_reads.as_mut(), 20, 1000).await;
        send_frames(other_sends.as_mut(), 20, 1000).await;
        expect_frames(receiver.as_mut(), 20, 1000).await;
    }
    for dialled_closes in [true, false] {
        let (here, there) = connect(&ends, &mut listener).await;
        let (closing, other) = if dialled_closes { (here, there) } else { (there, here) };
        let (mut sender, receiver) = closing.split();
        send_frames(sender.as_mut(), 20, 1000).await;
        drop((sender, receiver));
        let (mut other_sends, mut other_reads) = other.split();
        expect_frames(other_reads.as_mut(), 20, 1000).await;
        expect_send_fails(other_sends.as_mut()).await;
    }
}

/// Sends until the peer's letting go is noticed.
async fn expect_send_fails(sender: &mut dyn LinkSender) {
    let failed = within("noticing that nobody reads", async {
        loop {
            if let Err(error) = sender.send(frame(0, 1000)).await {
                return error;
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(matches!(failed.await, LinkError::Cut(_)));
}

/// Checks that an end dropped without closing is noticed by the other, reading or writing.
pub async fn check_cut(ends: Ends) {
    let mut listener = listen(&ends).await;
    for dialled_drops in [true, false] {
        let (here, there) = connect(&ends, &mut listener).await;
        let (dropped, kept) = if dialled_drops { (here, there) } else { (there, here) };
        drop(dropped);
        let (mut sender, mut receiver) = kept.split();
        let received = within("noticing the cut", receiver.recv()).await;
        assert!(matches!(received, Ok(None) | Err(LinkError::Cut(_))), "{received:?}");
        expect_send_fails(sender.as_mut()).await;
    }
}

/// Checks that a closed listener frees its address, refuses dials, and that a new one is reached by the same dialler.
pub async fn check_reconnect(ends: Ends) {
    let mut listener = listen(&ends).await;
    for _ in 0..3 {
        let (mut here, mut there) = connect(&ends, &mut listener).await;
        within("sending", here.send("hello".into())).await.expect("sent");
        let received = within("receiving", there.recv()).await.expect("the link is whole");
        assert_eq!(received.as_deref(), Some(&b"hello"[..]));
        let address = listener.address().clone();
        within("closing the listener", listener.close()).await;
        assert!(listener.accept().await.is_none(), "a closed listener accepts");
        let dialled = within("dialling a closed listener", ends.dialer.dial(&address)).await;
        assert!(dialled.is_err(), "a closed listener was reached");
        listener = listen(&ends).await;
    }
}

/// Checks that a reader that does not read holds the sender back, and that nothing is lost when it reads again.
pub async fn check_backpressure(ends: Ends) {
    const SIZE: usize = 64 << 10;
    let count = 2 * IN_FLIGHT_MAX / SIZE;
    let mut listener = listen(&ends).await;
    for dialled_sends in [true, false] {
        let (here, there) = connect(&ends, &mut listener).await;
        let (sending, reading) = if dialled_sends { (here, there) } else { (there, here) };
        let (mut sender, _back) = sending.split();
        let (_forth, mut receiver) = reading.split();
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            for number in 0..count {
                sender.send(frame(number, SIZE)).await.expect("the frame is sent");
                counter.fetch_add(1, Ordering::SeqCst);
            }
            sender.close().await.expect("the link closes");
            (sender, _back)
        });
        wait_until_stalled(&sent).await;
        let held = sent.load(Ordering::SeqCst) * SIZE;
        assert!(held <= IN_FLIGHT_MAX, "{held} bytes were taken without a reader");
        expect_frames(receiver.as_mut(), count, SIZE).await;
        let _ends = within("ending", task).await.expect("the sender ends");
    }
}

async fn wait_until_stalled(sent: &AtomicUsize) {
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < STALLED {
        sleep(Duration::from_millis(10)).await;
        let now = sent.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// Checks that many links live side by side and do not mix their frames.
pub async fn check_many_links(ends: Ends) {
    let mut listener = listen(&ends).await;
    let address = listener.address().clone();
    let mut tasks = Vec::new();
    for number in 0..LINKS_AT_ONCE {
        let (dialer, address) = (Arc::clone(&ends.dialer), address.clone());
        tasks.push(tokio::spawn(async move {
            let mut link = dialer.dial(&address).await.expect("the transport dials");
            for round in 0..10 {
                let sent = frame(number, 8 + round);
                link.send(sent.clone()).await.expect("the frame is sent");
                let echo = link.recv().await.expect("the link is whole");
                assert!(echo == Some(sent), "another link's frame came back");
            }
            link.close().await.expect("the link closes");
            assert_eq!(link.recv().await.expect("the link ends in order"), None);
        }));
    }
    for _ in 0..LINKS_AT_ONCE {
        let link = within("accepting", listener.accept()).await;
        let mut link = link.expect("the link is accepted");
        tasks.push(tokio::spawn(async move {
            while let Some(frame) = link.recv().await.expect("the link is whole") {
                link.send(frame).await.expect("the frame is sent");
            }
            link.close().await.expect("the link closes");
        }));
    }
    for task in tasks {
        within("fifty links", task).await.expect("the link works");
    }
}

/// Checks that dialling where nobody listens, or an address of another kind, gives an error that says so.
pub async fn check_dial_to_nobody(ends: Ends) {
    let dialled = within("dialling nobody", ends.dialer.dial(&ends.nobody)).await;
    let typed = matches!(
        dialled,
        Err(DialError::NobodyListens { .. }
            | DialError::Unreachable { .. }
            | DialError::TimedOut { .. })
    );
    assert!(typed, "dialling nobody gave {dialled:?}");
    let other = Address::new("conformance-other", "x").expect("an address");
    let dialled = within("dialling another kind", ends.dialer.dial(&other)).await;
    assert!(matches!(dialled, Err(DialError::WrongKind { .. })), "another kind gave {dialled:?}");
}

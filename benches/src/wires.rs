//! A transport around another one that counts every frame both ways, and can hold each up for a while.
//!
//! Invariant: frames arrive in the order in which they were sent, none before its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use weald::transport::{
    Address, BoxFuture, CutReason, DialError, Link, LinkError, LinkReceiver, LinkSender,
    ListenError, Listener, Transport,
};

/// How many frames wait on a slow wire before its sender waits too.
const ON_THE_WIRE: usize = 4_096;

/// What has gone over the links that were dialled, both ways together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    frames: AtomicU64,
    bytes: AtomicU64,
}

/// A reading of a tally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    fn count(&self, frame: &Bytes) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
    }

    /// Returns what has gone over the links so far.
    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            frames: self.frames.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Counts at the end that dials: there every frame of both directions passes.
pub(crate) struct Wires<T> {
    inner: T,
    tally: Arc<Tally>,
    delay: Duration,
}

impl<T> Wires<T> {
    /// Wraps a transport; each frame takes `delay` each way.
    pub(crate) fn new(inner: T, tally: Arc<Tally>, delay: Duration) -> Self {
        Self { inner, tally, delay }
    }
}

impl<T: Transport> Transport for Wires<T> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Link, DialError>> {
        Box::pin(async move {
            let link = self.inner.dial(address).await?;
            let peer = link.peer().clone();
            let (sender, receiver) = link.split();
            let sender = Counting { inner: sender, tally: Arc::clone(&self.tally) };
            let receiver = Counting { inner: receiver, tally: Arc::clone(&self.tally) };
            if self.delay.is_zero() {
                return Ok(Link::new(peer, sender, receiver));
            }
            Ok(Link::new(
                peer,
                slow_sender(sender, self.delay),
                slow_receiver(receiver, self.delay),
            ))
        })
    }

    fn listen(&self) -> BoxFuture<'_, Result<Listener, ListenError>> {
        self.inner.listen()
    }
}

struct Counting<H: ?Sized> {
    tally: Arc<Tally>,
    inner: Box<H>,
}

impl LinkSender for Counting<dyn LinkSender> {
    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), LinkError>> {
        self.tally.count(&frame);
        self.inner.send(frame)
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.inner.close()
    }
}

impl LinkReceiver for Counting<dyn LinkReceiver> {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>> {
        Box::pin(async {
            let received = self.inner.recv().await?;
            received.iter().for_each(|frame| self.tally.count(frame));
            Ok(received)
        })
    }
}

enum Sent {
    Frame(Instant, Bytes),
    Close(Instant, oneshot::Sender<Result<(), LinkError>>),
}

struct SlowSender {
    delay: Duration,
    wire: mpsc::Sender<Sent>,
}

fn gone() -> LinkError {
    LinkError::Cut(CutReason::Dropped)
}

fn slow_sender(mut inner: impl LinkSender + 'static, delay: Duration) -> SlowSender {
    let (wire, mut sent) = mpsc::channel(ON_THE_WIRE);
    tokio::spawn(async move {
        while let Some(next) = sent.recv().await {
            match next {
                Sent::Frame(at, frame) => {
                    sleep_until(at).await;
                    if inner.send(frame).await.is_err() {
                        return;
                    }
                }
                Sent::Close(at, answer) => {
                    sleep_until(at).await;
                    // Who closes may have been dropped meanwhile.
                    let _ = answer.send(inner.close().await);
                    return;
                }
            }
        }
    });
    SlowSender { delay, wire }
}

impl LinkSender for SlowSender {
    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), LinkError>> {
        let sent = Sent::Frame(Instant::now() + self.delay, frame);
        Box::pin(async move { self.wire.send(sent).await.map_err(|_| gone()) })
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        let (answer, closed) = oneshot::channel();
        let close = Sent::Close(Instant::now() + self.delay, answer);
        Box::pin(async move {
            // Closing twice changes nothing.
            if self.wire.send(close).await.is_err() {
                return Ok(());
            }
            closed.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

type Received = Result<Option<Bytes>, LinkError>;

struct SlowReceiver {
    wire: mpsc::Receiver<(Instant, Received)>,
    /// What has arrived and is not due yet.
    next: Option<(Instant, Received)>,
}

fn slow_receiver(mut inner: impl LinkReceiver + 'static, delay: Duration) -> SlowReceiver {
    let (arrived, wire) = mpsc::channel(ON_THE_WIRE);
    tokio::spawn(async move {
        loop {
            let received = inner.recv().await;
            let last = !matches!(received, Ok(Some(_)));
            if arrived.send((Instant::now() + delay, received)).await.is_err() || last {
                return;
            }
        }
    });
    SlowReceiver { wire, next: None }
}

impl LinkReceiver for SlowReceiver {
    fn recv(&mut self) -> BoxFuture<'_, Received> {
        Box::pin(async {
            if self.next.is_none() {
                self.next = self.wire.recv().await;
            }
            // After the end there is nothing more.
            let Some((at, _)) = &self.next else { return Ok(None) };
            sleep_until(*at).await;
            self.next.take().map_or(Ok(None), |(_, received)| received)
        })
    }
}

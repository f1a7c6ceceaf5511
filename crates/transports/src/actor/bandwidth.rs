//! An optional limit on what all links of an actor carry together, each way.
//!
//! Invariant: in any span of time no more goes one way than the rate gives, one burst, and the frame that was under
//! way of each link. Who asked first goes first, so no link starves another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::limits::{BANDWIDTH_BURST, BANDWIDTH_MIN};

/// How many bytes a second all links of an instance carry together, at most. Frames are counted as they are on the
/// link, sealed and compressed; what a transport wraps around them is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandwidthLimit {
    /// What is sent, in bytes a second; `None` sets no limit. Less than [`BANDWIDTH_MIN`] counts as that.
    pub up_bytes_per_second: Option<u64>,
    /// What is received, in bytes a second; `None` sets no limit. Less than [`BANDWIDTH_MIN`] counts as that.
    pub down_bytes_per_second: Option<u64>,
}

/// The limits of an actor, shared by its links.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bandwidth {
    pub(crate) up: Bucket,
    pub(crate) down: Bucket,
}

impl Bandwidth {
    pub(crate) fn new(limit: Option<BandwidthLimit>) -> Self {
        let bandwidth = Self::default();
        bandwidth.set(limit);
        bandwidth
    }

    /// Sets or lifts the limits; what waits goes by the new ones.
    pub(crate) fn set(&self, limit: Option<BandwidthLimit>) {
        let limit = limit.unwrap_or_default();
        self.up.set(limit.up_bytes_per_second);
        self.down.set(limit.down_bytes_per_second);
    }
}

/// Tokens of one direction: they come at a rate, and a burst of them is kept.
#[derive(Debug, Clone)]
pub(crate) struct Bucket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rate: watch::Sender<Option<u64>>,
    /// When all that was taken is paid for; `None` while nothing was taken.
    paid: Mutex<Option<Instant>>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self(Arc::new(Shared { rate: watch::Sender::new(None), paid: Mutex::new(None) }))
    }
}

/// Bytes that were taken from a bucket.
#[derive(Debug)]
pub(crate) struct Taken {
    /// When there are tokens for them.
    at: Instant,
    /// By this rate.
    rate: u64,
}

impl Bucket {
    fn set(&self, rate: Option<u64>) {
        let rate = rate.map(|rate| rate.max(BANDWIDTH_MIN));
        self.0.rate.send_if_modified(|now| {
            let changed = *now != rate;
            if changed {
                *now = rate;
                *self.0.paid.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            changed
        });
    }

    /// Takes tokens for these bytes, which may not be there yet; `None` where there is no limit.
    pub(crate) fn take(&self, bytes: usize) -> Option<Taken> {
        let rate = (*self.0.rate.borrow())?;
        let now = Instant::now();
        let mut paid = self.0.paid.lock().unwrap_or_else(PoisonError::into_inner);
        // What was saved up while nothing was sent is one burst at most.
        let full = now.checked_sub(time(BANDWIDTH_BURST, rate)).unwrap_or(now);
        let end = paid.map_or(full, |paid| paid.max(full)) + time(bytes as u64, rate);
        *paid = Some(end);
        Some(Taken { at: end, rate })
    }

    /// Waits until there are tokens for what was taken, or the limit is another one. Cancel safe.
    pub(crate) async fn wait(&self, taken: &Taken) {
        let mut rate = self.0.rate.subscribe();
        tokio::select! {
            () = sleep_until(taken.at) => {}
            // The bucket is not dropped while it is borrowed.
            _ = rate.wait_for(|rate| *rate != Some(taken.rate)) => {}
        }
    }
}

/// Returns how long it takes until so many bytes have come.
fn time(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use weald_dag::Randomness;

    use super::*;

    /// Runs senders of random frames side by side; returns what went when, since the start.
    async fn run(bucket: &Bucket, seed: u8, senders: u8) -> Vec<(Duration, u64)> {
        let began = Instant::now();
        let (sent, mut went) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..senders {
            let mut chance = Randomness::from_seed([seed, n].repeat(16).try_into().unwrap());
            let (bucket, sent) = (bucket.clone(), sent.clone());
            tokio::spawn(async move {
                for _ in 0..40 {
                    let bytes = u32::from_le_bytes(chance.bytes()) as usize % 300_000;
                    // Some idle now and then: what they save up must stay bounded.
                    let idle = u64::from(chance.bytes::<1>()[0]) * 20;
                    tokio::time::sleep(Duration::from_millis(idle)).await;
                    if let Some(taken) = bucket.take(bytes) {
                        bucket.wait(&taken).await;
                    }
                    sent.send((began.elapsed(), bytes as u64)).unwrap();
                }
            });
        }
        drop(sent);
        let mut all = Vec::new();
        while let Some(one) = went.recv().await {
            all.push(one);
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn in_any_span_no_more_goes_than_the_rate_and_one_burst() {
        for (seed, rate) in [(1, BANDWIDTH_MIN), (2, 100_000), (3, 1_000_000), (4, 30_000_000)] {
            let bucket = Bucket::default();
            bucket.set(Some(rate));
            let went = run(&bucket, seed, 5).await;
            for (i, (from, _)) in went.iter().enumerate() {
                let mut bytes = 0;
                for (until, more) in &went[i..] {
                    bytes += more;
                    // Timers tell whole milliseconds.
                    let span = (*until - *from).as_secs_f64() + 0.002;
                    let most = span * rate as f64 + (BANDWIDTH_BURST + 300_000) as f64;
                    assert!(bytes as f64 <= most, "{bytes} of {most} in {span} s at {rate}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_always_has_something_to_send_gets_the_whole_rate() {
        let bucket = Bucket::default();
        bucket.set(Some(1_000_000));
        let began = Instant::now();
        for _ in 0..100 {
            let taken = bucket.take(100_000).unwrap();
            bucket.wait(&taken).await;
        }
        let took = began.elapsed();
        assert!((Duration::from_millis(9_900)..Duration::from_millis(10_010)).contains(&took));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_lifted_lets_go_whoever_waits() {
        let bandwidth = Bandwidth::new(Some(BandwidthLimit {
            up_bytes_per_second: Some(1),
            down_bytes_per_second: None,
        }));
        assert!(bandwidth.down.take(1 << 30).is_none());
        let taken = bandwidth.up.take(1 << 40).unwrap();
        let up = bandwidth.up.clone();
        let waiting = tokio::spawn(async move { up.wait(&taken).await });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        bandwidth.set(None);
        waiting.await.unwrap();
        assert!(bandwidth.up.take(1 << 40).is_none());
    }
}

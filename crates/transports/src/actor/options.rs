//! How an actor behaves.

use std::num::NonZero;
use std::time::Duration;

use super::bandwidth::BandwidthLimit;
use super::limits::{HEALTH_EVERY, RETRY_FIRST, RETRY_MAX, ROUND_EVERY};

/// How the actor behaves; [`Default`] is what instances use.
#[derive(Debug, Clone)]
pub struct ActorOptions {
    /// The first pause before a peer is dialled again (default: [`RETRY_FIRST`]).
    pub retry_first: Duration,
    /// The longest pause before a peer is dialled again (default: [`RETRY_MAX`]).
    pub retry_max: Duration,
    /// How often linked peers compare although nothing seems to have happened (default: [`ROUND_EVERY`]).
    pub round_every: Duration,
    /// How long nothing may come on a link before the peer is asked whether it is there; half as long later the
    /// link counts as dead. `None` never asks (default: [`HEALTH_EVERY`]).
    pub health_every: Option<Duration>,
    /// How many bytes a second all links carry together, at most (default: no limit).
    pub bandwidth: Option<BandwidthLimit>,
    /// Threads for links, at least 2 (default: one a core, at most 4).
    pub threads: usize,
}

impl Default for ActorOptions {
    fn default() -> Self {
        Self {
            retry_first: RETRY_FIRST,
            retry_max: RETRY_MAX,
            round_every: ROUND_EVERY,
            bandwidth: None,
            health_every: Some(HEALTH_EVERY),
            threads: std::thread::available_parallelism().map_or(2, NonZero::get).min(4),
        }
    }
}

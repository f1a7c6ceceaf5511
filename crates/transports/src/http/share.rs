//! A share bounds how much of the server one remote address holds; what is taken is given back when its guard is dropped.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each address holds of one thing.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    most: usize,
    held: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Shares {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// Takes one for an address, unless it holds the most it may.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Share> {
        let origin = origin(address);
        let mut held = self.lock();
        let count = held.get(&origin).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        held.insert(origin, count + 1);
        drop(held);
        Some(Share { shares: self.clone(), origin })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    origin: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        match held.get_mut(&self.origin) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.origin);
            }
        }
    }
}

/// Returns what counts as one address: of IPv6 the first 64 bits, since the rest is the owner's to choose.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_no_more_than_its_share_and_gives_it_back() {
        let shares = Shares::new(2);
        let take = |text: &str| shares.take(text.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let second = take("::ffff:192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "both ways to write it are one address");
        assert!(take("192.0.2.2").is_some());
        drop(first);
        let again = take("192.0.2.1").unwrap();
        drop((second, again));
        assert!(shares.lock().is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let shares = Shares::new(1);
        let take = |text: &str| shares.take(text.parse().unwrap());
        let _held = take("2001:db8::1").unwrap();
        assert!(take("2001:db8::ffff:2").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }
}

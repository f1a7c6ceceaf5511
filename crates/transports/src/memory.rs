//! The memory transport: links between instances of one process, by names in a shared network object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::address::{Address, MEMORY};
use crate::halves::link_over;
use crate::link::{BoxFuture, Link};
use crate::listener::{Arrivals, DeliverError, Listener};
use crate::pipe::Pipe;
use crate::transport::{DialError, ListenError, Transport};

/// A set of names at which transports of this process listen.
///
/// A cheap handle: clones share the names. Two networks do not see each other.
#[derive(Debug, Clone, Default)]
pub struct MemoryNetwork {
    names: Arc<Mutex<BTreeMap<String, Arrivals>>>,
}

impl MemoryNetwork {
    /// Makes a network without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a transport that listens at `name` (address `memory:name`) and dials the others.
    pub fn transport(&self, name: &str) -> MemoryTransport {
        MemoryTransport { network: self.clone(), address: Address::memory(name) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arrivals>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reaches the other transports of a [`MemoryNetwork`].
#[derive(Debug, Clone)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    address: Address,
}

impl MemoryTransport {
    /// Returns the address at which it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn dial_now(&self, address: &Address) -> Result<Link, DialError> {
        if address.kind() != MEMORY {
            return Err(DialError::WrongKind { address: address.clone(), kind: MEMORY });
        }
        let nobody = || DialError::NobodyListens { address: address.clone() };
        let arrivals = self.network.lock().get(address.text()).cloned();
        let arrivals = arrivals.ok_or_else(nobody)?;
        let (there, back) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let theirs = link_over(self.address.clone(), Arc::clone(&back), Arc::clone(&there));
        arrivals.deliver(theirs).map_err(|error| match error {
            DeliverError::Closed => nobody(),
            DeliverError::Full => {
                DialError::Refused { address: address.clone(), message: error.to_string() }
            }
        })?;
        Ok(link_over(address.clone(), there, back))
    }

    fn listen_now(&self) -> Result<Listener, ListenError> {
        let mut names = self.network.lock();
        names.retain(|_, arrivals| !arrivals.is_closed());
        if names.contains_key(self.address.text()) {
            return Err(ListenError::AddressInUse { address: self.address.clone() });
        }
        let (listener, arrivals) = Listener::new(self.address.clone());
        names.insert(self.address.text().to_owned(), arrivals);
        Ok(listener)
    }
}

impl Transport for MemoryTransport {
    fn kind(&self) -> &'static str {
        MEMORY
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Link, DialError>> {
        Box::pin(std::future::ready(self.dial_now(address)))
    }

    fn listen(&self) -> BoxFuture<'_, Result<Listener, ListenError>> {
        Box::pin(std::future::ready(self.listen_now()))
    }
}

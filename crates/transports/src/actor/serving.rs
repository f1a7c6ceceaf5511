//! The transports of an actor: which there are, and which of them listen.
//!
//! Invariant: of one name at most one listens, and it is the one registered last.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::error::SyncError;
use super::limits::{DIAL_MAX, DIAL_STAGGER, STOP_MAX};
use super::notice::{Notice, Token};
use crate::address::Address;
use crate::link::Link;
use crate::listener::Listener;
use crate::transport::{DialError, ListenError, Transport};

/// The transports by the names that the app gave them.
pub(crate) type Transports = BTreeMap<String, Arc<dyn Transport>>;

/// A transport that listens.
pub(crate) struct Server {
    name: String,
    address: Address,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Stops listening, and waits for that for a bounded time.
    pub(crate) async fn stop(self) {
        let Self { stop, mut task, .. } = self;
        let _ = stop.send(());
        if timeout(STOP_MAX, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// What a transport that was asked to listen said.
pub(crate) struct Listening {
    name: String,
    outcome: Result<Listener, ListenError>,
}

/// Transports and servers.
#[derive(Default)]
pub(crate) struct Serving {
    transports: Transports,
    servers: BTreeMap<Token, Server>,
}

impl Serving {
    /// Adds a transport in place of one of that name; returns the server of that one, if it listens.
    pub(crate) fn register(
        &mut self,
        name: String,
        transport: Arc<dyn Transport>,
    ) -> Option<Server> {
        let listens = self.servers.iter().find(|(_, server)| server.name == name);
        let token = listens.map(|(token, _)| *token);
        self.transports.insert(name, transport);
        self.servers.remove(&token?)
    }

    /// Returns the kinds of addresses that are reached.
    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        self.transports.values().map(|transport| transport.kind().to_owned()).collect()
    }

    pub(crate) fn transports(&self) -> Transports {
        self.transports.clone()
    }

    /// Returns whether a transport reaches one of these addresses.
    pub(crate) fn reaches(&self, addresses: &[Address]) -> bool {
        addresses.iter().any(|address| transport_for(&self.transports, address).is_some())
    }

    /// Returns the transports that do not listen yet.
    pub(crate) fn silent(&self) -> Transports {
        let mut silent = self.transports.clone();
        silent.retain(|name, _| self.servers.values().all(|server| server.name != *name));
        silent
    }

    /// Takes the listeners that were started; returns all addresses, or the first failure.
    pub(crate) fn serve(
        &mut self,
        listening: Vec<Listening>,
        token: &mut Token,
        notices: &mpsc::UnboundedSender<Notice>,
    ) -> Result<Vec<Address>, SyncError> {
        let (mut failed, mut no_address) = (None, None);
        for Listening { name, outcome } in listening {
            match outcome {
                Ok(listener) => {
                    *token += 1;
                    let (stop, stopped) = oneshot::channel();
                    let address = listener.address().clone();
                    let task = tokio::spawn(accept(listener, *token, stopped, notices.clone()));
                    self.servers.insert(*token, Server { name, address, stop, task });
                }
                Err(error) => {
                    let dial_only = matches!(error, ListenError::NoAddress { .. });
                    let kept = if dial_only { &mut no_address } else { &mut failed };
                    let source = Arc::new(error);
                    kept.get_or_insert(SyncError::Listen { name, source });
                }
            }
        }
        // A transport that only dials is no failure while another one listens.
        let failed = failed.or(no_address.filter(|_| self.servers.is_empty()));
        failed.map_or_else(|| Ok(self.addresses().into_iter().map(|(_, at)| at).collect()), Err)
    }

    /// Forgets a listener that ended by itself.
    pub(crate) fn ended(&mut self, listener: Token) {
        self.servers.remove(&listener);
    }

    pub(crate) fn addresses(&self) -> Vec<(String, Address)> {
        self.servers.values().map(|server| (server.name.clone(), server.address.clone())).collect()
    }

    /// Stops all servers and waits for them, for a bounded time.
    pub(crate) async fn hush(&mut self) {
        let servers = std::mem::take(&mut self.servers).into_values();
        join_all(servers.map(Server::stop)).await;
    }
}

fn transport_for<'a>(
    transports: &'a Transports,
    address: &Address,
) -> Option<&'a Arc<dyn Transport>> {
    transports.values().find(|transport| transport.kind() == address.kind())
}

/// Asks transports to listen.
pub(crate) async fn listen(silent: Transports) -> Vec<Listening> {
    let mut listening = Vec::new();
    for (name, transport) in silent {
        listening.push(Listening { name, outcome: transport.listen().await });
    }
    listening
}

async fn accept(
    mut listener: Listener,
    token: Token,
    mut stop: oneshot::Receiver<()>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    loop {
        let link = tokio::select! {
            link = listener.accept() => link,
            _ = &mut stop => {
                listener.close().await;
                return;
            }
        };
        let notice = link.map_or(Notice::Deaf { listener: token }, Notice::Arrived);
        let ended = matches!(notice, Notice::Deaf { .. });
        if notices.send(notice).is_err() || ended {
            return;
        }
    }
}

/// Dials addresses until one answers; otherwise gives the last failure.
///
/// The first is dialled first; each further one when one before it has failed, or after [`DIAL_STAGGER`]. Those that
/// are distrusted come last, each alone: who poses there and answers sooner must not keep the peer from being heard.
pub(crate) async fn dial(
    transports: Transports,
    addresses: Vec<Address>,
    distrusted: &[Address],
) -> Result<(Address, Link), SyncError> {
    let mut failed = match addresses.first() {
        _ if transports.is_empty() => return Err(SyncError::NoTransportEnabled),
        Some(address) => SyncError::NoTransport { address: address.clone() },
        None => return Err(SyncError::NoAddressGiven),
    };
    let reached = addresses.into_iter().filter_map(|address| {
        let transport = Arc::clone(transport_for(&transports, &address)?);
        Some((transport, address))
    });
    let (alone, beside): (Vec<_>, Vec<_>) =
        reached.partition(|(_, address)| distrusted.contains(address));
    let mut trusted = beside.len();
    let mut waiting: VecDeque<_> = beside.into_iter().chain(alone).collect();
    let mut dials = FuturesUnordered::new();
    loop {
        if (trusted > 0 || dials.is_empty())
            && let Some((transport, address)) = waiting.pop_front()
        {
            trusted = trusted.saturating_sub(1);
            dials.push(dial_one(transport, address));
        }
        let ended = tokio::select! {
            ended = dials.next() => ended,
            () = sleep(DIAL_STAGGER), if trusted > 0 => continue,
        };
        match ended {
            Some(Ok(dialled)) => return Ok(dialled),
            Some(Err(error)) => failed = error,
            None => return Err(failed),
        }
    }
}

async fn dial_one(
    transport: Arc<dyn Transport>,
    address: Address,
) -> Result<(Address, Link), SyncError> {
    match timeout(DIAL_MAX, transport.dial(&address)).await {
        Ok(Ok(link)) => Ok((address, link)),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(timed_out(address, DIAL_MAX)),
    }
}

fn timed_out(address: Address, after: Duration) -> SyncError {
    DialError::TimedOut { address, after }.into()
}

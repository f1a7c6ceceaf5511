//! The HTTP transport: links over plain requests under `/api/v0`, for simple deployments and through any proxy.
//!
//! A link is a session. The client posts its frames, numbered from 1, and polls for the server's, acknowledging
//! the last number it has; whatever is not acknowledged is kept and sent again, so a lost connection loses and
//! doubles nothing. The session id only locates; frames are sealed by the layer above.

mod answer;
mod client;
mod connections;
mod limits;
mod server;
mod session;
mod share;
mod wire;

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::address::{Address, AddressError, HTTP};
use crate::halves::link_over;
use crate::link::{BoxFuture, Link};
use crate::listener::{Arrivals, Listener};
use crate::pipe::Pipe;
use crate::transport::{DialError, ListenError, Transport};
use client::{Client, Opened, open_session};
use limits::{Bounds, DIAL_WAIT, KEEPALIVE, RETRY_FOR, SESSIONS_PATH};

/// Dials and serves links over HTTP/1.1 without TLS.
///
/// A cheap handle: clones share the connections and the address served. While it listens it answers:
///
/// | request | answer |
/// |---|---|
/// | `GET /api/v0/health` | `{"status": "ok"}` |
/// | `GET /api/v0/capabilities` | JSON: version, limits |
/// | `POST /api/v0/sessions` | 201 `{"session": ID}` |
/// | `POST /api/v0/sessions/ID/frames?first=N` | the body's frames are numbers N, N+1, … (from 1); `{"next": N}` says which number comes next; known numbers are skipped, a gap is 409, and so is a post while another runs |
/// | `GET /api/v0/sessions/ID/frames?after=N` | the frames after number N, held up to 25 s until there is one; frames up to N are forgotten; a second poll ends the first with 409 |
/// | `DELETE /api/v0/sessions/ID` | ends the session |
///
/// Frames in a body stand behind their length (u32, big endian); the length `0xffffffff` ends the direction and
/// counts as one number. Errors are `{"error": {"code", "message"}}`: 404 `session_unknown`, 410 `link_dropped`
/// or `listener_closed`, 413 for too large, 429 when the client's address
/// holds its share of sessions, 503 when full or stopping.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    http: reqwest::Client,
    bind: Option<Address>,
    bounds: Bounds,
    retry_for: Duration,
    serving: Arc<Mutex<Option<(Address, Arrivals)>>>,
}

impl HttpTransport {
    /// Starts to configure a transport.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder { bind: None, bounds: Bounds::default(), retry_for: RETRY_FOR }
    }

    /// Returns the address served, with the real port; `None` while nothing listens.
    pub fn server_address(&self) -> Option<Address> {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, arrivals) = serving.as_ref()?;
        (!arrivals.is_closed()).then(|| address.clone())
    }

    async fn dial_now(&self, address: &Address) -> Result<Link, DialError> {
        if address.kind() != HTTP {
            return Err(DialError::WrongKind { address: address.clone(), kind: HTTP });
        }
        let url = format!("http://{}{SESSIONS_PATH}", address.text());
        let opened = match timeout(DIAL_WAIT, open_session(&self.http, &url)).await {
            Ok(opened) => opened.map_err(|error| dial_error(address, error))?,
            Err(_) => {
                return Err(DialError::TimedOut { address: address.clone(), after: DIAL_WAIT });
            }
        };
        let id = match opened {
            Opened::Session(id) => id,
            Opened::Refused(message) => {
                let address = address.clone();
                return Err(DialError::Refused { address, message });
            }
            Opened::NotWeald(message) => {
                let address = address.clone();
                return Err(DialError::NotWeald { address, message });
            }
        };
        let (outward, inward) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let client = Client {
            http: self.http.clone(),
            session: format!("{url}/{id}"),
            outward: Arc::clone(&outward),
            inward: Arc::clone(&inward),
            retry_for: self.retry_for,
        };
        tokio::spawn(client.run());
        Ok(link_over(address.clone(), outward, inward))
    }

    async fn listen_now(&self) -> Result<Listener, ListenError> {
        let no_address = ListenError::NoAddress { kind: HTTP };
        let Some(bind) = &self.bind else {
            return Err(no_address);
        };
        let Some(host_port) = bind.host_port() else {
            return Err(no_address);
        };
        let failed = |source: io::Error| listen_error(bind, source);
        let socket = TcpListener::bind(host_port).await.map_err(failed)?;
        let address = Address::from_socket(socket.local_addr().map_err(failed)?);
        let (listener, arrivals) = Listener::new(address.clone());
        let serving = Some((address, arrivals.clone()));
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = serving;
        tokio::spawn(server::serve(socket, arrivals, self.bounds));
        Ok(listener)
    }
}

impl Transport for HttpTransport {
    fn kind(&self) -> &'static str {
        HTTP
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Link, DialError>> {
        Box::pin(self.dial_now(address))
    }

    fn listen(&self) -> BoxFuture<'_, Result<Listener, ListenError>> {
        Box::pin(self.listen_now())
    }
}

fn listen_error(bind: &Address, source: io::Error) -> ListenError {
    let address = bind.clone();
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::AddressInUse { address },
        _ => ListenError::NotAvailable { address, source },
    }
}

fn dial_error(address: &Address, error: reqwest::Error) -> DialError {
    let address = address.clone();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        let refused = |e: &io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
        if error.downcast_ref::<io::Error>().is_some_and(refused) {
            return DialError::NobodyListens { address };
        }
        cause = error.source();
    }
    if error.is_connect() || error.is_timeout() {
        let source = Box::new(error);
        return DialError::Unreachable { address, source };
    }
    let message = "it does not speak HTTP".to_owned();
    DialError::NotWeald { address, message }
}

/// Configures an [`HttpTransport`].
#[derive(Debug, Clone)]
#[must_use]
pub struct HttpTransportBuilder {
    bind: Option<String>,
    bounds: Bounds,
    retry_for: Duration,
}

impl HttpTransportBuilder {
    /// Sets the address to listen at, such as `0.0.0.0:8088`; port 0 takes a free one (default: none, dial only).
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = Some(address.into());
        self
    }

    /// Sets how many links the server holds at once (default: 1024).
    pub fn sessions_max(mut self, most: usize) -> Self {
        self.bounds.sessions = most;
        self
    }

    /// Sets how many links the server holds at once with one remote address (default: 64).
    ///
    /// All clients behind one proxy, or one network's gateway, are one address; so are all in one IPv6 /64
    /// network. Their connections are bounded along with it: two for each link, and 32.
    pub fn sessions_by_address(mut self, most: usize) -> Self {
        self.bounds.sessions_by_address = most;
        self
    }

    /// Sets how many connections the server holds at once (default: 768).
    ///
    /// A link uses up to two at a time. More wait until others are closed. A process may open only so many
    /// files: raise that limit first.
    pub fn connections_max(mut self, most: usize) -> Self {
        self.bounds.connections = most;
        self
    }

    /// Sets for how long a dialled link repeats requests while the network fails, before it is cut (default: 30 s).
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// Builds the transport; nothing is opened yet.
    ///
    /// # Errors
    /// [`BuildError`] when the address to listen at is not one, or the HTTP client cannot be set up.
    pub fn build(self) -> Result<HttpTransport, BuildError> {
        let bind = self.bind.map(|text| text.parse::<Address>()).transpose()?;
        if let Some(address) = bind.as_ref().filter(|address| address.kind() != HTTP) {
            let address = address.clone();
            return Err(BuildError::WrongKind { address });
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(DIAL_WAIT)
            // Shorter than a poll is held, so that the server seldom closes a connection about to be used.
            .pool_idle_timeout(KEEPALIVE)
            .build()
            .map_err(|source| BuildError::Client { source: Box::new(source) })?;
        Ok(HttpTransport {
            http,
            bind,
            bounds: self.bounds,
            retry_for: self.retry_for,
            serving: Arc::default(),
        })
    }
}

/// Why an HTTP transport could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address to listen at is not an address.
    #[error("cannot listen there: {0}")]
    Address(#[from] AddressError),
    /// The address to listen at is of another kind.
    #[error("HTTP cannot listen at {address}: give host and port, such as 0.0.0.0:8088")]
    WrongKind {
        /// The address given.
        address: Address,
    },
    /// The HTTP client cannot be set up on this system.
    #[error("the HTTP client cannot be set up on this system")]
    Client {
        /// What it said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

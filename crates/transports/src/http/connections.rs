//! Connections are bounded: in all, by remote address, in the time a request's head takes, and in age.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::limits::{ACCEPT_PAUSE, ANSWER_WAIT, Bounds, CONNECTION_AGE, HEAD_MAX, HEAD_WAIT};
use super::share::{Share, Shares};
use crate::listener::Arrivals;

/// Serves connections until the listener of `arrivals` is closed, then lets the running requests come to their answers.
///
/// Dropping the future breaks off all connections.
pub(crate) async fn serve_connections(
    socket: TcpListener,
    router: Router,
    arrivals: &Arrivals,
    bounds: Bounds,
) {
    let free = Arc::new(Semaphore::new(bounds.connections.min(Semaphore::MAX_PERMITS)));
    let shares = Shares::new(bounds.connections_by_address());
    let mut running = JoinSet::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            () = arrivals.closed() => break,
            // Takes the results of connections that are over.
            Some(_) = running.join_next() => continue,
            accepted = accept(&socket, &free) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let Some(share) = shares.take(peer.ip()) else {
            tracing::debug!(%peer, "a connection is refused: its address has too many");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let held = (permit, share);
        running.spawn(serve_connection(stream, peer, router.clone(), arrivals.clone(), held));
    }
    drop(socket);
    while running.join_next().await.is_some() {}
}

/// Accepts a connection once there is room for one. Cancel safe.
async fn accept(
    socket: &TcpListener,
    free: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            let of_peer = matches!(
                error.kind(),
                io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
            );
            if !of_peer {
                // Such as no file left: trying again at once would spin.
                tracing::warn!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    arrivals: Arrivals,
    _held: (OwnedSemaphorePermit, Share),
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = arrivals.closed() => None,
        () = sleep(CONNECTION_AGE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            // A peer that does not read its answer is not waited for any longer.
            timeout(ANSWER_WAIT, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
}

//! The server: a request only moves frames between a session's pipes and a body; repeating one changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Path, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::answer::{ApiError, POLL_REPLACED, POST_RUNNING, answer_frames, answer_json};
use super::connections::serve_connections;
use super::limits::{
    ANSWER_WAIT, BATCH_BYTES, BATCH_FRAMES, BODY_MAX, BODY_STALL, Bounds, POLL_HOLD, POST_HOLD,
    SESSION_LOOK, STOP_WAIT,
};
use super::session::{Session, Sessions};
use super::wire;
use crate::address::Address;
use crate::halves::link_over;
use crate::link::{CutReason, FRAME_MAX, LinkError};
use crate::listener::{Arrivals, DeliverError};
use crate::pipe::{Chunk, NumberError};

struct Server {
    sessions: Sessions,
    arrivals: Arrivals,
}

/// Serves sessions on a bound socket until the listener of `arrivals` is closed.
pub(crate) async fn serve(socket: TcpListener, arrivals: Arrivals, bounds: Bounds) {
    let running = arrivals.running();
    let server = Arc::new(Server { sessions: Sessions::new(bounds), arrivals: arrivals.clone() });
    let served = serve_connections(socket, router(Arc::clone(&server)), &arrivals, bounds);
    let stopped = async {
        tokio::select! {
            () = arrivals.closed() => {}
            () = expire_sessions(&server.sessions) => {}
        }
        server.sessions.close();
        sleep(STOP_WAIT).await;
    };
    tokio::select! {
        () = served => {}
        () = stopped => {}
    }
    server.sessions.close();
    drop(running);
}

async fn expire_sessions(sessions: &Sessions) {
    let mut ticks = interval(SESSION_LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sessions.expire(Instant::now());
    }
}

fn router(server: Arc<Server>) -> Router {
    let frames = get(poll_frames).post(post_frames);
    let api = Router::new()
        .route("/health", get(health))
        .route("/capabilities", get(capabilities))
        .route("/sessions", post(open_session))
        .route("/sessions/{id}", axum::routing::delete(close_session))
        .route("/sessions/{id}/frames", frames);
    Router::new()
        .nest("/api/v0", api)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(server)
}

async fn no_route() -> ApiError {
    let message = "no such path: GET /api/v0/capabilities says what there is";
    ApiError::new(StatusCode::NOT_FOUND, "path_unknown", message)
}

async fn no_method() -> ApiError {
    let message = "this path does not take this method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

async fn health() -> Response {
    answer_json(StatusCode::OK, &json!({"status": "ok"}))
}

async fn capabilities() -> Response {
    let value = json!({
        "name": "weald",
        "version": env!("CARGO_PKG_VERSION"),
        "api": "v0",
        "transports": ["http"],
        "frame_max": FRAME_MAX,
        "body_max": BODY_MAX,
        "frames_max": BATCH_FRAMES,
        "poll_seconds": POLL_HOLD.as_secs(),
    });
    answer_json(StatusCode::OK, &value)
}

async fn open_session(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Result<Response, ApiError> {
    let (id, session) = server.sessions.open(peer.ip())?;
    let (up, down) = (Arc::clone(&session.up), Arc::clone(&session.down));
    let link = link_over(Address::from_socket(peer), down, up);
    if let Err(error) = server.arrivals.deliver(link) {
        let _ = server.sessions.remove(&id, CutReason::Dropped);
        return Err(match error {
            DeliverError::Closed => Sessions::stopping(),
            DeliverError::Full => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                ApiError::new(status, "busy", error.to_string())
            }
        });
    }
    Ok(answer_json(StatusCode::CREATED, &json!({"session": id})))
}

async fn close_session(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    server.sessions.remove(&id, CutReason::Dropped)?;
    Ok(answer_json(StatusCode::OK, &json!({"closed": true})))
}

async fn post_frames(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    // The session is looked up first, so that a stranger cannot make the server hold bodies.
    let session = server.sessions.find(&id)?;
    let visit = session.enter();
    let taken = take_post(&session, query.as_deref(), request).await;
    visit.answered();
    Ok(answer_json(StatusCode::OK, &json!({"next": taken?})))
}

async fn take_post(
    session: &Session,
    query: Option<&str>,
    request: Request,
) -> Result<u64, ApiError> {
    let first = number(query, "first")?;
    // One post at a time, before a byte of the body is read: one session makes the server hold one body.
    let Ok(mut next) = session.next.try_lock() else {
        let message = "another post of this session is running: wait for its answer";
        return Err(ApiError::new(StatusCode::CONFLICT, POST_RUNNING, message));
    };
    if let Some(reason) = session.up.broken_now() {
        return Err(reason.into());
    }
    if first > *next {
        let message = format!("frame {first} does not follow: the next number is {}", *next);
        return Err(ApiError::new(StatusCode::CONFLICT, "gap", message));
    }
    let chunk = wire::decode(read_body(request).await?)?;
    take_frames(session, first, chunk, &mut next).await
}

/// Reads a body of at most [`BODY_MAX`] bytes, as long as it keeps coming.
async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    // A length that says too much is refused before a byte of the body is read.
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |size| size > BODY_MAX)) {
        return Err(wire::WireError::BodyTooLarge.into());
    }
    let too_slow = |_| {
        let message = "the body did not arrive in time: send smaller bodies";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
    };
    let deadline = Instant::now() + ANSWER_WAIT;
    let mut parts = request.into_body().into_data_stream();
    // Grows with what came, not with what was announced.
    let mut body = BytesMut::new();
    loop {
        let until = deadline.min(Instant::now() + BODY_STALL);
        let part = match timeout_at(until, parts.next()).await.map_err(too_slow)? {
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                let message = error.to_string();
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_body", message));
            }
            None => return Ok(body.freeze()),
        };
        if body.len().saturating_add(part.len()) > BODY_MAX {
            return Err(wire::WireError::BodyTooLarge.into());
        }
        body.extend_from_slice(&part);
    }
}

/// Takes the frames that are new, in order, waiting for room; returns the number expected next.
async fn take_frames(
    session: &Session,
    first: u64,
    chunk: Chunk,
    next: &mut u64,
) -> Result<u64, ApiError> {
    let deadline = Instant::now() + POST_HOLD;
    let mut number = first;
    for frame in chunk.frames {
        if number >= *next {
            match timeout_at(deadline, session.up.push(frame)).await {
                Ok(pushed) => pushed.map_err(link_error)?,
                Err(_) => return Ok(*next),
            }
            *next = number + 1;
        }
        number += 1;
    }
    if chunk.finished && number >= *next {
        session.up.finish().map_err(link_error)?;
        *next = number + 1;
    }
    Ok(*next)
}

fn link_error(error: LinkError) -> ApiError {
    match error {
        LinkError::Cut(reason) => reason.into(),
        LinkError::Closed | LinkError::FrameTooLarge { .. } => wire::WireError::AfterEnd.into(),
    }
}

async fn poll_frames(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let session = server.sessions.find(&id)?;
    let visit = session.enter();
    let answer = match number(query.as_deref(), "after") {
        Ok(after) => hold_poll(&session, after).await,
        Err(error) => Err(error),
    };
    visit.answered();
    Ok(answer_frames(wire::encode(&answer?)))
}

async fn hold_poll(session: &Session, after: u64) -> Result<Chunk, ApiError> {
    if let Some(reason) = session.down.broken_now() {
        return Err(reason.into());
    }
    session.down.acknowledge(after).map_err(|error| match error {
        NumberError::Beyond => ApiError::bad_number("no frame of this number was sent"),
        NumberError::Gone => ApiError::bad_number("a later number was acknowledged before"),
    })?;
    let mut mine = 0;
    session.turn.send_modify(|turn| {
        *turn += 1;
        mine = *turn;
    });
    let mut turn = session.turn.subscribe();
    tokio::select! {
        _ = turn.wait_for(|turn| *turn != mine) => {
            let message = "a later poll of this session took the place of this one";
            Err(ApiError::new(StatusCode::CONFLICT, POLL_REPLACED, message))
        }
        chunk = session.down.read_after(after, BATCH_BYTES, BATCH_FRAMES) => {
            chunk.map_err(ApiError::from)
        }
        () = sleep(POLL_HOLD) => Ok(Chunk::default()),
    }
}

/// Reads the number `name=N` from a query.
fn number(query: Option<&str>, name: &str) -> Result<u64, ApiError> {
    let pairs = query.unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().and_then(|value| value.parse().ok());
    value
        .filter(|value| name != "first" || *value > 0)
        .ok_or_else(|| ApiError::bad_number(&format!("write ?{name}=N with a number of a frame")))
}

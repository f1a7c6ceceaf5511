//! The client: one task a link posts and polls at once; a request that failed is repeated with the same numbers.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::answer::{LINK_DROPPED, LISTENER_CLOSED, POLL_REPLACED, POST_RUNNING, SESSION_UNKNOWN};
use super::limits::{
    ANSWER_MAX, ANSWER_WAIT, BATCH_BYTES, BATCH_FRAMES, BODY_MAX, DELETE_WAIT, KEEPALIVE,
    POLL_HOLD, POST_HOLD, RETRY_PAUSE, RETRY_PAUSE_MAX,
};
use super::wire;
use crate::link::CutReason;
use crate::pipe::{Chunk, Pipe};

/// Moves frames between the two pipes of a link and one session of a server.
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    /// The session's URL.
    pub(crate) session: String,
    pub(crate) outward: Arc<Pipe>,
    pub(crate) inward: Arc<Pipe>,
    pub(crate) retry_for: Duration,
}

/// Why one request failed.
enum Failure {
    /// The network may recover: try again.
    Passing(Arc<dyn Error + Send + Sync>),
    /// Trying again cannot help.
    Final(CutReason),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The URL ends in the id of the session, with which others could end it.
        Self::Passing(Arc::new(error.without_url()))
    }
}

/// An answer that may be another one later.
#[derive(Debug, thiserror::Error)]
#[error("the peer answered {status} {code}")]
struct PassingAnswer {
    status: StatusCode,
    code: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        // Also when the runtime drops the task: nobody may wait for frames that cannot come.
        self.inward.cut(CutReason::Dropped);
        self.outward.abort(CutReason::Dropped);
    }
}

impl Client {
    /// Runs until both directions have ended, then tells the server that the session is over.
    pub(crate) async fn run(self) {
        tokio::join!(self.post(), self.poll());
        let done = self.http.delete(&self.session).timeout(DELETE_WAIT);
        if let Err(error) = done.send().await.map_err(reqwest::Error::without_url) {
            tracing::debug!(%error, "the server was not told that the session is over");
        }
    }

    async fn post(&self) {
        let Err(reason) = self.post_all().await else {
            return;
        };
        // A peer that reads no more may still send: the poll finds out by itself.
        if !matches!(reason, CutReason::Dropped) {
            self.inward.cut(reason.clone());
        }
        self.outward.abort(reason);
    }

    async fn post_all(&self) -> Result<(), CutReason> {
        let mut acknowledged = 0;
        while !self.outward.end_acknowledged() {
            let read = self.outward.read_after(acknowledged, BATCH_BYTES, BATCH_FRAMES);
            let chunk = match timeout(KEEPALIVE, read).await {
                Ok(chunk) => chunk?,
                Err(_) => Chunk::default(),
            };
            acknowledged = self.post_chunk(acknowledged, &chunk).await?;
        }
        // The session must stay alive while the peer still sends and this side is slow to read.
        while timeout(KEEPALIVE, self.inward.ended()).await.is_err() {
            self.post_chunk(acknowledged, &Chunk::default()).await?;
        }
        Ok(())
    }

    /// Posts a chunk until it is answered; returns the number of the last frame that the server has.
    async fn post_chunk(&self, acknowledged: u64, chunk: &Chunk) -> Result<u64, CutReason> {
        let body = wire::encode(chunk);
        let first = acknowledged.saturating_add(1);
        let next = tokio::select! {
            next = self.retrying(|| self.post_once(first, body.clone())) => next?,
            reason = self.outward.broken() => return Err(reason),
        };
        let last = next.saturating_sub(1);
        match self.outward.acknowledge(last) {
            Ok(()) => Ok(last),
            Err(_) => Err(protocol("it acknowledged a frame that was not sent")),
        }
    }

    async fn post_once(&self, first: u64, body: Bytes) -> Result<u64, Failure> {
        let url = format!("{}/frames?first={first}", self.session);
        let request = self.http.post(url).timeout(POST_HOLD + ANSWER_WAIT);
        let response = check(request.body(body).send().await?).await?;
        let answer = json(&read_body(response, ANSWER_MAX).await?);
        let next = answer.get("next").and_then(Value::as_u64);
        next.ok_or_else(|| Failure::Final(protocol("its answer to a post has no number")))
    }

    async fn poll(&self) {
        if let Err(reason) = self.poll_all().await {
            self.inward.cut(reason.clone());
            self.outward.abort_unless_finished(reason);
        }
    }

    async fn poll_all(&self) -> Result<(), CutReason> {
        let mut after = 0u64;
        loop {
            let asked = Instant::now();
            let chunk = tokio::select! {
                chunk = self.retrying(|| self.poll_once(after)) => chunk?,
                reason = self.inward.broken() => return Err(reason),
            };
            if chunk.frames.is_empty() && !chunk.finished && asked.elapsed() < POLL_HOLD / 2 {
                // A server that does not hold polls must not make this side spin.
                sleep(RETRY_PAUSE).await;
            }
            for frame in chunk.frames {
                if self.inward.push(frame).await.is_err() {
                    return Err(CutReason::Dropped);
                }
                after = after.saturating_add(1);
            }
            if chunk.finished {
                let _ = self.inward.finish();
                return Ok(());
            }
        }
    }

    async fn poll_once(&self, after: u64) -> Result<Chunk, Failure> {
        let url = format!("{}/frames?after={after}", self.session);
        let request = self.http.get(url).timeout(POLL_HOLD + ANSWER_WAIT);
        let response = check(request.send().await?).await?;
        let body = read_body(response, BODY_MAX).await?;
        wire::decode(body).map_err(|error| Failure::Final(protocol(&error.to_string())))
    }

    /// Repeats an attempt while the network fails, with growing pauses, for a bounded time.
    async fn retrying<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, CutReason>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let started = Instant::now();
        let mut pause = RETRY_PAUSE;
        loop {
            let source = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure::Final(reason)) => return Err(reason),
                Err(Failure::Passing(source)) => source,
            };
            let after = started.elapsed();
            if after + pause > self.retry_for {
                return Err(CutReason::Unreachable { after, source });
            }
            tracing::debug!(error = %source, "a request failed and is repeated");
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }
}

fn protocol(what: &str) -> CutReason {
    CutReason::Protocol { what: what.to_owned() }
}

/// Lets a good answer through and sorts the others.
async fn check(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = read_body(response, ANSWER_MAX).await?;
    let (code, message) = error_of(&body);
    let passing = status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
        || code == POLL_REPLACED
        // The server has not noticed yet that the connection of the post before this one broke off.
        || code == POST_RUNNING;
    if passing {
        let source = Arc::new(PassingAnswer { status, code });
        return Err(Failure::Passing(source));
    }
    Err(Failure::Final(match code.as_str() {
        SESSION_UNKNOWN => CutReason::SessionUnknown,
        LINK_DROPPED => CutReason::Dropped,
        LISTENER_CLOSED => CutReason::ListenerClosed,
        _ => protocol(&format!("it answered {status} {code} {message}")),
    }))
}

/// Reads code and message of an error; empty where the answer is not one of ours.
pub(crate) fn error_of(body: &[u8]) -> (String, String) {
    let value = json(body);
    let text = |name: &str| {
        let text = value.pointer(&format!("/error/{name}")).and_then(Value::as_str);
        text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
    };
    (text("code"), text("message"))
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}

/// Reads a body of at most `max` bytes.
async fn read_body(mut response: Response, max: usize) -> Result<Bytes, Failure> {
    let expected = response.content_length().unwrap_or_default();
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    let mut body = BytesMut::with_capacity(expected.min(max));
    while let Some(part) = response.chunk().await? {
        if body.len().saturating_add(part.len()) > max {
            return Err(Failure::Final(protocol("its answer is too large")));
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

/// Asks for a session; returns its id, or the answer that was given instead.
pub(crate) async fn open_session(
    http: &reqwest::Client,
    url: &str,
) -> Result<Opened, reqwest::Error> {
    let response = http.post(url).send().await?;
    let status = response.status();
    let body = match read_body(response, ANSWER_MAX).await {
        Ok(body) => body,
        Err(_) => Bytes::new(),
    };
    if status == StatusCode::CREATED {
        let value = json(&body);
        let id = value.get("session").and_then(Value::as_str).unwrap_or_default();
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !id.is_empty() && id.len() <= super::limits::SESSION_ID_MAX && plain {
            return Ok(Opened::Session(id.to_owned()));
        }
        return Ok(Opened::NotWeald("it gave no session".to_owned()));
    }
    let (code, message) = error_of(&body);
    if code.is_empty() {
        return Ok(Opened::NotWeald(format!("it answered {status}")));
    }
    Ok(Opened::Refused(message))
}

/// What came of asking for a session.
pub(crate) enum Opened {
    Session(String),
    Refused(String),
    NotWeald(String),
}

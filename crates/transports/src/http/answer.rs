//! Every answer that is not frames is JSON; an error is `{"error": {"code", "message"}}`, its code one of those here.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::wire::WireError;
use crate::link::CutReason;

/// The session is not known: never opened, closed, expired, or of a server before a restart.
pub(crate) const SESSION_UNKNOWN: &str = "session_unknown";
/// The other end dropped the link.
pub(crate) const LINK_DROPPED: &str = "link_dropped";
/// The server stops.
pub(crate) const LISTENER_CLOSED: &str = "listener_closed";
/// A later poll took the place of this one.
pub(crate) const POLL_REPLACED: &str = "poll_replaced";
/// Another post of the session runs.
pub(crate) const POST_RUNNING: &str = "post_running";

/// An error as the API answers it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn session_unknown() -> Self {
        let message = "no such session: open one by POST /api/v0/sessions";
        Self::new(StatusCode::NOT_FOUND, SESSION_UNKNOWN, message)
    }

    pub(crate) fn bad_number(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_number", message)
    }
}

impl From<CutReason> for ApiError {
    fn from(reason: CutReason) -> Self {
        let code = match reason {
            CutReason::ListenerClosed => LISTENER_CLOSED,
            _ => LINK_DROPPED,
        };
        Self::new(StatusCode::GONE, code, reason.to_string())
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        let (status, code) = match error {
            WireError::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            WireError::FrameTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "frame_too_large"),
            WireError::TooMany => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_frames"),
            WireError::Truncated | WireError::AfterEnd => (StatusCode::BAD_REQUEST, "bad_frames"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let value = json!({"error": {"code": self.code, "message": self.message}});
        answer_json(self.status, &value)
    }
}

/// Answers with JSON.
pub(crate) fn answer_json(status: StatusCode, value: &Value) -> Response {
    answer(status, "application/json", value.to_string().into())
}

/// Answers with frames.
pub(crate) fn answer_frames(body: Bytes) -> Response {
    answer(StatusCode::OK, "application/octet-stream", body)
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

//! Every bound of the HTTP transport, in one place.

use std::time::Duration;

use crate::link::FRAME_MAX;

/// Where sessions are opened; one session is below it, by its id.
pub(crate) const SESSIONS_PATH: &str = "/api/v0/sessions";

/// A body is full once its frames reach this many bytes.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// The most frames in a body.
pub(crate) const BATCH_FRAMES: usize = 1024;

/// Bytes of the length before each frame of a body, and of the end.
pub(crate) const PREFIX: usize = 4;

/// The most bytes a body may have, either way: a full batch whose last frame is as long as a frame can be.
pub(crate) const BODY_MAX: usize = BATCH_BYTES + FRAME_MAX + (BATCH_FRAMES + 1) * PREFIX;

/// How long the server holds a poll that has nothing to say.
pub(crate) const POLL_HOLD: Duration = Duration::from_secs(25);

/// How long the server holds a post whose frames find no room.
pub(crate) const POST_HOLD: Duration = Duration::from_secs(20);

/// How long the server waits for the next bytes of a body; shorter than [`RETRY_FOR`], so that a post whose
/// connection died unseen gives way to its repetition.
pub(crate) const BODY_STALL: Duration = Duration::from_secs(10);

/// How long either side waits for the other beyond the hold, bodies included.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// How many sessions a server holds unless told otherwise.
pub(crate) const SESSIONS_MAX: usize = 1024;

/// A session without a request for this long is forgotten.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(60);

/// A session whose poll broke off is forgotten if no request follows for this long.
pub(crate) const SESSION_LOST: Duration = Duration::from_secs(10);

/// How often the server looks for sessions to forget.
pub(crate) const SESSION_LOOK: Duration = Duration::from_secs(2);

/// A client with nothing to send posts an empty body this often, so that its session is not forgotten.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long a client retries when the network fails, unless told otherwise.
pub(crate) const RETRY_FOR: Duration = Duration::from_secs(30);

/// The first pause before a retry; each pause doubles up to [`RETRY_PAUSE_MAX`].
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before a retry.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long dialling waits for the peer's answer.
pub(crate) const DIAL_WAIT: Duration = Duration::from_secs(10);

/// How long a client waits for the answer when it says that it is done with a session.
pub(crate) const DELETE_WAIT: Duration = Duration::from_secs(5);

/// How long a stopping server waits for its connections.
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(4);

/// The most bytes read of an answer that is not frames.
pub(crate) const ANSWER_MAX: usize = 16 << 10;

/// Random bytes in a session id.
pub(crate) const SESSION_ID_BYTES: usize = 16;

/// The most letters a client accepts as session id.
pub(crate) const SESSION_ID_MAX: usize = 64;

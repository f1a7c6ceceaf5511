//! Every bound of the HTTP transport, in one place; those in [`Bounds`] can be set.

use std::time::Duration;

use crate::link::FRAME_MAX;

/// How much a server holds at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) sessions: usize,
    pub(crate) sessions_by_address: usize,
    pub(crate) connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sessions: SESSIONS_MAX,
            sessions_by_address: SESSIONS_BY_ADDRESS,
            connections: CONNECTIONS_MAX,
        }
    }
}

impl Bounds {
    /// Returns how many connections one remote address holds.
    pub(crate) fn connections_by_address(&self) -> usize {
        let of_sessions = self.sessions_by_address.saturating_mul(CONNECTIONS_A_SESSION);
        of_sessions.saturating_add(CONNECTIONS_SPARE)
    }
}

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

/// How many sessions one remote address holds unless told otherwise.
pub(crate) const SESSIONS_BY_ADDRESS: usize = 64;

/// How many connections a server holds unless told otherwise; below the 1,024 files that a process often may
/// open, so that some are left.
pub(crate) const CONNECTIONS_MAX: usize = 768;

/// How many connections a session needs: one polls, one posts.
pub(crate) const CONNECTIONS_A_SESSION: usize = 2;

/// How many connections one remote address holds beyond those of its sessions.
pub(crate) const CONNECTIONS_SPARE: usize = 32;

/// How long the head of a request may take, the time before it on an idle connection included; longer than
/// [`KEEPALIVE`], so that clients give up idle connections first.
pub(crate) const HEAD_WAIT: Duration = Duration::from_secs(20);

/// The most bytes buffered of a connection: a head is shorter.
pub(crate) const HEAD_MAX: usize = 64 << 10;

/// After this long a connection is closed with its running answer, and broken off if nobody reads that.
pub(crate) const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// The pause after the system gave no connection.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A session without a request for this long is forgotten.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(60);

/// A session whose poll broke off is forgotten if no request follows for this long.
pub(crate) const SESSION_LOST: Duration = Duration::from_secs(10);

/// A session whose link has ended is forgotten this long after, whatever is asked of it: time to fetch what is left.
pub(crate) const SESSION_OVER: Duration = Duration::from_secs(60);

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

//! The server's sessions: an id only locates one; each has two pipes, the number posts go on from, and one poll at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use data_encoding::BASE32_NOPAD;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::{Duration, Instant};

use super::answer::{ApiError, LISTENER_CLOSED};
use super::limits::{SESSION_ID_BYTES, SESSION_IDLE, SESSION_LOST};
use crate::link::CutReason;
use crate::pipe::Pipe;

/// One link, as the server sees it.
#[derive(Debug)]
pub(crate) struct Session {
    /// From the client.
    pub(crate) up: Arc<Pipe>,
    /// To the client.
    pub(crate) down: Arc<Pipe>,
    /// The number that the next new posted frame has; one post at a time.
    pub(crate) next: AsyncMutex<u64>,
    /// The number of the latest poll.
    pub(crate) turn: watch::Sender<u64>,
    activity: Mutex<Activity>,
}

#[derive(Debug)]
struct Activity {
    last: Instant,
    running: usize,
    lost: bool,
}

impl Session {
    fn new() -> Self {
        Self {
            up: Arc::default(),
            down: Arc::default(),
            next: AsyncMutex::new(1),
            turn: watch::Sender::new(0),
            activity: Mutex::new(Activity { last: Instant::now(), running: 0, lost: false }),
        }
    }

    /// Notes that a request runs, until the guard is dropped.
    pub(crate) fn enter(&self) -> Visit<'_> {
        let mut activity = self.activity();
        activity.running += 1;
        activity.lost = false;
        Visit { session: self, answered: false }
    }

    /// Ends the session: what the client posted can still be read, nothing goes to it any more.
    fn end(&self, reason: CutReason) {
        self.up.cut(reason.clone());
        self.down.abort(reason);
    }

    /// Returns how long the session has been silent, if too long.
    fn silent(&self, now: Instant) -> Option<Duration> {
        let activity = self.activity();
        let allowed = if activity.lost { SESSION_LOST } else { SESSION_IDLE };
        let silent = now.saturating_duration_since(activity.last);
        (activity.running == 0 && silent >= allowed).then_some(silent)
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a request of a session runs.
pub(crate) struct Visit<'a> {
    session: &'a Session,
    answered: bool,
}

impl Visit<'_> {
    /// Notes that the request came to its answer, so that the guard does not count as a lost connection.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut activity = self.session.activity();
        activity.running = activity.running.saturating_sub(1);
        activity.last = Instant::now();
        activity.lost = !self.answered;
    }
}

/// All sessions of a server; once closed it takes no more.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    open: Mutex<Option<BTreeMap<String, Arc<Session>>>>,
}

impl Sessions {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::new(Some(BTreeMap::new())) }
    }

    /// Opens a session under a new random id.
    pub(crate) fn open(&self) -> Result<(String, Arc<Session>), ApiError> {
        let mut bytes = [0u8; SESSION_ID_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| {
            let message = "the system gave no random bytes: try again later";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_randomness", message)
        })?;
        let id = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let mut open = self.lock();
        let Some(sessions) = open.as_mut() else {
            return Err(Self::stopping());
        };
        if sessions.len() >= self.most {
            let message = format!("{} sessions are open: try again later", self.most);
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(ApiError::new(status, "too_many_sessions", message));
        }
        let session = Arc::new(Session::new());
        sessions.insert(id.clone(), Arc::clone(&session));
        Ok((id, session))
    }

    pub(crate) fn stopping() -> ApiError {
        let message = "the server is stopping: try again later";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, LISTENER_CLOSED, message)
    }

    /// Finds a session.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Session>, ApiError> {
        let open = self.lock();
        let sessions = open.as_ref().ok_or_else(ApiError::session_unknown)?;
        sessions.get(id).cloned().ok_or_else(ApiError::session_unknown)
    }

    /// Ends a session and forgets it.
    pub(crate) fn remove(&self, id: &str, reason: CutReason) -> Result<(), ApiError> {
        let removed = self.lock().as_mut().and_then(|sessions| sessions.remove(id));
        removed.ok_or_else(ApiError::session_unknown)?.end(reason);
        Ok(())
    }

    /// Ends and forgets the sessions that were silent for too long.
    pub(crate) fn expire(&self, now: Instant) {
        let mut silent = Vec::new();
        if let Some(sessions) = self.lock().as_mut() {
            sessions.retain(|_, session| {
                let after = session.silent(now);
                silent.extend(after.map(|after| (Arc::clone(session), after)));
                after.is_none()
            });
        }
        for (session, after) in silent {
            session.end(CutReason::Silent { after });
        }
    }

    /// Ends all sessions and opens no more.
    pub(crate) fn close(&self) {
        let sessions = self.lock().take().unwrap_or_default();
        for session in sessions.into_values() {
            session.end(CutReason::ListenerClosed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<String, Arc<Session>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::link::LinkError;

    #[tokio::test]
    async fn a_silent_session_is_forgotten_and_its_link_told() {
        let sessions = Sessions::new(2);
        let (quiet, session) = sessions.open().unwrap();
        let (busy, running) = sessions.open().unwrap();
        assert_ne!(quiet, busy);
        assert!(sessions.open().is_err(), "two are the most");
        let visit = running.enter();
        sessions.expire(Instant::now());
        assert!(sessions.find(&quiet).is_ok());
        sessions.expire(Instant::now() + SESSION_IDLE);
        assert!(sessions.find(&quiet).is_err());
        assert!(sessions.find(&busy).is_ok(), "a request of it runs");
        let told = session.up.pop().await;
        assert!(matches!(told, Err(LinkError::Cut(CutReason::Silent { .. }))));
        // Its connection broke off: it has less time.
        drop(visit);
        sessions.expire(Instant::now() + SESSION_LOST);
        assert!(sessions.find(&busy).is_err());
    }

    #[test]
    fn closed_sessions_take_no_more() {
        let sessions = Sessions::new(2);
        let (id, session) = sessions.open().unwrap();
        sessions.close();
        assert!(sessions.find(&id).is_err());
        assert!(sessions.open().is_err());
        assert!(matches!(session.down.broken_now(), Some(CutReason::ListenerClosed)));
    }
}

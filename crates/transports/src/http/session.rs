//! The server's sessions: an id only locates one; each has two pipes, the number posts go on from, and one poll at a time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use data_encoding::BASE32_NOPAD;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::Instant;

use super::answer::{ApiError, LISTENER_CLOSED};
use super::limits::{Bounds, SESSION_ID_BYTES, SESSION_IDLE, SESSION_LOST, SESSION_OVER};
use super::share::{Share, Shares};
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
    _share: Share,
}

#[derive(Debug)]
struct Activity {
    last: Instant,
    running: usize,
    lost: bool,
    /// When both directions were first seen at their end.
    over: Option<Instant>,
}

impl Session {
    fn new(share: Share) -> Self {
        let last = Instant::now();
        let activity = Activity { last, running: 0, lost: false, over: None };
        Self {
            up: Arc::default(),
            down: Arc::default(),
            next: AsyncMutex::new(1),
            turn: watch::Sender::new(0),
            activity: Mutex::new(activity),
            _share: share,
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

    /// Returns why the session is to be forgotten, if it is.
    fn expired(&self, now: Instant) -> Option<CutReason> {
        let over = has_ended(&self.up) && has_ended(&self.down);
        let mut activity = self.activity();
        if over {
            // No request renews this time: what is left is only to fetch the last frames and to hear of the end.
            let since = *activity.over.get_or_insert(now);
            if now.saturating_duration_since(since) >= SESSION_OVER {
                return Some(CutReason::Dropped);
            }
        }
        let allowed = if activity.lost { SESSION_LOST } else { SESSION_IDLE };
        let after = now.saturating_duration_since(activity.last);
        (activity.running == 0 && after >= allowed).then_some(CutReason::Silent { after })
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether no frame can come into a pipe any more.
fn has_ended(pipe: &Pipe) -> bool {
    pipe.is_finished() || pipe.broken_now().is_some()
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
    shares: Shares,
    open: Mutex<Option<BTreeMap<String, Arc<Session>>>>,
}

impl Sessions {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            most: bounds.sessions,
            shares: Shares::new(bounds.sessions_by_address),
            open: Mutex::new(Some(BTreeMap::new())),
        }
    }

    /// Opens a session under a new random id, for a client at an address.
    pub(crate) fn open(&self, client: IpAddr) -> Result<(String, Arc<Session>), ApiError> {
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
        let share = self.shares.take(client).ok_or_else(|| {
            let message = "your address has too many sessions open: end some, or try again later";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_of_address", message)
        })?;
        let session = Arc::new(Session::new(share));
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

    /// Ends and forgets the sessions that were silent for too long, and those whose link ended a while ago.
    pub(crate) fn expire(&self, now: Instant) {
        let mut expired = Vec::new();
        if let Some(sessions) = self.lock().as_mut() {
            sessions.retain(|_, session| {
                let reason = session.expired(now);
                let stays = reason.is_none();
                expired.extend(reason.map(|reason| (Arc::clone(session), reason)));
                stays
            });
        }
        for (session, reason) in expired {
            session.end(reason);
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
    use std::net::Ipv4Addr;

    use super::*;
    use crate::link::LinkError;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn two() -> Sessions {
        Sessions::new(Bounds { sessions: 2, ..Bounds::default() })
    }

    #[test]
    fn a_session_whose_link_has_ended_is_forgotten_though_it_is_asked_for() {
        let sessions = two();
        let (finished, session) = sessions.open(HERE).unwrap();
        let (half, other) = sessions.open(HERE).unwrap();
        session.up.finish().unwrap();
        session.down.finish().unwrap();
        other.up.cut(CutReason::Dropped);
        let now = Instant::now();
        sessions.expire(now);
        for (id, session) in [(&finished, &session), (&half, &other)] {
            session.enter().answered();
            assert!(sessions.find(id).is_ok(), "the end can still be heard");
        }
        // A request of each runs.
        let _visits = [session.enter(), other.enter()];
        sessions.expire(now + SESSION_OVER);
        assert!(sessions.find(&finished).is_err());
        assert!(sessions.find(&half).is_ok(), "frames can still go down");
        other.down.cut(CutReason::Dropped);
        sessions.expire(now + SESSION_OVER);
        assert!(sessions.find(&half).is_ok());
        sessions.expire(now + SESSION_OVER * 2);
        assert!(sessions.find(&half).is_err());
    }

    #[test]
    fn an_address_has_only_its_share_of_the_sessions() {
        let sessions = Sessions::new(Bounds { sessions_by_address: 1, ..Bounds::default() });
        let (id, session) = sessions.open(HERE).unwrap();
        assert!(sessions.open(HERE).is_err());
        let there = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(sessions.open(there).is_ok());
        sessions.remove(&id, CutReason::Dropped).unwrap();
        drop(session);
        assert!(sessions.open(HERE).is_ok());
    }

    #[tokio::test]
    async fn a_silent_session_is_forgotten_and_its_link_told() {
        let sessions = two();
        let (quiet, session) = sessions.open(HERE).unwrap();
        let (busy, running) = sessions.open(HERE).unwrap();
        assert_ne!(quiet, busy);
        assert!(sessions.open(HERE).is_err(), "two are the most");
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
        let sessions = two();
        let (id, session) = sessions.open(HERE).unwrap();
        sessions.close();
        assert!(sessions.find(&id).is_err());
        assert!(sessions.open(HERE).is_err());
        assert!(matches!(session.down.broken_now(), Some(CutReason::ListenerClosed)));
    }
}

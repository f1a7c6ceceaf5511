//! All rooms of a person: opened, made, joined and followed; what happens in them is told in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use weald::{
    AccessEvent, Cursor, Database, DatabaseId, DatabaseSettings, Event, Filter, Instance,
    InviteOptions, Level, OpenError, PublicKey, ReceivedRequest, RequestPolicy, RequestStatus,
    RowKey, SyncEvent, SyncEvents, Ticket, User, Watch,
};

use crate::app::Status;
use crate::error::ChatError;
use crate::last_time::LastTime;
use crate::names::clean;
use crate::peers::{Peers, is_final, is_refused};
use crate::room::{MESSAGES, OpenRoom, PEOPLE, title};

/// What everybody who has the ticket of a room may do.
const EVERYBODY: Level = Level::Write(10);
/// How many updates wait at most; rooms that have more to tell wait.
const UPDATES_MAX: usize = 256;
/// How many events of a room are told in one update at most.
const EVENTS_AN_UPDATE: usize = 512;
/// After this time joining is tried again, then after twice as long, and so on.
const JOIN_AGAIN_FIRST: Duration = Duration::from_secs(1);
/// Joining is tried again at least this often.
const JOIN_AGAIN_LAST: Duration = Duration::from_secs(30);

/// Tells what happened in a room.
#[derive(Debug)]
pub(crate) enum Update {
    /// A room is new, has been fetched, or has another name.
    Room {
        /// Its database.
        id: DatabaseId,
        /// What is shown for it.
        title: String,
        /// Whether it has been fetched.
        here: bool,
    },
    /// Messages are there that were not.
    Messages {
        /// The room.
        id: DatabaseId,
        /// Which; `None` if it is not known, all have to be looked at.
        arrived: Option<Vec<Cursor>>,
    },
    /// Somebody has chosen a name.
    People(DatabaseId),
    /// Something that a person should know.
    Notice(String),
    /// Something goes wrong and is tried again.
    Trouble(String),
    /// A room cannot be joined.
    Lost {
        /// Its database.
        id: DatabaseId,
        /// Why.
        error: ChatError,
    },
}

/// Holds the rooms. Cloning is cheap, and clones share everything.
#[derive(Clone)]
pub(crate) struct Rooms {
    inner: Arc<Inner>,
}

struct Inner {
    instance: Instance,
    user: User,
    peers: Peers,
    open: Mutex<BTreeMap<DatabaseId, OpenRoom>>,
    last_time: Mutex<LastTime>,
    updates: mpsc::Sender<Update>,
}

impl Rooms {
    /// Opens the data directory for a person; nothing is heard or told yet.
    ///
    /// # Errors
    /// [`ChatError`] if the directory cannot be used.
    pub(crate) fn open(
        directory: &Path,
        username: &str,
    ) -> Result<(Self, mpsc::Receiver<Update>), ChatError> {
        let unusable = |error| ChatError::Directory { directory: directory.to_owned(), error };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let instance = Instance::open(directory).map_err(|error| match error {
            OpenError::InUse { path } => ChatError::InUse(path),
            other => ChatError::Weald(other.into()),
        })?;
        let known = instance.users()?.iter().any(|name| name == username);
        let user = if known {
            instance.login_user(username, None)
        } else {
            instance.create_user(username, None)
        };
        let user = user.map_err(weald::Error::from)?;
        let (updates, told) = mpsc::channel(UPDATES_MAX);
        let (peers, open) = (Peers::new(&instance)?, Mutex::default());
        let last_time = Mutex::new(LastTime::read(directory));
        let inner = Inner { instance, user, peers, open, last_time, updates };
        Ok((Self { inner: Arc::new(inner) }, told))
    }

    /// Lets peers in, and returns where they find this chat.
    ///
    /// Without an address, or with port 0, the port of last time is taken if it is free, because
    /// peers know it.
    ///
    /// # Errors
    /// [`ChatError`] if it is not possible to listen there.
    pub(crate) async fn listen(&self, bind: Option<SocketAddr>) -> Result<String, ChatError> {
        let last = self.last_time().port();
        let address = self.inner.peers.listen(bind, last).await?;
        self.remember(|last_time| last_time.set_port(address.port()));
        Ok(address.to_string())
    }

    /// Returns the key that signs this person's messages.
    pub(crate) fn key(&self) -> PublicKey {
        self.inner.user.default_key()
    }

    /// Begins to tell of all rooms, and goes on joining those that were not reached last time.
    pub(crate) fn follow_all(&self) -> Result<(), ChatError> {
        tokio::spawn(self.clone().tell_of_requests(self.inner.peers.events()));
        for summary in self.inner.user.databases()? {
            if summary.complete {
                self.follow(self.inner.user.open_database(&summary.id)?);
            } else if let Some(ticket) = self.last_time().joining(summary.id) {
                self.join(ticket);
            }
        }
        Ok(())
    }

    /// Returns the room that was open last time, or any; makes one if there is none. The flag says
    /// whether it was made.
    pub(crate) fn last_or_create(&self, name: &str) -> Result<(DatabaseId, bool), ChatError> {
        let mut rooms = self.inner.user.databases()?;
        let last = self.last_time().room();
        rooms.sort_by_key(|room| (Some(room.id) != last, !room.complete));
        match rooms.first() {
            Some(room) => Ok((room.id, false)),
            None => Ok((self.create(name)?, true)),
        }
    }

    /// Returns the room of a name, and whether it had to be made.
    pub(crate) fn find_or_create(&self, name: &str) -> Result<(DatabaseId, bool), ChatError> {
        let rooms = self.inner.user.databases()?;
        let last = self.last_time().room();
        let mut named = rooms.iter().filter(|room| title(room.id, room.name.as_deref()) == name);
        let found = named.clone().find(|room| Some(room.id) == last).or_else(|| named.next());
        match found {
            Some(room) => Ok((room.id, false)),
            None => Ok((self.create(name)?, true)),
        }
    }

    /// Makes a room.
    pub(crate) fn create(&self, name: &str) -> Result<DatabaseId, ChatError> {
        let settings = DatabaseSettings::named(name).grant_anyone(EVERYBODY);
        let database = self.inner.user.create_database(settings)?;
        let id = database.id();
        self.follow(database);
        Ok(id)
    }

    /// Makes a room that nobody can read who was not let in.
    pub(crate) fn create_private(&self, name: &str) -> Result<DatabaseId, ChatError> {
        let database = self.inner.user.create_database(DatabaseSettings::named(name))?;
        let id = database.id();
        self.inner.peers.requests().set_policy(id, RequestPolicy::Queue)?;
        self.follow(database);
        Ok(id)
    }

    /// Makes a ticket that lets one person into a room.
    pub(crate) fn invite(&self, id: DatabaseId) -> Result<Ticket, ChatError> {
        Ok(self.room(id)?.database().invite(&InviteOptions::new(EVERYBODY))?)
    }

    /// Says who asks to be let in, a row each.
    pub(crate) fn requests(&self) -> Vec<String> {
        let pending = self.inner.peers.requests().pending();
        if pending.is_empty() {
            return vec!["Nobody asks to be let in.".to_owned()];
        }
        pending.iter().map(|request| self.request_row(request)).collect()
    }

    fn request_row(&self, request: &ReceivedRequest) -> String {
        let name = clean(&request.name).unwrap_or_else(|| "somebody".to_owned());
        let room = self.room(request.database).map(|room| room.title());
        let room = room.unwrap_or_else(|_| request.database.short());
        format!("{}  {name} ({}) for {room}", request.short_code, request.key.short())
    }

    /// Lets in who has a code, as everybody is: whoever asks says itself what it wants.
    pub(crate) fn approve(&self, code: &str) -> Result<(), ChatError> {
        let request = self.with_code(code)?;
        Ok(self.inner.peers.requests().approve(&request.id, Some(EVERYBODY))?)
    }

    /// Turns down who has a code.
    pub(crate) fn reject(&self, code: &str, reason: &str) -> Result<(), ChatError> {
        let request = self.with_code(code)?;
        Ok(self.inner.peers.requests().reject(&request.id, reason)?)
    }

    fn with_code(&self, code: &str) -> Result<ReceivedRequest, ChatError> {
        let mut found = self.inner.peers.requests().pending();
        found.retain(|request| request.short_code.replace(' ', "") == code);
        match (found.pop(), found.is_empty()) {
            (Some(request), true) => Ok(request),
            _ => Err(ChatError::NoRequest(code.to_owned())),
        }
    }

    /// Tells of those who ask to be let in, as long as the program runs.
    async fn tell_of_requests(self, mut events: SyncEvents) {
        while let Some(event) = events.next().await {
            let SyncEvent::Access(AccessEvent::Requested { request, .. }) = event else { continue };
            let pending = self.inner.peers.requests().pending();
            if let Some(found) = pending.iter().find(|pending| pending.id == request) {
                let row = self.request_row(found);
                self.told(Update::Notice(format!("asks to be let in (/requests): {row}"))).await;
            }
        }
    }

    /// Begins to join a room, and tries until it has been fetched.
    pub(crate) fn join(&self, ticket: Ticket) -> DatabaseId {
        let id = ticket.database();
        tokio::spawn(self.clone().reach(ticket));
        id
    }

    /// Returns an open room.
    ///
    /// # Errors
    /// [`ChatError::NotHere`] until it has been fetched.
    pub(crate) fn room(&self, id: DatabaseId) -> Result<OpenRoom, ChatError> {
        self.opened_rooms().get(&id).cloned().ok_or(ChatError::NotHere)
    }

    /// Sends a message; when this returns, it is stored for good.
    pub(crate) async fn say(&self, id: DatabaseId, text: String) -> Result<(), ChatError> {
        let room = self.room(id)?;
        let stored = tokio::task::spawn_blocking(move || room.say(&text)).await;
        stored.map_err(|error| ChatError::System(error.into()))?
    }

    /// Returns how others join a room.
    pub(crate) fn ticket(&self, id: DatabaseId) -> Result<Ticket, ChatError> {
        Ok(self.inner.peers.ticket(self.room(id)?.database()))
    }

    /// Remembers that this room is open.
    pub(crate) fn remember_room(&self, id: DatabaseId) {
        self.remember(|last_time| last_time.set_room(id));
    }

    /// Looks how it stands with the peers.
    pub(crate) fn look(&self, status: &mut Status) {
        self.inner.peers.look(status);
    }

    /// Waits a little for the peers of a room to get what was sent.
    pub(crate) async fn settle(&self, id: DatabaseId) {
        self.inner.peers.settle(id).await;
    }

    /// Ends in order: peers are told goodbye, and what is queued is stored.
    pub(crate) async fn close(&self) {
        let instance = self.inner.instance.clone();
        // An error says that closing panicked; there is nothing left to close then.
        let _ = tokio::task::spawn_blocking(move || instance.close()).await;
    }

    /// Opens a room for everybody who asks, and tells of it on a task of its own.
    fn follow(&self, database: Database) {
        let id = database.id();
        // From before the first look, so that nothing is missed between both.
        let watch = database.watch(Filter::all());
        let room = OpenRoom::new(database);
        if self.opened_rooms().insert(id, room.clone()).is_none() {
            tokio::spawn(self.clone().tell(room, watch));
        }
    }

    async fn tell(self, room: OpenRoom, mut watch: Watch) {
        let id = room.database().id();
        let (key, name) = (self.key(), self.inner.user.name().to_owned());
        let writer = room.clone();
        let introduced = tokio::task::spawn_blocking(move || writer.introduce(&key, &name)).await;
        if let Ok(Err(error)) = introduced {
            self.told(Update::Trouble(format!("your name is not told: {error}"))).await;
        }
        let mut news = News::all();
        loop {
            if news.room {
                self.told(Update::Room { id, title: room.title(), here: true }).await;
            }
            if news.people {
                self.told(Update::People(id)).await;
            }
            if news.messages.as_ref().is_none_or(|arrived| !arrived.is_empty()) {
                self.told(Update::Messages { id, arrived: news.messages }).await;
            }
            let Some(event) = watch.next().await else { return };
            news = News::none();
            news.add(event);
            for _ in 1..EVENTS_AN_UPDATE {
                let Some(event) = watch.try_next() else { break };
                news.add(event);
            }
        }
    }

    async fn reach(self, mut ticket: Ticket) {
        let id = ticket.database();
        if self.room(id).is_err() {
            let title = title(id, ticket.name());
            self.told(Update::Room { id, title, here: false }).await;
            self.remember(|last_time| last_time.set_joining(&ticket));
        }
        let mut events = self.inner.peers.events();
        let mut pause = JOIN_AGAIN_FIRST;
        loop {
            match self.inner.peers.join(&self.inner.user, &ticket).await {
                Ok(database) => {
                    self.remember(|last_time| last_time.joined(id));
                    return self.follow(database);
                }
                Err(error) if is_refused(&error) => match self.ask(&ticket, error.into()).await {
                    // What was given is the key's own: the invite is not needed.
                    Ok(()) => {
                        ticket = ticket.without_invite();
                        continue;
                    }
                    Err(error) => {
                        self.remember(|last_time| last_time.joined(id));
                        return self.give_up(id, error).await;
                    }
                },
                Err(error) if is_final(&error) => {
                    self.remember(|last_time| last_time.joined(id));
                    return self.give_up(id, error.into()).await;
                }
                Err(error) => {
                    let seconds = pause.as_secs();
                    let error = ChatError::from(error);
                    let text = format!("{error}; trying again in {seconds} s");
                    self.told(Update::Trouble(text)).await;
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = completed(&mut events, id) => {}
            }
            pause = (pause * 2).min(JOIN_AGAIN_LAST);
        }
    }

    /// Asks to be let into a room, and waits until somebody decides.
    async fn ask(&self, ticket: &Ticket, refused: ChatError) -> Result<(), ChatError> {
        let asked = self.inner.peers.ask(&self.inner.user, ticket, EVERYBODY).await?;
        if let Some(code) = asked.short_code() {
            let title = title(ticket.database(), ticket.name());
            let text = format!(
                "you asked to be let into {title}; whoever decides sees the code {code} too"
            );
            self.told(Update::Notice(text)).await;
        }
        match asked.wait().await? {
            RequestStatus::Approved => Ok(()),
            RequestStatus::Rejected { reason } => {
                Err(ChatError::Rejected(crate::text::one_line(&reason)))
            }
            _ => Err(refused),
        }
    }

    /// A room that is here stays; one that never came is forgotten.
    async fn give_up(&self, id: DatabaseId, error: ChatError) {
        if self.room(id).is_ok() {
            return self.told(Update::Trouble(error.to_string())).await;
        }
        if let Err(error) = self.inner.user.untrack(id) {
            self.told(Update::Trouble(error.to_string())).await;
        }
        self.told(Update::Lost { id, error }).await;
    }

    async fn told(&self, update: Update) {
        // Nobody listens only when the program ends.
        let _ = self.inner.updates.send(update).await;
    }

    fn opened_rooms(&self) -> MutexGuard<'_, BTreeMap<DatabaseId, OpenRoom>> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_time(&self) -> MutexGuard<'_, LastTime> {
        self.inner.last_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, what: impl FnOnce(&mut LastTime) -> std::io::Result<()>) {
        if let Err(error) = what(&mut self.last_time()) {
            let text = format!("what is open is not remembered for next time: {error}");
            // It is a convenience: where nobody has time to listen, it is not worth waiting.
            let _ = self.inner.updates.try_send(Update::Trouble(text));
        }
    }
}

/// Waits until a room has been fetched by itself, because its peer was reached again.
async fn completed(events: &mut SyncEvents, id: DatabaseId) {
    while let Some(event) = events.next().await {
        if matches!(event, SyncEvent::Complete { database, .. } if database == id) {
            return;
        }
    }
    std::future::pending().await
}

/// Sums up what happened in a room since it was last told.
#[derive(Debug)]
struct News {
    room: bool,
    people: bool,
    /// Like [`Update::Messages`].
    messages: Option<Vec<Cursor>>,
}

impl News {
    const fn none() -> Self {
        Self { room: false, people: false, messages: Some(Vec::new()) }
    }

    const fn all() -> Self {
        Self { room: true, people: true, messages: None }
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Changed { store, key, .. } if store == MESSAGES => {
                if let (RowKey::Log(cursor), Some(arrived)) = (key, &mut self.messages) {
                    arrived.push(cursor);
                }
            }
            Event::Changed { store, .. } if store == PEOPLE => self.people = true,
            Event::Settings { .. } | Event::Complete => self.room = true,
            Event::Lagged { .. } => *self = Self::all(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

//! What the screen shows, and what a key changes in it; everything else is asked for by a [`Request`].

use weald::{DatabaseId, PublicKey, Ticket};

use crate::command::{self, Command, HELP};
use crate::history::{History, Line, Reading, Screen};
use crate::input::Input;
use crate::names::Names;

/// Asks for what only the rooms can do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// Send a message.
    Say(DatabaseId, String),
    /// Make a room.
    Create(String),
    /// Make a room for those who are let in.
    CreatePrivate(String),
    /// Show a ticket with an invite to the room.
    Invite(DatabaseId),
    /// Show who asks to be let in.
    Requests,
    /// Let in who has this code.
    Approve(String),
    /// Turn down who has this code, and say why.
    Reject(String, String),
    /// Join a room.
    Join(Box<Ticket>),
    /// Show how others join the room.
    Ticket(DatabaseId),
    /// Read messages.
    Read(DatabaseId, Reading),
    /// Remember that this is the room to open next time.
    Opened(DatabaseId),
    /// Leave.
    Quit,
}

/// Holds one room.
#[derive(Debug)]
pub(crate) struct Room {
    /// Its database.
    pub(crate) id: DatabaseId,
    /// Its name.
    pub(crate) title: String,
    /// Whether it can be written to; until it has been fetched once it cannot.
    pub(crate) here: bool,
    /// Its messages.
    pub(crate) history: History,
    /// Who is in it.
    pub(crate) names: Names,
    /// Whether something has come that was not shown.
    pub(crate) unread: bool,
}

/// Holds what the last row of the screen says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Where peers find this chat.
    pub(crate) address: Option<String>,
    /// How many peers are linked now.
    pub(crate) peers: usize,
    /// How many entries peers are still to get or to send.
    pub(crate) pending: u64,
    /// Why a peer that is wanted cannot be reached.
    pub(crate) away: Option<String>,
    /// What went wrong last.
    pub(crate) error: Option<String>,
}

/// Holds text that is shown over the messages until a key is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panel {
    /// What it is.
    pub(crate) title: String,
    /// Its rows.
    pub(crate) rows: Vec<String>,
}

/// Holds everything that is shown.
#[derive(Debug)]
pub(crate) struct App {
    /// The key whose messages are one's own.
    pub(crate) me: PublicKey,
    /// The rooms, in the order of the list.
    pub(crate) rooms: Vec<Room>,
    /// What is being written.
    pub(crate) input: Input,
    /// The last row.
    pub(crate) status: Status,
    /// What is shown over the messages.
    pub(crate) panel: Option<Panel>,
    current: usize,
    /// Columns and rows of the messages when they were last drawn.
    view: (usize, usize),
}

impl App {
    /// Starts without rooms.
    pub(crate) fn new(me: PublicKey) -> Self {
        let (input, status) = (Input::new(), Status::default());
        Self { me, rooms: Vec::new(), input, status, panel: None, current: 0, view: (80, 20) }
    }

    /// Returns the room that is shown.
    pub(crate) fn room(&self) -> Option<&Room> {
        self.rooms.get(self.current)
    }

    /// Returns the place of the shown room in the list.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// Returns the room with an id.
    pub(crate) fn room_mut(&mut self, id: DatabaseId) -> Option<&mut Room> {
        self.rooms.iter_mut().find(|room| room.id == id)
    }

    /// Takes what is known of a room, new or not; the list stays in the order of titles.
    pub(crate) fn set_room(&mut self, id: DatabaseId, title: String, here: bool) {
        let shown = self.room().map(|room| room.id);
        match self.room_mut(id) {
            Some(room) => (room.title, room.here) = (title, here),
            None => {
                let (history, names) = (History::default(), Names::default());
                self.rooms.push(Room { id, title, here, history, names, unread: false });
            }
        }
        self.rooms.sort_by_cached_key(|room| (room.title.to_lowercase(), room.id));
        let place = self.rooms.iter().position(|room| Some(room.id) == shown);
        self.current = place.unwrap_or(0);
    }

    /// Takes a room out of the list.
    pub(crate) fn remove(&mut self, id: DatabaseId) {
        let Some(place) = self.rooms.iter().position(|room| room.id == id) else { return };
        self.rooms.remove(place);
        if self.current > 0 && self.current >= place {
            self.current -= 1;
        }
    }

    /// Shows a room.
    pub(crate) fn show(&mut self, id: DatabaseId) -> Option<Request> {
        let place = self.rooms.iter().position(|room| room.id == id)?;
        self.go(place)
    }

    /// Takes messages that were read.
    pub(crate) fn take(&mut self, id: DatabaseId, reading: &Reading, lines: Vec<Line>, more: bool) {
        let shown = self.room().is_some_and(|room| room.id == id);
        let Some(room) = self.room_mut(id) else { return };
        let newest = |lines: &[Line]| lines.last().map(|line| line.cursor);
        let before = newest(room.history.lines());
        let first = before.is_none() && !room.unread;
        room.history.take(reading, lines, more);
        let arrived = newest(room.history.lines()) > before;
        room.unread |= arrived && !first && !(shown && room.history.follows());
    }

    /// Says what went wrong; it stands in the last row until something is entered.
    pub(crate) fn fail(&mut self, error: &dyn std::fmt::Display) {
        self.status.error = Some(crate::text::one_line(&error.to_string()));
    }

    /// Remembers how much room the messages have.
    pub(crate) fn set_view(&mut self, columns: usize, rows: usize) {
        self.view = (columns, rows);
    }

    /// Moves the messages up by rows, down if negative.
    pub(crate) fn scroll(&mut self, rows: isize) -> Option<Request> {
        let (width, height) = self.view;
        let room = self.rooms.get_mut(self.current)?;
        let edge = room.history.scroll(rows, Screen { width, height, names: &room.names });
        if room.history.follows() {
            room.unread = false;
        }
        let reading = room.history.reading_at(edge?)?;
        Some(Request::Read(room.id, reading))
    }

    /// Moves the messages by screens, leaving one row to find the place again.
    pub(crate) fn scroll_screens(&mut self, screens: isize) -> Option<Request> {
        let rows = isize::try_from(self.view.1.saturating_sub(1).max(1)).unwrap_or(1);
        self.scroll(rows * screens)
    }

    /// Returns to the newest message.
    pub(crate) fn go_to_newest(&mut self) -> Option<Request> {
        let room = self.rooms.get_mut(self.current)?;
        room.history.go_to_newest();
        room.unread = false;
        Some(Request::Read(room.id, Reading::Newest))
    }

    /// Shows the next room, or the previous if negative.
    pub(crate) fn step(&mut self, by: isize) -> Option<Request> {
        let count = isize::try_from(self.rooms.len()).ok().filter(|count| *count > 0)?;
        let place = isize::try_from(self.current).ok()?.saturating_add(by).rem_euclid(count);
        self.go(usize::try_from(place).ok()?)
    }

    /// Does what the entered line says.
    pub(crate) fn enter(&mut self) -> Option<Request> {
        self.status.error = None;
        let command = match command::parse(self.input.text()) {
            Ok(command) => command,
            Err(error) => {
                self.fail(&error);
                return None;
            }
        };
        let Some(command) = command else {
            self.input.take();
            return None;
        };
        let request = self.obey(command);
        if self.status.error.is_none() {
            self.input.take();
        }
        request
    }

    /// Shows what can be done.
    pub(crate) fn help(&mut self) {
        let rows = HELP.iter().map(|row| (*row).to_owned()).collect();
        self.panel = Some(Panel { title: "Help".to_owned(), rows });
    }

    /// Asks for the ticket of the shown room.
    pub(crate) fn ticket(&self) -> Option<Request> {
        self.room().map(|room| Request::Ticket(room.id))
    }

    fn obey(&mut self, command: Command) -> Option<Request> {
        match command {
            Command::Say(text) => return self.say(text),
            Command::Help => self.help(),
            Command::Rooms => self.list(),
            Command::Room(name) => return self.find(&name),
            Command::New(name) => return Some(Request::Create(name)),
            Command::Private(name) => return Some(Request::CreatePrivate(name)),
            Command::Invite => return self.room().map(|room| Request::Invite(room.id)),
            Command::Requests => return Some(Request::Requests),
            Command::Approve(code) => return Some(Request::Approve(code)),
            Command::Reject(code, reason) => return Some(Request::Reject(code, reason)),
            Command::Join(ticket) => return Some(Request::Join(ticket)),
            Command::Ticket => return self.ticket(),
            Command::Quit => return Some(Request::Quit),
        }
        None
    }

    fn say(&mut self, text: String) -> Option<Request> {
        let Some(room) = self.rooms.get_mut(self.current) else {
            self.fail(&"there is no room yet; make one with /new NAME");
            return None;
        };
        if !room.here {
            self.fail(&"this room has not been fetched yet; your line is kept, send it when the room is here");
            return None;
        }
        room.history.go_to_newest();
        Some(Request::Say(room.id, text))
    }

    fn list(&mut self) {
        let row = |(place, room): (usize, &Room)| {
            let mark = if place == self.current { '>' } else { ' ' };
            let wait = if room.here { "" } else { "  (not fetched yet)" };
            format!("{mark} {:2}  {}{wait}", place + 1, room.title)
        };
        let rows = self.rooms.iter().enumerate().map(row).collect();
        self.panel = Some(Panel { title: "Rooms".to_owned(), rows });
    }

    fn find(&mut self, name: &str) -> Option<Request> {
        let wanted = name.to_lowercase();
        let by_name = self.rooms.iter().position(|room| room.title.to_lowercase() == wanted);
        let by_number = || name.parse::<usize>().ok()?.checked_sub(1);
        let place = by_name.or_else(by_number).filter(|place| *place < self.rooms.len());
        let Some(place) = place else {
            self.fail(&format_args!("you have no room {name}; /rooms lists them"));
            return None;
        };
        self.go(place)
    }

    fn go(&mut self, place: usize) -> Option<Request> {
        let room = self.rooms.get_mut(place)?;
        room.unread &= !room.history.follows();
        self.current = place;
        Some(Request::Opened(room.id))
    }
}

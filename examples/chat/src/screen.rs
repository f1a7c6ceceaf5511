//! Runs the screen: keys and updates in, requests to the rooms out; the terminal is given back as
//! it was, whatever happens.

use std::io::{self, IsTerminal, Stdout};
use std::panic;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use weald::{DatabaseId, Ticket};

use crate::app::{App, Panel, Request};
use crate::error::ChatError;
use crate::history::Reading;
use crate::keys;
use crate::rooms::{Rooms, Update};
use crate::stop;
use crate::ui;

/// How often ages and the status are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many keys and lines to send wait at most.
const WAITING_MAX: usize = 256;
/// How many updates are taken before the screen is drawn again.
const UPDATES_A_FRAME: usize = 64;

/// Shows the rooms until the person leaves.
///
/// # Errors
/// [`ChatError::NoTerminal`], and [`ChatError::System`] if the terminal cannot be used.
pub(crate) async fn run(
    rooms: Rooms,
    mut updates: mpsc::Receiver<Update>,
    room: DatabaseId,
    show_ticket: bool,
) -> Result<(), ChatError> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(ChatError::NoTerminal);
    }
    let mut chat = Chat::new(rooms, room);
    if show_ticket {
        chat.obey(Request::Ticket(room));
    }
    let mut terminal = Screen::open().map_err(ChatError::System)?;
    let mut typed = read_events();
    let mut look_again = interval(LOOK_AGAIN);
    look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = stop::asked();
    tokio::pin!(stop);
    while !chat.left {
        terminal.draw(&mut chat.app).map_err(ChatError::System)?;
        tokio::select! {
            asked = &mut stop => return asked.map_err(ChatError::System),
            event = typed.recv() => match event {
                Some(event) => chat.typed(&event),
                None => return Ok(()),
            },
            update = updates.recv() => {
                let Some(update) = update else { return Ok(()) };
                chat.update(update);
                for _ in 0..UPDATES_A_FRAME {
                    let Ok(update) = updates.try_recv() else { break };
                    chat.update(update);
                }
            }
            unsent = chat.unsent.recv() => chat.unsent(unsent),
            _ = look_again.tick() => chat.rooms.look(&mut chat.app.status),
        }
    }
    Ok(())
}

/// A message that could not be sent, and why.
type Unsent = (String, ChatError);

struct Chat {
    app: App,
    rooms: Rooms,
    to_send: mpsc::Sender<(DatabaseId, String)>,
    unsent: mpsc::Receiver<Unsent>,
    /// The room that is shown as soon as it is in the list.
    wanted: Option<DatabaseId>,
    left: bool,
}

impl Chat {
    fn new(rooms: Rooms, room: DatabaseId) -> Self {
        let (to_send, mut sending) = mpsc::channel::<(DatabaseId, String)>(WAITING_MAX);
        let (failed, unsent) = mpsc::channel(WAITING_MAX);
        let sender = rooms.clone();
        // One after the other, so that messages keep their order.
        tokio::spawn(async move {
            while let Some((room, text)) = sending.recv().await {
                if let Err(error) = sender.say(room, text.clone()).await
                    && failed.send((text, error)).await.is_err()
                {
                    return;
                }
            }
        });
        let app = App::new(rooms.key());
        Self { app, rooms, to_send, unsent, wanted: Some(room), left: false }
    }

    fn typed(&mut self, event: &Event) {
        if let Some(request) = keys::handle(&mut self.app, event) {
            self.obey(request);
        }
    }

    fn update(&mut self, update: Update) {
        match update {
            Update::Room { id, title, here } => {
                if here && self.app.room_mut(id).is_some_and(|room| !room.here) {
                    // What kept it away is over.
                    self.app.status.error = None;
                }
                self.app.set_room(id, title, here);
                if self.wanted == Some(id) {
                    self.wanted = None;
                    let request = self.app.show(id);
                    self.obey_if(request);
                }
            }
            Update::Messages { id, .. } => self.refresh(id),
            Update::People(id) => self.read_names(id),
            Update::Trouble(text) | Update::Notice(text) => self.app.fail(&text),
            Update::Lost { id, error } => {
                self.app.remove(id);
                self.app.fail(&error);
            }
        }
    }

    fn obey_if(&mut self, request: Option<Request>) {
        if let Some(request) = request {
            self.obey(request);
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Say(room, text) => {
                if let Err(unsent) = self.to_send.try_send((room, text)) {
                    let (_, text) = unsent.into_inner();
                    self.unsent(Some((text, ChatError::Busy)));
                }
            }
            Request::Create(name) => match self.rooms.create(&name) {
                Ok(id) => {
                    self.wanted = Some(id);
                    self.obey(Request::Ticket(id));
                }
                Err(error) => self.app.fail(&error),
            },
            Request::CreatePrivate(name) => match self.rooms.create_private(&name) {
                Ok(id) => {
                    self.wanted = Some(id);
                    self.obey(Request::Invite(id));
                }
                Err(error) => self.app.fail(&error),
            },
            Request::Invite(id) => match self.rooms.invite(id) {
                Ok(ticket) => self.app.panel = Some(invite_panel(&ticket)),
                Err(error) => self.app.fail(&error),
            },
            Request::Requests => {
                let rows = self.rooms.requests();
                self.app.panel = Some(Panel { title: "Who asks to be let in".to_owned(), rows });
            }
            Request::Approve(code) => self.decided(self.rooms.approve(&code)),
            Request::Reject(code, reason) => self.decided(self.rooms.reject(&code, &reason)),
            Request::Join(ticket) => self.wanted = Some(self.rooms.join(*ticket)),
            Request::Ticket(id) => match self.rooms.ticket(id) {
                Ok(ticket) => self.app.panel = Some(ticket_panel(&ticket)),
                Err(error) => self.app.fail(&error),
            },
            Request::Read(id, reading) => self.read(id, &reading),
            Request::Opened(id) => {
                self.rooms.remember_room(id);
                self.refresh(id);
            }
            Request::Quit => self.left = true,
        }
    }

    fn decided(&mut self, decided: Result<(), ChatError>) {
        match decided {
            Ok(()) => self.obey(Request::Requests),
            Err(error) => self.app.fail(&error),
        }
    }

    fn refresh(&mut self, id: DatabaseId) {
        let Some(room) = self.app.room_mut(id) else { return };
        if room.here {
            let reading = room.history.reading();
            self.read(id, &reading);
        }
    }

    fn read(&mut self, id: DatabaseId, reading: &Reading) {
        match self.rooms.room(id).and_then(|room| room.read(reading)) {
            Ok((lines, more)) => self.app.take(id, reading, lines, more),
            Err(error) => self.app.fail(&error),
        }
    }

    fn read_names(&mut self, id: DatabaseId) {
        match self.rooms.room(id).and_then(|room| room.names()) {
            Ok(names) => {
                if let Some(room) = self.app.room_mut(id) {
                    room.names = names;
                }
            }
            Err(error) => self.app.fail(&error),
        }
    }

    fn unsent(&mut self, unsent: Option<Unsent>) {
        let Some((text, error)) = unsent else { return };
        self.app.fail(&format_args!("not sent: {error}"));
        if self.app.input.is_empty() {
            self.app.input.restore(text);
        }
    }
}

fn invite_panel(ticket: &Ticket) -> Panel {
    let rows = vec![
        "Give this to one person; whoever has it first gets in with  /join TICKET".to_owned(),
        String::new(),
        ticket.to_string(),
    ];
    Panel { title: "Invite".to_owned(), rows }
}

fn ticket_panel(ticket: &Ticket) -> Panel {
    let mut rows = vec![
        "Others join with  /join TICKET  or  weald-chat --connect \"TICKET\"".to_owned(),
        String::new(),
        ticket.to_string(),
    ];
    if let Some(address) = ticket.addresses().iter().find(|address| address.kind() == "http") {
        let short = format!("{}@{}", ticket.database(), address.text());
        rows.extend([String::new(), "In short, trusting whoever answers there:".to_owned(), short]);
    }
    Panel { title: "Ticket".to_owned(), rows }
}

/// Reads from the terminal on a thread of its own; it ends with the program.
fn read_events() -> mpsc::Receiver<Event> {
    let (events, typed) = mpsc::channel(WAITING_MAX);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if events.blocking_send(event).is_err() {
                return;
            }
        }
    });
    typed
}

/// The terminal while it shows the chat; dropping it gives it back.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    _taken: Taken,
}

/// Stands for the terminal being set up for the chat, whole or in part.
struct Taken;

impl Screen {
    fn open() -> io::Result<Self> {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            give_back();
            report(about);
        }));
        let taken = Taken;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(Self { terminal, _taken: taken })
    }

    fn draw(&mut self, app: &mut App) -> io::Result<()> {
        self.terminal.draw(|frame| ui::draw(frame, app, now()))?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Nothing can be done about a terminal that does not take this.
fn give_back() {
    let _ = execute!(
        io::stdout(),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        crossterm::cursor::Show
    );
    let _ = disable_raw_mode();
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

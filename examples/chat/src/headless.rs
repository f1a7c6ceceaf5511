//! Without a screen: every line of standard input is sent, every message is printed exactly once as
//! `name: text`; what is not a message goes to standard error.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::thread;

use tokio::sync::mpsc;
use weald::{Cursor, DatabaseId, Ticket};

use crate::error::ChatError;
use crate::history::Line;
use crate::names::Names;
use crate::rooms::{Rooms, Update};
use crate::stop;
use crate::text::{MESSAGE_BYTES_MAX, one_line};

/// How many lines of standard input wait at most.
const LINES_WAITING_MAX: usize = 64;

/// Says what to do beside serving the room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Whether lines are sent and messages printed.
    pub(crate) talk: bool,
    /// Whether the end of standard input ends the program.
    pub(crate) until_eof: bool,
}

/// Serves a room, and talks in it, until the program is asked to end.
///
/// # Errors
/// [`ChatError`] if the room cannot be had or standard output cannot be written.
pub(crate) async fn run(
    rooms: Rooms,
    mut updates: mpsc::Receiver<Update>,
    room: DatabaseId,
    options: Options,
) -> Result<(), ChatError> {
    let (lines, mut input) = mpsc::channel(LINES_WAITING_MAX);
    if options.talk {
        thread::spawn(move || read_lines(io::stdin().lock(), &lines));
    }
    let mut talk = Talk { rooms, room, printer: Printer::new(io::stdout()), here: false };
    let stop = stop::asked();
    tokio::pin!(stop);
    let mut open = options.talk;
    loop {
        tokio::select! {
            asked = &mut stop => return asked.map_err(ChatError::System),
            update = updates.recv() => match update {
                Some(update) => talk.update(update, options.talk)?,
                None => return Ok(()),
            },
            // A line waits in the channel until the room has been fetched.
            line = input.recv(), if open && talk.here => match line {
                Some(line) => talk.send(line).await,
                None if options.until_eof => return talk.finish().await,
                None => open = false,
            },
        }
    }
}

struct Talk {
    rooms: Rooms,
    room: DatabaseId,
    printer: Printer<io::Stdout>,
    here: bool,
}

impl Talk {
    fn update(&mut self, update: Update, print: bool) -> Result<(), ChatError> {
        match update {
            Update::Room { id, here, .. } if id == self.room => self.here = here,
            Update::Messages { id, arrived } if id == self.room && print => match arrived {
                Some(cursors) => self.print(&cursors)?,
                None => self.print_all()?,
            },
            Update::People(id) if id == self.room => {
                self.printer.names = self.rooms.room(id)?.names()?;
            }
            Update::Trouble(text) | Update::Notice(text) => notice(&text),
            Update::Lost { id, error } if id == self.room => return Err(error),
            Update::Lost { error, .. } => notice(&error.to_string()),
            _ => {}
        }
        Ok(())
    }

    async fn send(&mut self, line: String) {
        if line.trim().is_empty() {
            return;
        }
        if line.len() > MESSAGE_BYTES_MAX {
            notice(&format!(
                "a line of {} bytes was not sent: at most {MESSAGE_BYTES_MAX}",
                line.len()
            ));
            return;
        }
        if let Err(error) = self.rooms.say(self.room, one_line(&line)).await {
            notice(&format!("not sent: {line:?}: {error}"));
        }
    }

    async fn finish(&mut self) -> Result<(), ChatError> {
        self.print_all()?;
        self.rooms.settle(self.room).await;
        Ok(())
    }

    fn print(&mut self, cursors: &[Cursor]) -> Result<(), ChatError> {
        let room = self.rooms.room(self.room)?;
        for cursor in cursors {
            let Some(line) = room.message(cursor)? else { continue };
            self.print_line(&line)?;
        }
        Ok(())
    }

    fn print_all(&mut self) -> Result<(), ChatError> {
        let room = self.rooms.room(self.room)?;
        let mut page = room.page(None)?;
        while let Some((last, _)) = page.last() {
            let last = *last;
            for line in page.into_iter().filter_map(|(_, line)| line) {
                self.print_line(&line)?;
            }
            page = room.page(Some(&last))?;
        }
        Ok(())
    }

    fn print_line(&mut self, line: &Line) -> Result<(), ChatError> {
        if self.printer.names.claimed(&line.author).is_none() {
            self.printer.names = self.rooms.room(self.room)?.names()?;
        }
        self.printer.print(line).map_err(ChatError::System)
    }
}

/// Prints messages, each once.
struct Printer<W> {
    out: W,
    names: Names,
    printed: BTreeSet<Cursor>,
}

impl<W: Write> Printer<W> {
    fn new(out: W) -> Self {
        Self { out, names: Names::default(), printed: BTreeSet::new() }
    }

    fn print(&mut self, line: &Line) -> io::Result<()> {
        if !self.printed.insert(line.cursor) {
            return Ok(());
        }
        writeln!(self.out, "{}: {}", self.names.shown(&line.author), line.text)?;
        self.out.flush()
    }
}

/// Reads lines until the end of input or of the program; bytes that are not UTF-8 are replaced.
fn read_lines(mut input: impl BufRead, lines: &mpsc::Sender<String>) {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&bytes);
                let line = text.trim_end_matches(['\n', '\r']).to_owned();
                if lines.blocking_send(line).is_err() {
                    return;
                }
            }
            Err(error) => {
                notice(&format!("standard input cannot be read: {error}"));
                return;
            }
        }
    }
}

/// Prints the ticket of a room as one line.
///
/// # Errors
/// The error of standard output.
pub(crate) fn print_ticket(ticket: &Ticket) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ticket: {ticket}")?;
    out.flush()
}

/// Tells a person what is going on, beside the messages.
pub(crate) fn notice(text: &str) {
    // Nobody may be listening; that is no reason to end.
    let _ = writeln!(io::stderr(), "{}", one_line(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cursors, key};

    #[test]
    fn each_message_is_printed_once_as_name_and_text() {
        let mut printer = Printer::new(Vec::new());
        printer.names.claim(key(2), "bob");
        let all = cursors(2);
        let line = |n: usize, author, text: &str| Line {
            cursor: all[n],
            author,
            time: 0,
            text: text.to_owned(),
        };
        for message in [line(0, key(2), "hi"), line(1, key(3), "a: b"), line(0, key(2), "hi")] {
            printer.print(&message).unwrap();
        }
        let printed = String::from_utf8(printer.out).unwrap();
        assert_eq!(printed, format!("bob: hi\n{}: a: b\n", key(3).short()));
    }

    #[test]
    fn lines_are_read_whatever_their_bytes() {
        let (lines, mut input) = mpsc::channel(8);
        read_lines(&b"one\r\ntwo\xff\n\nlast"[..], &lines);
        drop(lines);
        let mut read = Vec::new();
        while let Ok(line) = input.try_recv() {
            read.push(line);
        }
        assert_eq!(read, ["one", "two\u{fffd}", "", "last"]);
    }
}

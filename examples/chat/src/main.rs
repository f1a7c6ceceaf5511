//! A chat for the terminal: rooms are Weald databases, and this program uses the public API alone.
//!
//! Where to look: `room` is what a room is made of, `rooms` opens, makes, joins and follows them,
//! `headless` and `screen` are the two faces, `app`, `keys` and `ui` what the screen shows.

mod app;
mod cli;
mod command;
mod error;
mod headless;
mod history;
mod input;
mod keys;
mod last_time;
mod names;
mod peers;
mod room;
mod rooms;
mod screen;
mod stop;
#[cfg(test)]
mod testing;
mod text;
mod ui;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;
use tokio::sync::mpsc::Receiver;

use crate::cli::{Arguments, FIRST_ROOM};
use crate::error::ChatError;
use crate::headless::notice;
use crate::rooms::{Rooms, Update};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match tokio::runtime::Runtime::new().map_err(ChatError::System) {
        Ok(runtime) => match runtime.block_on(chat(&arguments)) {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever read the messages has enough of them, as `head` does.
            Err(ChatError::System(error)) if error.kind() == ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}

fn fail(error: &ChatError) -> ExitCode {
    notice(&format!("weald-chat: {error}"));
    ExitCode::FAILURE
}

async fn chat(arguments: &Arguments) -> Result<(), ChatError> {
    let directory = arguments.data_directory().ok_or(ChatError::NoDirectory)?;
    let (rooms, updates) = Rooms::open(&directory, &arguments.username())?;
    let outcome = talk(arguments, &rooms, updates).await;
    rooms.close().await;
    outcome
}

async fn talk(
    arguments: &Arguments,
    rooms: &Rooms,
    updates: Receiver<Update>,
) -> Result<(), ChatError> {
    let address = rooms.listen(arguments.bind).await?;
    rooms.follow_all()?;

    let (room, made) = match (&arguments.connect, &arguments.room_name) {
        (Some(ticket), _) => (rooms.join(ticket.clone()), false),
        (None, Some(name)) => rooms.find_or_create(name)?,
        (None, None) if arguments.create_only => rooms.find_or_create(FIRST_ROOM)?,
        (None, None) => rooms.last_or_create(FIRST_ROOM)?,
    };
    rooms.remember_room(room);

    let show_ticket = made || arguments.create_only;
    if !arguments.headless && !arguments.create_only {
        return screen::run(rooms.clone(), updates, room, show_ticket).await;
    }
    if show_ticket {
        headless::print_ticket(&rooms.ticket(room)?).map_err(ChatError::System)?;
    }
    notice(&format!("listening on {address}; Ctrl-C ends"));
    let options = headless::Options { talk: arguments.headless, until_eof: arguments.until_eof };
    headless::run(rooms.clone(), updates, room, options).await
}

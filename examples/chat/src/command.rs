//! A line that begins with a slash is a command, everything else is a message.

use thiserror::Error;
use weald::Ticket;

use crate::names::{self, NameError};

/// What `/help` shows.
pub(crate) const HELP: &[&str] = &[
    "Write a line and press Enter to send it.",
    "",
    "/new NAME      make a room          /join TICKET   join one",
    "/private NAME  make one that only those whom you let in can read",
    "/invite        a ticket that lets one person into this room",
    "/requests      who asks to be let in: /approve CODE, /reject CODE REASON",
    "/rooms         list your rooms      /room NAME     go to one (or its number)",
    "/ticket        how others join      /quit          leave",
    "",
    "PageUp PageDown, Up Down   older and newer messages      End   the newest",
    "Ctrl-N Ctrl-P              next and previous room",
    "F1 help   F2 ticket        Ctrl-C   leave",
    "A message that begins with a slash: write // for the first one.",
];

/// Says what an entered line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// Send a message to the current room.
    Say(String),
    /// Show what can be done.
    Help,
    /// List the rooms.
    Rooms,
    /// Go to a room: its name or number.
    Room(String),
    /// Make a room.
    New(String),
    /// Make a room that nobody can read who was not let in.
    Private(String),
    /// Show a ticket with an invite to the current room.
    Invite,
    /// Show who asks to be let in.
    Requests,
    /// Let somebody in: the digits of the code of the request.
    Approve(String),
    /// Turn somebody down: the digits of the code of the request, and why.
    Reject(String, String),
    /// Join a room.
    Join(Box<Ticket>),
    /// Show how others join the current room.
    Ticket,
    /// Leave.
    Quit,
}

/// Says why a line was not understood.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// There is no such command.
    #[error("there is no command /{0}; /help lists them")]
    Unknown(String),
    /// The command needs to be told which.
    #[error("write {0}")]
    Missing(&'static str),
    /// The name of the new room cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What was given to join is not a ticket.
    #[error("that is not a ticket: {0}")]
    Ticket(#[from] weald::ParseTicketError),
}

/// Reads an entered line; `None` if there is nothing in it.
///
/// # Errors
/// [`CommandError`] if it begins like a command and is not one.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, CommandError> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let Some(rest) = line.strip_prefix('/') else { return Ok(Some(Command::Say(line.to_owned()))) };
    if rest.starts_with('/') {
        return Ok(Some(Command::Say(rest.to_owned())));
    }
    let (name, given) = rest.split_once(' ').unwrap_or((rest, ""));
    let given = given.trim();
    let needs =
        |usage| if given.is_empty() { Err(CommandError::Missing(usage)) } else { Ok(given) };
    let command = match name {
        "help" | "h" | "?" => Command::Help,
        "rooms" => Command::Rooms,
        "room" => Command::Room(needs("/room NAME, or its number in /rooms")?.to_owned()),
        "new" => Command::New(names::check(needs("/new NAME")?)?),
        "private" => Command::Private(names::check(needs("/private NAME")?)?),
        "invite" => Command::Invite,
        "requests" => Command::Requests,
        "approve" => Command::Approve(code(needs("/approve CODE, as in /requests")?).0),
        "reject" => {
            let (digits, reason) = code(needs("/reject CODE, and why")?);
            Command::Reject(digits, reason)
        }
        "join" => {
            // A ticket that was copied from several rows of a terminal has spaces in it.
            let text: String = needs("/join TICKET")?.split_whitespace().collect();
            Command::Join(Box::new(text.parse()?))
        }
        "ticket" => Command::Ticket,
        "quit" | "q" | "exit" => Command::Quit,
        other => return Err(CommandError::Unknown(other.to_owned())),
    };
    Ok(Some(command))
}

/// Reads the digits of a code, which may be in two groups, and what follows them.
fn code(given: &str) -> (String, String) {
    let is_code = |c: char| c.is_ascii_digit() || c.is_whitespace();
    let end = given.find(|c| !is_code(c)).unwrap_or(given.len());
    let (digits, rest) = given.split_at(end);
    (digits.chars().filter(char::is_ascii_digit).collect(), rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        match parse(line).unwrap().unwrap() {
            Command::Say(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_slash_makes_a_command() {
        assert_eq!(said("quit"), "quit");
        assert_eq!(said(" /quit"), " /quit");
        assert_eq!(said("//etc"), "/etc");
        assert_eq!(parse("   ").unwrap(), None);
        assert_eq!(parse("/quit").unwrap(), Some(Command::Quit));
        assert_eq!(parse("/new  The Room ").unwrap(), Some(Command::New("The Room".to_owned())));
    }

    #[test]
    fn a_code_is_read_in_one_group_or_two() {
        let approve = |line: &str| parse(line).unwrap().unwrap();
        assert_eq!(approve("/approve 123 456"), Command::Approve("123456".to_owned()));
        assert_eq!(approve("/approve 123456"), Command::Approve("123456".to_owned()));
        let rejected = Command::Reject("123456".to_owned(), "who are you?".to_owned());
        assert_eq!(approve("/reject 123 456 who are you?"), rejected);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let wrong = |line: &str| parse(line).unwrap_err().to_string();
        assert!(wrong("/etc").contains("/help"));
        assert!(wrong("/new").contains("/new NAME"));
        assert!(wrong("/join").contains("/join TICKET"));
        assert!(wrong("/join abc").contains("not a ticket"));
    }
}

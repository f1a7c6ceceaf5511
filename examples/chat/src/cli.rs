//! The command line: every mistake in it is told before anything is opened.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use directories::ProjectDirs;
use weald::Ticket;

use crate::names;

/// The name of the room that is made when there is none.
pub(crate) const FIRST_ROOM: &str = "Lobby";

/// Chat in rooms that are replicated databases: no server, and it works offline.
#[derive(Debug, Clone, Parser)]
#[command(name = "weald-chat", version, max_term_width = 90, args_override_self = true)]
pub(crate) struct Arguments {
    /// The name others see [default: your name on this computer]
    #[arg(long, value_name = "NAME", value_parser = names::check)]
    username: Option<String>,

    /// How peers are reached
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Transport::Http)]
    pub(crate) transport: Transport,

    /// Join the room of a ticket, or ROOM@HOST:PORT
    #[arg(long, value_name = "TICKET")]
    pub(crate) connect: Option<Ticket>,

    /// Make a room (or find the one of this name that you made before), print its ticket and serve it
    #[arg(long, conflicts_with = "connect")]
    pub(crate) create_only: bool,

    /// The room to open, made if you have none of this name
    #[arg(long, value_name = "NAME", value_parser = room_name, conflicts_with = "connect")]
    pub(crate) room_name: Option<String>,

    /// Where to listen for peers; use your address in the local network to let others in
    /// [default: the port of last time, or a free one, for this computer only]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) bind: Option<SocketAddr>,

    /// Where rooms and keys are kept [default: the data directory of this system, one for each name]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// No screen: lines of standard input are sent, messages are printed as `name: text`
    #[arg(long)]
    pub(crate) headless: bool,

    /// Stop when standard input ends, once everything read has been stored
    #[arg(long, requires = "headless")]
    pub(crate) until_eof: bool,
}

/// How peers are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Over HTTP
    Http,
}

impl Arguments {
    /// Returns the name others see.
    pub(crate) fn username(&self) -> String {
        let system = || ["USER", "USERNAME", "LOGNAME"].iter().find_map(|name| env::var(name).ok());
        let clean = || system().and_then(|name| names::clean(&name));
        self.username.clone().or_else(clean).unwrap_or_else(|| "me".to_owned())
    }

    /// Returns where rooms and keys are kept; `None` if the system has no place for it.
    pub(crate) fn data_directory(&self) -> Option<PathBuf> {
        self.data.clone().or_else(|| {
            let directories = ProjectDirs::from("", "", "weald-chat")?;
            Some(directories.data_dir().join(directory_name(&self.username())))
        })
    }
}

/// A name of a directory that every file system takes: letters other than a–z and digits are
/// written by their number.
fn directory_name(username: &str) -> String {
    let mut name = String::new();
    for c in username.chars() {
        match c {
            'a'..='z' | '0'..='9' | '-' => name.push(c),
            other => name.push_str(&format!("_{:x}_", u32::from(other))),
        }
    }
    name
}

fn room_name(name: &str) -> Result<String, names::NameError> {
    names::check(name)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        let words = std::iter::once("weald-chat").chain(line.split_whitespace());
        Arguments::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_promised_lines_are_taken() {
        let line = "--username alice --transport http --create-only --room-name Demo";
        let made = parse(line).unwrap();
        assert_eq!(made.username(), "alice");
        assert_eq!(made.room_name.as_deref(), Some("Demo"));
        assert!(made.create_only && !made.headless);
        assert!(parse("--headless --bind 127.0.0.1:0 --until-eof").is_ok());
        assert!(parse("").is_ok_and(|plain| !plain.username().is_empty()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(parse("--transport iroh").unwrap_err().contains("possible values: http"));
        assert!(parse("--connect nonsense").unwrap_err().contains("--connect"));
        assert!(parse("--username a:b").unwrap_err().contains("':'"));
        assert!(parse("--until-eof").unwrap_err().contains("--headless"));
        assert!(parse("--bind here").is_err());
    }

    #[test]
    fn each_name_has_its_own_directory() {
        let of = |name: &str| {
            let arguments = Arguments::try_parse_from(["weald-chat", "--username", name]).unwrap();
            arguments.data_directory()
        };
        assert_ne!(of("alice"), of("Alice"));
        assert_ne!(of("a/b"), of("a_b"));
        assert!(directory_name("..").starts_with('_'));
        let given = parse("--data here").unwrap();
        assert_eq!(given.data_directory(), Some(PathBuf::from("here")));
    }
}

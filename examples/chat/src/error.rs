//! What goes wrong, in words that say what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;
use weald::SyncError;

use crate::peers::words;

/// Anything that can go wrong in the chat.
#[derive(Debug, Error)]
pub(crate) enum ChatError {
    /// Another chat uses the data directory.
    #[error("{} is in use by another chat; close it, or choose another --username or --data", .0.display())]
    InUse(PathBuf),
    /// The system has no place for data.
    #[error("this system has no data directory for you; choose one with --data DIR")]
    NoDirectory,
    /// The data directory cannot be made or used.
    #[error("the data directory {} cannot be used: {error}; choose another with --data DIR", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Another program uses the port.
    #[error(
        "{0} is in use by another program; choose another port with --bind, or leave --bind out to get a free one"
    )]
    PortInUse(SocketAddr),
    /// Listening failed.
    #[error("cannot listen on {address}: {error}; choose another address with --bind")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The room is not in the list, or has not been fetched.
    #[error(
        "this room has not been fetched yet; it comes as soon as one who has it can be reached"
    )]
    NotHere,
    /// Too many messages wait to be sent.
    #[error("too many messages wait to be stored; try again in a moment")]
    Busy,
    /// There is no terminal to show anything on.
    #[error(
        "there is no terminal for the screen; use --headless to chat by standard input and output"
    )]
    NoTerminal,
    /// The terminal, a stream or a signal of the system.
    #[error("the system refuses: {0}")]
    System(#[source] io::Error),
    /// Somebody at the other end decided against it.
    #[error("you were not let in: {}", if .0.is_empty() { "no reason was given" } else { .0 })]
    Rejected(String),
    /// Nobody asks with this code, or several do.
    #[error("no single request has the code {0}; /requests lists them")]
    NoRequest(String),
    /// A room cannot be fetched.
    #[error("{}", words(.0))]
    Sync(#[source] SyncError),
    /// The library.
    #[error(transparent)]
    Weald(weald::Error),
}

impl From<weald::Error> for ChatError {
    fn from(error: weald::Error) -> Self {
        match error {
            weald::Error::Sync(error) => Self::Sync(error),
            other => Self::Weald(other),
        }
    }
}

impl From<weald::ReadError> for ChatError {
    fn from(error: weald::ReadError) -> Self {
        Self::Weald(error.into())
    }
}

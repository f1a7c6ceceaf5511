//! A link that names a database and where to find it.
//!
//! Invariant: what is displayed parses back to the same; parts that a later version adds are ignored.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use weald_dag::{DatabaseId, KeyTextError, PublicKey, SecretKey, TextError};
use weald_transports::{Address, AddressError};

mod invite_text;

/// What every ticket begins with.
const SCHEME: &str = "weald:";
/// The greatest length of a ticket in bytes.
pub const TICKET_MAX: usize = 8 * 1024;
/// The greatest number of addresses in a ticket.
pub const TICKET_ADDRESSES_MAX: usize = 32;

/// Names a database, the peer that has it and where that peer is.
///
/// Its text is `weald:DATABASE?peer=KEY&at=ADDRESS&name=NAME`, with as many addresses as there are.
/// `DATABASE@host:port` is read as well: it names no peer, so whoever answers there is trusted on
/// first use. A ticket with an invite has a part `invite=SECRET` besides: the text shows the secret, as
/// it is to be handed out, but `Debug` does not.
///
/// ```
/// use weald::Ticket;
/// let id = "a".repeat(52);
/// let ticket: Ticket = format!("weald:{id}?at=http://example.org:8088&name=Demo").parse()?;
/// assert_eq!(ticket.name(), Some("Demo"));
/// assert_eq!(ticket.addresses()[0].to_string(), "http://example.org:8088");
/// assert_eq!(ticket.to_string().parse::<Ticket>()?, ticket);
/// # Ok::<(), weald::ParseTicketError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ticket {
    database: DatabaseId,
    peer: Option<PublicKey>,
    addresses: Vec<Address>,
    name: Option<String>,
    invite: Option<SecretKey>,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        self.database == other.database
            && self.peer == other.peer
            && self.addresses == other.addresses
            && self.name == other.name
            && self.invite_key() == other.invite_key()
    }
}

impl Eq for Ticket {}

impl Ticket {
    /// Makes a ticket that names a database alone.
    pub const fn new(database: DatabaseId) -> Self {
        Self { database, peer: None, addresses: Vec::new(), name: None, invite: None }
    }

    /// Names the device that has the database. None by default: who answers is trusted on first use.
    #[must_use]
    pub const fn with_peer(mut self, peer: PublicKey) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Adds an address of that device, up to [`TICKET_ADDRESSES_MAX`]. None by default.
    #[must_use]
    pub fn with_address(mut self, address: Address) -> Self {
        if self.addresses.len() < TICKET_ADDRESSES_MAX {
            self.addresses.push(address);
        }
        self
    }

    /// Adds the name of the database, for people. None by default.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds an invite: its secret half.
    #[must_use]
    pub(crate) fn with_invite(mut self, invite: SecretKey) -> Self {
        self.invite = Some(invite);
        self
    }

    /// Takes the invite out, for a ticket that is shown or kept in the clear.
    #[must_use]
    pub fn without_invite(mut self) -> Self {
        self.invite = None;
        self
    }

    /// Returns the public half of the invite, if there is one.
    pub fn invite_key(&self) -> Option<PublicKey> {
        self.invite.as_ref().map(SecretKey::public)
    }

    pub(crate) const fn invite(&self) -> Option<&SecretKey> {
        self.invite.as_ref()
    }

    /// Returns the database.
    pub const fn database(&self) -> DatabaseId {
        self.database
    }

    /// Returns the device key of the peer, if the ticket names it.
    pub const fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    /// Returns the addresses, in the order in which to try them.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Returns the name of the database as the ticket's maker knew it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Why a text is not a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseTicketError {
    /// Nothing was given.
    #[error("the ticket is empty; copy the whole text that begins with 'weald:'")]
    Empty,
    /// The text is longer than any ticket.
    #[error("the ticket has {length} bytes, more than {TICKET_MAX}; copy the ticket alone")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It is neither a link nor `DATABASE@host:port`.
    #[error("a ticket begins with 'weald:', or has the form DATABASE@host:port; copy it again")]
    Form,
    /// The database's id is not one.
    #[error("the database in the ticket (from character {at} on): {source}")]
    Database {
        /// Where it starts.
        at: usize,
        /// What is wrong with it.
        #[source]
        source: TextError,
    },
    /// The peer's key is not one.
    #[error("the peer in the ticket (from character {at} on): {source}")]
    Peer {
        /// Where it starts.
        at: usize,
        /// What is wrong with it.
        #[source]
        source: KeyTextError,
    },
    /// An address is not one.
    #[error("the address in the ticket (from character {at} on): {source}")]
    Address {
        /// Where it starts.
        at: usize,
        /// What is wrong with it.
        #[source]
        source: AddressError,
    },
    /// There are too many addresses.
    #[error("the ticket has more than {TICKET_ADDRESSES_MAX} addresses; leave some out")]
    Addresses,
    /// A part is there twice.
    #[error("the ticket has two parts '{part}' (the second from character {at} on); leave one out")]
    Twice {
        /// The part.
        part: &'static str,
        /// Where the second starts.
        at: usize,
    },
    /// The invite is not one.
    #[error(
        "the invite in the ticket (from character {at} on) was not copied whole; copy the ticket again"
    )]
    Invite {
        /// Where it starts.
        at: usize,
    },
    /// A percent sign is not followed by two hexadecimal digits, or what they give is no text.
    #[error(
        "the part of the ticket from character {at} on has a broken '%' sequence; copy it again"
    )]
    Escape {
        /// Where the part starts.
        at: usize,
    },
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.database)?;
        let peer = self.peer.iter().map(|peer| ("peer", peer.to_string()));
        let addresses = self.addresses.iter().map(|address| ("at", address.to_string()));
        let name = self.name.iter().map(|name| ("name", name.clone()));
        for (place, (part, text)) in peer.chain(addresses).chain(name).enumerate() {
            let mark = if place == 0 { '?' } else { '&' };
            write!(f, "{mark}{part}={}", Escaped(&text))?;
        }
        if let Some(invite) = &self.invite {
            let first = self.peer.is_none() && self.addresses.is_empty() && self.name.is_none();
            let mark = if first { '?' } else { '&' };
            write!(f, "{mark}invite={}", *invite_text::text_of(invite))?;
        }
        Ok(())
    }
}

impl FromStr for Ticket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseTicketError::Empty);
        }
        if text.len() > TICKET_MAX {
            return Err(ParseTicketError::TooLong { length: text.len() });
        }
        match text.strip_prefix(SCHEME) {
            Some(link) => parse_link(link),
            None => parse_short(text),
        }
    }
}

/// Reads `DATABASE@host:port`.
fn parse_short(text: &str) -> Result<Ticket, ParseTicketError> {
    let (database, address) = text.split_once('@').ok_or(ParseTicketError::Form)?;
    let id = database.parse().map_err(|source| ParseTicketError::Database { at: 0, source })?;
    let at = database.len() + 1;
    let address = address.parse().map_err(|source| ParseTicketError::Address { at, source })?;
    Ok(Ticket::new(id).with_address(address))
}

/// Reads what follows `weald:`.
fn parse_link(link: &str) -> Result<Ticket, ParseTicketError> {
    let (database, parts) = link.split_once('?').unwrap_or((link, ""));
    let mut at = SCHEME.len();
    let id = database.parse().map_err(|source| ParseTicketError::Database { at, source })?;
    let mut ticket = Ticket::new(id);
    at += database.len() + 1;
    for part in parts.split('&') {
        if let Some((key, value)) = part.split_once('=') {
            parse_part(&mut ticket, key, value, at + key.len() + 1)?;
        }
        at += part.len() + 1;
    }
    Ok(ticket)
}

fn parse_part(
    ticket: &mut Ticket,
    key: &str,
    value: &str,
    at: usize,
) -> Result<(), ParseTicketError> {
    if key == "invite" {
        if ticket.invite.is_some() {
            return Err(ParseTicketError::Twice { part: "invite", at });
        }
        let invite = invite_text::from_text(value).ok_or(ParseTicketError::Invite { at })?;
        ticket.invite = Some(invite);
        return Ok(());
    }
    let text = unescape(value).ok_or(ParseTicketError::Escape { at })?;
    match key {
        "peer" if ticket.peer.is_some() => {
            return Err(ParseTicketError::Twice { part: "peer", at });
        }
        "peer" => {
            let peer = text.parse().map_err(|source| ParseTicketError::Peer { at, source })?;
            ticket.peer = Some(peer);
        }
        "at" if ticket.addresses.len() >= TICKET_ADDRESSES_MAX => {
            return Err(ParseTicketError::Addresses);
        }
        "at" => {
            let address = text.parse();
            let address = address.map_err(|source| ParseTicketError::Address { at, source })?;
            ticket.addresses.push(address);
        }
        "name" if ticket.name.is_some() => {
            return Err(ParseTicketError::Twice { part: "name", at });
        }
        "name" => ticket.name = Some(text),
        _ => {}
    }
    Ok(())
}

/// Shows a text so that it can stand in a part of a ticket.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => write!(f, "{}", char::from(byte))?,
                b'-' | b'.' | b'_' | b'~' | b':' | b'/' => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weald_dag::SecretKey;

    use super::*;

    fn id() -> DatabaseId {
        DatabaseId::from_bytes([3; 32])
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_back(
            bytes: [u8; 32], seed: [u8; 32], peer: bool, name in proptest::option::of(".*"),
            invite in proptest::option::of(any::<[u8; 32]>()),
            ports in proptest::collection::vec(0_u16.., 0..4),
        ) {
            let mut ticket = Ticket::new(DatabaseId::from_bytes(bytes));
            if peer {
                ticket = ticket.with_peer(SecretKey::from_seed(&seed).public());
            }
            for port in ports {
                ticket = ticket.with_address(format!("[::1]:{port}").parse().unwrap());
            }
            if let Some(name) = name {
                ticket = ticket.with_name(name);
            }
            if let Some(invite) = invite {
                ticket = ticket.with_invite(SecretKey::from_seed(&invite));
            }
            prop_assert_eq!(ticket.to_string().parse::<Ticket>().unwrap(), ticket);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", tail in ".*") {
            let _ = text.parse::<Ticket>();
            let _ = format!("weald:{}?{tail}", id()).parse::<Ticket>();
            let _ = format!("{}@{tail}", id()).parse::<Ticket>();
        }
    }

    #[test]
    fn a_room_at_an_address_names_no_peer() {
        let ticket: Ticket = format!(" {}@127.0.0.1:9000\n", id()).parse().unwrap();
        assert_eq!(ticket.database(), id());
        assert_eq!(ticket.peer(), None);
        assert_eq!(ticket.addresses()[0].to_string(), "http://127.0.0.1:9000");
    }

    #[test]
    fn parts_of_later_versions_are_ignored() {
        let text = format!("weald:{}?later=abc&new&name=a%20b", id());
        assert_eq!(text.parse::<Ticket>().unwrap(), Ticket::new(id()).with_name("a b"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let parse = |text: String| text.parse::<Ticket>().unwrap_err();
        let id = id();
        assert_eq!(parse(String::new()), ParseTicketError::Empty);
        assert_eq!(parse("hello".into()), ParseTicketError::Form);
        assert_eq!(parse("x".repeat(9000)), ParseTicketError::TooLong { length: 9000 });
        let short = parse("weald:abc".into());
        assert_eq!(
            short,
            ParseTicketError::Database { at: 6, source: TextError::Length(3) },
            "{short}"
        );
        let peer = parse(format!("weald:{id}?peer=xyz"));
        assert!(matches!(peer, ParseTicketError::Peer { at: 64, .. }), "{peer}");
        let address = parse(format!("weald:{id}?at=host:port"));
        assert!(matches!(address, ParseTicketError::Address { at: 62, .. }), "{address}");
        let address = parse(format!("{id}@host:port"));
        assert!(matches!(address, ParseTicketError::Address { at: 53, .. }), "{address}");
        let escape = parse(format!("weald:{id}?name=%4"));
        assert_eq!(escape, ParseTicketError::Escape { at: 64 });
        let twice = parse(format!("weald:{id}?name=a&name=b"));
        assert!(matches!(twice, ParseTicketError::Twice { part: "name", .. }), "{twice}");
    }
}

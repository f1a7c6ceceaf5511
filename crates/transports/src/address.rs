//! An address says its kind (which transport reaches it) and where; what is displayed parses back to the same.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The port of an address that names none.
pub const DEFAULT_PORT: u16 = 8088;

/// The kind of addresses reached by HTTP.
pub const HTTP: &str = "http";

/// The kind of addresses inside this process.
pub const MEMORY: &str = "memory";

/// The most bytes an address may have as text.
const TEXT_MAX: usize = 1024;

/// Where a peer is found, and by which kind of transport.
///
/// Text forms: `http://host:port`, `host:port`, `host` (kind `http`, port [`DEFAULT_PORT`]), `[::1]:port`,
/// `memory:name`, and `kind://text` for any other kind.
///
/// ```
/// use weald_transports::Address;
/// let address: Address = "example.org".parse()?;
/// assert_eq!(address.to_string(), "http://example.org:8088");
/// # Ok::<(), weald_transports::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    kind: String,
    text: String,
}

impl Address {
    /// Builds an address of an app's own kind; `http` and `memory` are checked as when parsed.
    ///
    /// # Errors
    /// [`AddressError`] when the kind is not lower-case letters, digits, `+`, `-`, `.`, or the text does not fit the kind.
    pub fn new(kind: &str, text: &str) -> Result<Self, AddressError> {
        if text.len() > TEXT_MAX {
            return Err(AddressError::TooLong { size: text.len() });
        }
        check_kind(kind)?;
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(found) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(AddressError::Character { found });
        }
        if kind == MEMORY && text.starts_with('/') {
            return Err(AddressError::Character { found: '/' });
        }
        if kind != HTTP {
            return Ok(Self { kind: kind.to_owned(), text: text.to_owned() });
        }
        let (host, port) = parse_host_port(text)?;
        Ok(Self::http(&host, port))
    }

    /// Returns the address of a socket of kind `http`.
    pub fn from_socket(socket: SocketAddr) -> Self {
        Self { kind: HTTP.to_owned(), text: socket.to_string() }
    }

    /// Returns the address of a name in a [`MemoryNetwork`](crate::MemoryNetwork).
    pub(crate) fn memory(name: &str) -> Self {
        Self { kind: MEMORY.to_owned(), text: name.to_owned() }
    }

    fn http(host: &str, port: u16) -> Self {
        Self { kind: HTTP.to_owned(), text: format!("{host}:{port}") }
    }

    /// Returns the kind, such as `http`: a transport of this kind reaches the address.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns what follows the kind: `host:port` for `http`, the name for `memory`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns host (IPv6 without brackets) and port of an address of kind `http`, `None` for other kinds.
    pub fn host_port(&self) -> Option<(&str, u16)> {
        if self.kind != HTTP {
            return None;
        }
        let (host, port) = self.text.rsplit_once(':')?;
        let host = host.strip_prefix('[').unwrap_or(host);
        Some((host.strip_suffix(']').unwrap_or(host), port.parse().ok()?))
    }
}

impl Address {
    /// Returns which host it leads to, the same for all its ports: of an IPv6 address the network of 64 bits, as a
    /// host has all addresses of its own. Of other kinds, all of it.
    pub fn host(&self) -> String {
        let Some((host, _)) = self.host_port() else { return self.to_string() };
        match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V6(ip)) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).to_string(),
            Ok(ip) => ip.to_string(),
            Err(_) => host.to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == MEMORY {
            write!(f, "{}:{}", self.kind, self.text)
        } else {
            write!(f, "{}://{}", self.kind, self.text)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(name) = text.strip_prefix("memory:") {
            return Self::new(MEMORY, name.strip_prefix("//").unwrap_or(name));
        }
        if let Some((kind, rest)) = text.split_once("://") {
            let rest = if kind == HTTP { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
            return Self::new(kind, rest);
        }
        Self::new(HTTP, text)
    }
}

fn check_kind(kind: &str) -> Result<(), AddressError> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    if kind.starts_with(|c: char| c.is_ascii_lowercase()) && kind.chars().all(letters) {
        return Ok(());
    }
    Err(AddressError::Kind { found: kind.to_owned() })
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; the host comes back as it is displayed.
fn parse_host_port(text: &str) -> Result<(String, u16), AddressError> {
    if let Ok(bare) = text.parse::<Ipv6Addr>() {
        return Ok((format!("[{bare}]"), DEFAULT_PORT));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return Err(AddressError::Bracket);
        };
        let host: Ipv6Addr =
            inside.parse().map_err(|_| AddressError::Host { found: inside.to_owned() })?;
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if after.is_empty() => DEFAULT_PORT,
            None => return Err(AddressError::Bracket),
        };
        return Ok((format!("[{host}]"), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (text, DEFAULT_PORT),
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || host.len() > 253 || !host.chars().all(letters) {
        return Err(AddressError::Host { found: host.to_owned() });
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| AddressError::Port { found: text.to_owned() })
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing was given, or nothing after the kind.
    #[error("the address is empty: write one such as 192.168.1.5:{DEFAULT_PORT} or example.org")]
    Empty,
    /// The text is longer than any address.
    #[error("an address of {size} bytes is too long: write one such as example.org:{DEFAULT_PORT}")]
    TooLong {
        /// Bytes in the text.
        size: usize,
    },
    /// A character that no address has.
    #[error("an address cannot contain {found:?}: write one such as example.org:{DEFAULT_PORT}")]
    Character {
        /// The first such character.
        found: char,
    },
    /// What stands before `://` is not a kind.
    #[error(
        "{found:?} is not a kind of address: write lower-case letters before \"://\", such as http://example.org"
    )]
    Kind {
        /// What stands there.
        found: String,
    },
    /// The host is neither a name nor an IP address.
    #[error(
        "{found:?} is not a host: write a name or an IP address, such as example.org or [::1]:{DEFAULT_PORT}"
    )]
    Host {
        /// What stands there.
        found: String,
    },
    /// The port is not a number up to 65535.
    #[error(
        "{found:?} is not a port: write a number up to 65535, such as example.org:{DEFAULT_PORT}"
    )]
    Port {
        /// What stands there.
        found: String,
    },
    /// Brackets of an IPv6 address do not match.
    #[error("the brackets do not match: write an IPv6 address such as [::1]:{DEFAULT_PORT}")]
    Bracket,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses_and_displays_back() {
        for (text, shown) in [
            ("example.org", "http://example.org:8088"),
            ("Example.org:80", "http://example.org:80"),
            ("127.0.0.1:0", "http://127.0.0.1:0"),
            ("http://localhost:9000/", "http://localhost:9000"),
            ("[::1]:9000", "http://[::1]:9000"),
            ("[::1]", "http://[::1]:8088"),
            ("::1", "http://[::1]:8088"),
            ("memory:bob", "memory:bob"),
            ("iroh://abc?relay=x", "iroh://abc?relay=x"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<Address>().unwrap(), address);
        }
        let address: Address = "[::1]:9000".parse().unwrap();
        assert_eq!(address.host_port(), Some(("::1", 9000)));
    }

    #[test]
    fn all_ports_of_a_host_are_of_one_host() {
        let from = |text: &str| text.parse::<Address>().unwrap().host();
        assert_eq!(from("192.0.2.7:1"), from("192.0.2.7:2"));
        assert_ne!(from("192.0.2.7:1"), from("192.0.2.8:1"));
        assert_eq!(from("[2001:db8::1]:1"), from("[2001:db8::ffff:0:2]:9"));
        assert_ne!(from("[2001:db8::1]:1"), from("[2001:db8:0:1::1]:1"));
        assert_eq!(from("[::ffff:192.0.2.7]:1"), "192.0.2.7");
        assert_eq!(from("memory:bob"), "memory:bob");
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        for text in [
            "",
            " ",
            "host:port",
            "host:70000",
            "host:",
            ":80",
            "[::1",
            "[::1]80",
            "[zz]:80",
            "a b:80",
            "HTTP://x",
            "memory:",
            "http://host/path",
            "://x",
            "host:+80",
            "a:b:c",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("such as"), "{text:?}: {error}");
        }
    }
}

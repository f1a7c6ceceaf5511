//! A request for access to a database: who asks for what, of whom, until when, signed.
//!
//! Invariant: a request has one encoding, within its bounds, and what was decoded was signed by the key that
//! it asks for. It holds for one asking device, one answering device and one stretch of time.
//!
//! The bytes: version 1; database, key, device and audience of 32 bytes each; what is wanted, as kind (0 Admin,
//! 1 Write, 2 Read) and priority of 4 bytes (0 for Read); a nonce of 16 bytes; when it was made and when it
//! ends, of 8 bytes each; the name after its length of one byte; the note after its length of two bytes; the
//! signature of 64 bytes. Numbers are little-endian.

use thiserror::Error;
use weald_dag::{DatabaseId, Domain, PublicKey, RequestId, SIGNATURE_LEN, SecretKey, Signature};

use crate::level::Level;

/// The version of requests that this build writes and reads.
pub const REQUEST_VERSION: u8 = 1;
/// Greatest length of the name in a request, in bytes of UTF-8.
pub const REQUEST_NAME_MAX: usize = 128;
/// Greatest length of the note in a request, in bytes of UTF-8.
pub const REQUEST_NOTE_MAX: usize = 512;
/// Greatest length of a request, in bytes.
pub const REQUEST_MAX: usize = 1 + 4 * 32 + 5 + NONCE_LEN + 16 + 3 + TEXTS_MAX + SIGNATURE_LEN;
/// How long a request may be open, in milliseconds: 30 days.
pub const REQUEST_LIFETIME_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// How far ahead of the clock a request may say that it was made, in milliseconds: 10 minutes.
pub const REQUEST_AHEAD_MAX_MS: u64 = 10 * 60 * 1_000;
/// Length of the nonce in a request, and of the salt of its short code, in bytes.
pub const NONCE_LEN: usize = 16;
const TEXTS_MAX: usize = REQUEST_NAME_MAX + REQUEST_NOTE_MAX;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    /// The database.
    pub database: DatabaseId,
    /// Who is to hold what is wanted; the request is signed by it.
    pub key: PublicKey,
    /// The device that asks; from no other the request is taken.
    pub device: PublicKey,
    /// The device that is asked.
    pub audience: PublicKey,
    /// What is wanted.
    pub wanted: Level,
    /// 16 random bytes, so that no two requests are the same.
    pub nonce: [u8; NONCE_LEN],
    /// When it was made, in milliseconds since 1970.
    pub made: u64,
    /// When it ends, in milliseconds since 1970.
    pub expires: u64,
    /// What people call the key, as it says itself.
    pub name: String,
    /// What it says to whoever decides.
    pub note: String,
}

/// A request with its signature, which holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    request: AccessRequest,
    id: RequestId,
    bytes: Vec<u8>,
}

/// Why a request is not taken. None of it depends on the database that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// A newer version.
    #[error("the request has version {found}, this build reads {REQUEST_VERSION}; update it")]
    NewerVersion {
        /// The version that it names.
        found: u8,
    },
    /// The bytes are no request.
    #[error("the bytes are not a request for access")]
    Malformed,
    /// A name, a note or a lifetime is over its bound.
    #[error("the request's {what} is over its limit; make it shorter")]
    TooLong {
        /// What is.
        what: &'static str,
    },
    /// The signature is not that of the key.
    #[error("the request is not signed by the key that it asks for")]
    BadSignature,
    /// It was made for another device.
    #[error("the request is addressed to another device; make one for this one")]
    WrongAudience,
    /// It comes from another device than the one that made it.
    #[error("the request was made by another device than the one that sent it")]
    WrongSender,
    /// Its time is over.
    #[error("the request has expired; make a new one")]
    Expired,
    /// It says that it was made in the future.
    #[error("the request was made in the future; set the clocks of both devices right")]
    TooFarAhead,
    /// The key has made a later one since.
    #[error("the request is older than one that the key has made since; make a new one")]
    Replayed,
}

impl RequestRefusal {
    /// Returns the code that stands for it between peers.
    pub const fn code(self) -> u8 {
        match self {
            Self::NewerVersion { .. } => 0,
            Self::Malformed => 1,
            Self::TooLong { .. } => 2,
            Self::BadSignature => 3,
            Self::WrongAudience => 4,
            Self::WrongSender => 5,
            Self::Expired => 6,
            Self::TooFarAhead => 7,
            Self::Replayed => 8,
        }
    }

    /// Reads a code; one that this build does not know counts as malformed.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NewerVersion { found: REQUEST_VERSION },
            2 => Self::TooLong { what: "text or time" },
            3 => Self::BadSignature,
            4 => Self::WrongAudience,
            5 => Self::WrongSender,
            6 => Self::Expired,
            7 => Self::TooFarAhead,
            8 => Self::Replayed,
            _ => Self::Malformed,
        }
    }
}

impl AccessRequest {
    /// Signs the request by the secret half of its key.
    ///
    /// # Errors
    /// [`RequestRefusal::TooLong`], or [`RequestRefusal::BadSignature`] for another key.
    pub fn sign(self, secret: &SecretKey) -> Result<SignedRequest, RequestRefusal> {
        self.check_bounds()?;
        if secret.public() != self.key {
            return Err(RequestRefusal::BadSignature);
        }
        let mut bytes = self.body();
        let digest = RequestId::of(&bytes);
        bytes.extend_from_slice(secret.sign(Domain::Request, digest.as_bytes()).as_bytes());
        Ok(SignedRequest { request: self, id: RequestId::of(&bytes), bytes })
    }

    fn check_bounds(&self) -> Result<(), RequestRefusal> {
        let bounds = [
            ("name", self.name.len() > REQUEST_NAME_MAX),
            ("note", self.note.len() > REQUEST_NOTE_MAX),
            ("lifetime", self.expires.saturating_sub(self.made) > REQUEST_LIFETIME_MAX_MS),
        ];
        match bounds.into_iter().find(|(_, is_over)| *is_over) {
            Some((what, _)) => Err(RequestRefusal::TooLong { what }),
            None => Ok(()),
        }
    }

    fn body(&self) -> Vec<u8> {
        let (kind, priority) = match self.wanted {
            Level::Admin(priority) => (0, priority),
            Level::Write(priority) => (1, priority),
            Level::Read => (2, 0),
        };
        let mut body = vec![REQUEST_VERSION];
        body.extend_from_slice(self.database.as_bytes());
        for key in [&self.key, &self.device, &self.audience] {
            body.extend_from_slice(key.as_bytes());
        }
        body.push(kind);
        body.extend_from_slice(&priority.to_le_bytes());
        body.extend_from_slice(&self.nonce);
        body.extend_from_slice(&self.made.to_le_bytes());
        body.extend_from_slice(&self.expires.to_le_bytes());
        // Both lengths were checked against bounds that fit.
        body.push(u8::try_from(self.name.len()).unwrap_or(u8::MAX));
        body.extend_from_slice(self.name.as_bytes());
        let note = u16::try_from(self.note.len()).unwrap_or(u16::MAX);
        body.extend_from_slice(&note.to_le_bytes());
        body.extend_from_slice(self.note.as_bytes());
        body
    }
}

impl SignedRequest {
    /// Returns what is asked.
    pub const fn request(&self) -> &AccessRequest {
        &self.request
    }

    /// Returns the id: the digest of the bytes.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Returns the bytes, signature included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a request and checks its form, its bounds and its signature.
    ///
    /// # Errors
    /// [`RequestRefusal`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RequestRefusal> {
        if bytes.len() > REQUEST_MAX {
            return Err(RequestRefusal::TooLong { what: "length" });
        }
        let mut input = Input(bytes);
        let [version] = input.array()?;
        if version != REQUEST_VERSION {
            return Err(RequestRefusal::NewerVersion { found: version });
        }
        let request = read(&mut input)?;
        let signature = Signature::from_bytes(input.array()?);
        if !input.0.is_empty() {
            return Err(RequestRefusal::Malformed);
        }
        request.check_bounds()?;
        let body = bytes.len() - SIGNATURE_LEN;
        let digest = RequestId::of(bytes.get(..body).unwrap_or_default());
        if !request.key.verifies(Domain::Request, digest.as_bytes(), &signature) {
            return Err(RequestRefusal::BadSignature);
        }
        Ok(Self { request, id: RequestId::of(bytes), bytes: bytes.to_vec() })
    }

    /// Checks that the request is for this device, from the one that sent it, and of the present.
    ///
    /// # Errors
    /// [`RequestRefusal`].
    pub fn check(
        &self,
        sender: &PublicKey,
        audience: &PublicKey,
        now_millis: u64,
    ) -> Result<(), RequestRefusal> {
        let request = &self.request;
        if request.audience != *audience {
            return Err(RequestRefusal::WrongAudience);
        }
        if request.device != *sender {
            return Err(RequestRefusal::WrongSender);
        }
        if request.made > now_millis.saturating_add(REQUEST_AHEAD_MAX_MS) {
            return Err(RequestRefusal::TooFarAhead);
        }
        if request.expires <= now_millis {
            return Err(RequestRefusal::Expired);
        }
        Ok(())
    }
}

fn read(input: &mut Input<'_>) -> Result<AccessRequest, RequestRefusal> {
    let database = DatabaseId::from_bytes(input.array()?);
    let (key, device, audience) = (input.key()?, input.key()?, input.key()?);
    let [kind] = input.array()?;
    let priority = u32::from_le_bytes(input.array()?);
    let wanted = match (kind, priority) {
        (0, priority) => Level::Admin(priority),
        (1, priority) => Level::Write(priority),
        (2, 0) => Level::Read,
        _ => return Err(RequestRefusal::Malformed),
    };
    let nonce = input.array()?;
    let made = u64::from_le_bytes(input.array()?);
    let expires = u64::from_le_bytes(input.array()?);
    let [name] = input.array()?;
    let name = input.text(name.into())?;
    let note = u16::from_le_bytes(input.array()?);
    let note = input.text(note.into())?;
    Ok(AccessRequest { database, key, device, audience, wanted, nonce, made, expires, name, note })
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RequestRefusal> {
        let (head, rest) = self.0.split_first_chunk().ok_or(RequestRefusal::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn key(&mut self) -> Result<PublicKey, RequestRefusal> {
        PublicKey::from_bytes(self.array()?).map_err(|_| RequestRefusal::Malformed)
    }

    fn text(&mut self, length: usize) -> Result<String, RequestRefusal> {
        let (text, rest) = self.0.split_at_checked(length).ok_or(RequestRefusal::Malformed)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| RequestRefusal::Malformed)
    }
}

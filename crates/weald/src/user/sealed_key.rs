//! A secret key as text that a password opens, for moving it to another device.
//!
//! Invariant: the text says what trying a password costs, and that is bounded before it is spent.

use weald_dag::SecretKey;
use zeroize::Zeroizing;

use super::error::UserError;
use super::line::Line;
use super::password::{self, LOCKED_LEN, Opened, PasswordCost};
use super::phrase::{KeyPhrase, PHRASE_MAX, PhraseError};

const CONTEXT: &[u8] = b"weald 2026 exported key v1";
const LINE: Line = Line {
    prefix: "wealdsealed1",
    length: LOCKED_LEN,
    context: "weald 2026 checksum of a sealed key as text v1",
};

/// Seals a key by a password.
pub(super) fn write(
    secret: &SecretKey,
    password: &str,
    cost: PasswordCost,
) -> Result<String, UserError> {
    let locked = password::lock(&secret.to_seed(), password, cost, CONTEXT)?;
    Ok(LINE.write(&locked).to_string())
}

/// Reads a key in any of its forms.
pub(super) fn read(text: &str, password: Option<&str>) -> Result<SecretKey, UserError> {
    if text.len() > PHRASE_MAX {
        return Err(PhraseError::TooLong.into());
    }
    let mut small = Zeroizing::new(text.trim().to_owned());
    small.make_ascii_lowercase();
    if !LINE.begins(&small) {
        if password.is_some() {
            return Err(UserError::NotSealed);
        }
        let phrase: KeyPhrase = small.parse()?;
        return Ok(SecretKey::clone(phrase.secret()));
    }
    let locked = LINE.read(&small)?;
    let password = password.ok_or(UserError::ExportPasswordNeeded)?;
    match password::unlock(&locked, password, CONTEXT)? {
        Opened::Secret(seed) => Ok(SecretKey::from_seed(&seed)),
        Opened::Wrong => Err(UserError::WrongExportPassword),
        Opened::Damaged => Err(PhraseError::Checksum.into()),
    }
}

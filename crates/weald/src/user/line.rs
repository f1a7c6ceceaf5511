//! Secrets as one line of text: a prefix that ends with the version, base32, a checksum.
//!
//! Invariant: what is written is read back as the same bytes, and a slip of the pen is told.

use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, Zeroizing};

use super::phrase::PhraseError;

const CHECKSUM_LEN: usize = 4;

/// One kind of line.
pub(super) struct Line {
    /// What it begins with. The last character is the version, a digit that base32 does not know.
    pub(super) prefix: &'static str,
    /// How many bytes it holds.
    pub(super) length: usize,
    /// What its checksum is for.
    pub(super) context: &'static str,
}

impl Line {
    /// Returns the length of the text in characters.
    pub(super) fn characters(&self) -> usize {
        self.prefix.len() + BASE32_NOPAD.encode_len(self.length + CHECKSUM_LEN)
    }

    /// Returns whether a text in small letters is one of this kind, of whatever version.
    pub(super) fn begins(&self, text: &str) -> bool {
        text.starts_with(self.prefix.trim_end_matches(|c: char| c.is_ascii_digit()))
    }

    fn checksum(&self, bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
        let mut hasher = blake3::Hasher::new_derive_key(self.context);
        hasher.update(bytes);
        let mut checksum = [0; CHECKSUM_LEN];
        hasher.finalize_xof().fill(&mut checksum);
        hasher.zeroize();
        checksum
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Zeroizing<String> {
        let mut summed = Zeroizing::new(Vec::with_capacity(self.length + CHECKSUM_LEN));
        summed.extend_from_slice(bytes);
        summed.extend_from_slice(&self.checksum(bytes));
        let mut text = Zeroizing::new(String::with_capacity(self.characters()));
        text.push_str(self.prefix);
        BASE32_NOPAD.encode_append(&summed, &mut text);
        text.make_ascii_lowercase();
        text
    }

    /// Reads a text in small letters; white space anywhere does no harm.
    pub(super) fn read(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, PhraseError> {
        let mut line = Zeroizing::new(String::with_capacity(text.len()));
        line.extend(text.chars().filter(|c| !c.is_whitespace()));
        let Some(body) = line.strip_prefix(self.prefix) else {
            return Err(PhraseError::NewerVersion);
        };
        let (found, expected) = (line.chars().count(), self.characters());
        if found != expected {
            return Err(PhraseError::Length { found, expected });
        }
        let foreign = |c: char| !matches!(c, 'a'..='z' | '2'..='7');
        if let Some(place) = body.chars().position(foreign) {
            return Err(PhraseError::Symbol { number: self.prefix.len() + place + 1 });
        }
        let body = Zeroizing::new(body.to_ascii_uppercase());
        // All characters are of the alphabet: what is left to be wrong are the spare bits of the last.
        let summed = BASE32_NOPAD.decode(body.as_bytes()).map_err(|_| PhraseError::Checksum)?;
        let mut bytes = Zeroizing::new(summed);
        let (_, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(PhraseError::Checksum)?;
        let sum = *sum;
        bytes.truncate(self.length);
        if sum == self.checksum(&bytes) { Ok(bytes) } else { Err(PhraseError::Checksum) }
    }
}

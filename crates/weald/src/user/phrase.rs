//! A secret key as people write it down: 24 words, or one line of text.
//!
//! Invariant: what is written is read back as the same key, and a slip of the pen is told, never
//! taken for another key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bip39::{Language, Mnemonic};
use thiserror::Error;
use weald_dag::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::line::Line;

const WORDS: usize = 24;
/// The greatest length in bytes of what is read as a phrase.
pub(super) const PHRASE_MAX: usize = 1024;
const LINE: Line = Line {
    prefix: "wealdkey1",
    length: 32,
    context: "weald 2026 checksum of a secret key as text v1",
};

/// A secret key in the forms in which people keep it: 24 words of the English BIP-39 list, or one
/// line of text. Who has either has the key.
///
/// Both forms are read by [`str::parse`]; capitals and more white space do no harm.
#[derive(Clone)]
pub struct KeyPhrase {
    secret: Arc<SecretKey>,
}

impl fmt::Debug for KeyPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPhrase(of {})", self.secret.public().short())
    }
}

/// Why a text is not a secret key. No message repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhraseError {
    /// There are too few or too many words.
    #[error("a key has {WORDS} words, and these are {found}; write all of them in their order")]
    WordCount {
        /// How many words there are.
        found: usize,
    },
    /// A word is not of the list.
    #[error("word {number} is not one of the words of keys; compare it with what was written down")]
    UnknownWord {
        /// Which word, counted from 1.
        number: usize,
    },
    /// The words or characters are of the right kind and belong to no key.
    #[error(
        "the key does not fit its own checksum; a word or character of it is wrong or misplaced"
    )]
    Checksum,
    /// The line has another length than a key.
    #[error("the text of a key has {expected} characters, and this has {found}; copy all of it")]
    Length {
        /// How many characters there are, white space left out.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A character cannot be in the text of a key.
    #[error("character {number} of the key is not one of a-z and 2-7; copy the text again")]
    Symbol {
        /// Which character, counted from 1, white space left out.
        number: usize,
    },
    /// The text was written by a version that has another form.
    #[error("the key was written by a newer version; update this one to read it")]
    NewerVersion,
    /// The text is longer than any form of a key.
    #[error("this is longer than any key; copy the key alone")]
    TooLong,
}

impl KeyPhrase {
    pub(crate) const fn new(secret: Arc<SecretKey>) -> Self {
        Self { secret }
    }

    pub(crate) const fn secret(&self) -> &Arc<SecretKey> {
        &self.secret
    }

    /// Returns the public half, which is no secret.
    pub fn public(&self) -> PublicKey {
        self.secret.public()
    }

    /// Writes the key as 24 words with spaces between them.
    pub fn words(&self) -> Zeroizing<String> {
        let mut words = Zeroizing::new(String::with_capacity(WORDS * 9));
        // 32 bytes always have words.
        let mnemonic = Mnemonic::from_entropy_in(Language::English, &*self.secret.to_seed()).ok();
        for word in mnemonic.iter().flat_map(Mnemonic::words) {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        words
    }

    /// Writes the key as one line of small letters and digits.
    pub fn text(&self) -> Zeroizing<String> {
        LINE.write(self.secret.to_seed().as_slice())
    }
}

impl FromStr for KeyPhrase {
    type Err = PhraseError;

    fn from_str(text: &str) -> Result<Self, PhraseError> {
        if text.len() > PHRASE_MAX {
            return Err(PhraseError::TooLong);
        }
        let mut text = Zeroizing::new(text.trim().to_owned());
        text.make_ascii_lowercase();
        let secret = match LINE.begins(&text) {
            true => SecretKey::from_seed(seed(&LINE.read(&text)?)?),
            false => read_words(&text)?,
        };
        Ok(Self::new(Arc::new(secret)))
    }
}

fn read_words(words: &str) -> Result<SecretKey, PhraseError> {
    let found = words.split_whitespace().count();
    if found != WORDS {
        return Err(PhraseError::WordCount { found });
    }
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, words);
    let mnemonic = mnemonic.map_err(|error| match error {
        bip39::Error::UnknownWord(place) => PhraseError::UnknownWord { number: place + 1 },
        bip39::Error::BadWordCount(found) => PhraseError::WordCount { found },
        _ => PhraseError::Checksum,
    })?;
    let (entropy, length) = mnemonic.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    Ok(SecretKey::from_seed(seed(entropy.get(..length).unwrap_or_default())?))
}

fn seed(bytes: &[u8]) -> Result<&[u8; 32], PhraseError> {
    bytes.try_into().map_err(|_| PhraseError::Checksum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phrase(seed: [u8; 32]) -> KeyPhrase {
        KeyPhrase::new(Arc::new(SecretKey::from_seed(&seed)))
    }

    fn fails(text: &str) -> PhraseError {
        text.parse::<KeyPhrase>().unwrap_err()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_the_same_key(seed: [u8; 32]) {
            let phrase = phrase(seed);
            for form in [phrase.words(), phrase.text()] {
                prop_assert_eq!(form.parse::<KeyPhrase>().unwrap().public(), phrase.public());
                let careless = format!("\n  {} ", form.to_uppercase().replace(' ', " \t "));
                prop_assert_eq!(careless.parse::<KeyPhrase>().unwrap().public(), phrase.public());
            }
        }

        #[test]
        fn a_changed_character_is_told(seed: [u8; 32], place in 9_usize..67, by in 1_usize..32) {
            let text = phrase(seed).text();
            let alphabet = "abcdefghijklmnopqrstuvwxyz234567";
            let at = alphabet.find(&text[place..=place]).unwrap();
            let other = &alphabet[(at + by) % 32..][..1];
            let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
            prop_assert_eq!(fails(&changed), PhraseError::Checksum);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<KeyPhrase>();
            let _ = format!("wealdkey1{text}").parse::<KeyPhrase>();
        }
    }

    #[test]
    fn the_forms_of_a_known_key_do_not_change() {
        let phrase = phrase([0x7f; 32]);
        // The test vector of BIP-39 for these 32 bytes.
        assert_eq!(
            *phrase.words(),
            "legal winner thank year wave sausage worth useful legal winner thank year wave \
             sausage worth useful legal winner thank year wave sausage worth title"
        );
        assert_eq!(phrase.text().len(), 67);
        assert_eq!(
            *phrase.text(),
            "wealdkey1p57x6737p57x6737p57x6737p57x6737p57x6737p57x6737p57zzlbkne"
        );
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_of_it_repeated() {
        let (words, text) = (phrase([7; 32]).words(), phrase([7; 32]).text());
        let swapped: Vec<_> = words.split(' ').rev().collect();
        let unknown = words.replacen(words.split(' ').nth(2).unwrap(), "wrongword", 1);
        let cases = [
            ("", PhraseError::WordCount { found: 0 }),
            ("legal winner", PhraseError::WordCount { found: 2 }),
            (&unknown, PhraseError::UnknownWord { number: 3 }),
            (&swapped.join(" "), PhraseError::Checksum),
            (&text[..30], PhraseError::Length { found: 30, expected: 67 }),
            (&text.replace("key1", "key2"), PhraseError::NewerVersion),
            (&format!("{}!", &text[..66]), PhraseError::Symbol { number: 67 }),
            (&"x ".repeat(1024), PhraseError::TooLong),
        ];
        for (given, expected) in cases {
            let error = fails(given);
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("wrongword"));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let phrase = phrase([7; 32]);
        let shown = format!("{phrase:?}");
        assert!(!shown.contains(&phrase.text()[9..20]) && shown.len() < 40, "{shown}");
    }
}

//! How a secret would look in a line of text, and what looks like one.

use std::collections::BTreeSet;

use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};

/// From how many bytes on a part of a secret is told.
const PART: usize = 8;
/// Shorter runs of numbers are counts, ports and times.
const NUMBERS_MIN: usize = 16;

/// Searches lines for the secrets that are known, and for 32 bytes that are not known to be public.
#[derive(Default)]
pub(crate) struct Search {
    texts: Vec<String>,
    secrets: Vec<Vec<u8>>,
    public: BTreeSet<Vec<u8>>,
}

impl Search {
    /// A secret that is text: a password, the words of a key.
    pub(crate) fn text(&mut self, secret: &str) {
        self.texts.push(secret.to_owned());
        self.secrets.push(secret.as_bytes().to_vec());
    }

    /// A secret that is bytes.
    pub(crate) fn bytes(&mut self, secret: &[u8]) {
        self.secrets.push(secret.to_vec());
    }

    /// Bytes that anybody may see.
    pub(crate) fn public(&mut self, bytes: &[u8]) {
        self.public.insert(bytes.to_vec());
    }

    pub(crate) fn assert_clean(&self, line: &str) {
        if let Some(what) = self.find(line) {
            panic!("{what} in: {line}");
        }
    }

    /// Says what of a line should not be there.
    fn find(&self, line: &str) -> Option<&'static str> {
        let small = line.to_lowercase();
        if self.texts.iter().any(|text| line.contains(text.as_str())) {
            return Some("a secret text");
        }
        let shows = |secret: &Vec<u8>| {
            forms(secret).iter().any(|form| small.contains(&form.to_lowercase()))
        };
        if self.secrets.iter().any(shows) {
            return Some("a secret");
        }
        let is_public = |readings: &Vec<Vec<u8>>| readings.iter().any(|r| self.public.contains(r));
        let unknown = looks_like_a_key(line).iter().any(|readings| !is_public(readings));
        unknown.then_some("32 bytes of who knows what")
    }
}

/// The beginning of a secret as it would be written by each usual way, without what follows.
fn forms(secret: &[u8]) -> Vec<String> {
    let part = &secret[..secret.len().min(PART)];
    // The last characters of an encoding depend on the bytes that are cut off.
    let cut = |text: String, chars: usize| text[..text.len().min(chars)].to_owned();
    let listed = |format: fn(&u8) -> String| {
        let items: Vec<String> = part.iter().map(format).collect();
        items.join(", ")
    };
    vec![
        HEXLOWER.encode(part),
        cut(BASE32_NOPAD.encode(part), PART * 8 / 5),
        cut(BASE64.encode(part), PART * 8 / 6),
        cut(BASE64URL_NOPAD.encode(part), PART * 8 / 6),
        listed(u8::to_string),
        listed(|byte| format!("{byte:x}")),
        listed(|byte| format!("0x{byte:02x}")),
    ]
}

/// Everything in a line that is 32 bytes in hexadecimal, base32 or base64, or a long list of numbers:
/// for each what it may be.
fn looks_like_a_key(line: &str) -> Vec<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for word in line.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))) {
        let tries = [
            HEXLOWER.decode(word.to_lowercase().as_bytes()),
            BASE32_NOPAD.decode(word.to_uppercase().as_bytes()),
            BASE64URL_NOPAD.decode(word.as_bytes()),
            BASE64_NOPAD.decode(word.as_bytes()),
        ];
        let readings = tries.into_iter().flatten().filter(|bytes| bytes.len() >= 32);
        let readings: Vec<_> = readings.collect();
        if !readings.is_empty() {
            found.push(readings);
        }
    }
    let mut numbers = Vec::new();
    for item in line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|item| !item.is_empty()) {
        match item.parse::<u8>() {
            Ok(number) => numbers.push(number),
            Err(_) => numbers.clear(),
        }
        if numbers.len() >= NUMBERS_MIN {
            found.push(vec![std::mem::take(&mut numbers)]);
        }
    }
    found
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret: Vec<u8> = (100..132).collect();
    let mut search = Search::default();
    search.bytes(&secret);
    search.text("open sesame");
    let lines = [
        format!("{secret:?}"),
        format!("{:?}", &secret[..9]),
        format!("{secret:#?}").replace('\n', " "),
        HEXLOWER.encode(&secret).to_uppercase(),
        BASE32_NOPAD.encode(&secret).to_lowercase(),
        BASE64.encode(&secret),
        format!(
            "seed=[{}]",
            secret.iter().map(|b| format!("{b:x}")).collect::<Vec<_>>().join(", ")
        ),
        "she said open sesame".to_owned(),
    ];
    for line in lines {
        assert!(search.find(&line).is_some(), "{line}");
    }
    search.assert_clean("a peer at 127.0.0.1:9000 sent 3 entries in 12 ms");
}

#[test]
fn a_key_that_nobody_vouched_for_is_found_and_a_public_one_is_not() {
    let key: Vec<u8> = (1..33).collect();
    let mut search = Search::default();
    let lines = [
        format!("key={}", BASE32_NOPAD.encode(&key).to_lowercase()),
        format!("Key({})", HEXLOWER.encode(&key)),
        BASE64URL_NOPAD.encode(&key),
        format!("{key:?}"),
    ];
    for line in &lines {
        assert!(search.find(line).is_some(), "{line}");
    }
    search.public(&key);
    assert!(lines[..3].iter().all(|line| search.find(line).is_none()));
}

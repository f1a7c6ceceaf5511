//! The name shown for a message is the one its signing key has claimed; nobody can claim for another key.

use std::collections::BTreeMap;

use thiserror::Error;
use weald::PublicKey;

/// The most characters of a name.
pub(crate) const NAME_MAX: usize = 32;
/// The most keys of a room whose names are kept; those beyond are shown by their short key.
pub(crate) const NAMED_KEYS_MAX: usize = 20_000;

/// Nobody is shown by this name alone: without a screen, it begins the line of a ticket.
const TICKET: &str = "ticket";

/// Says why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NameError {
    /// Nothing is left of it to show.
    #[error("a name needs at least one letter or digit")]
    Empty,
    /// It is too long.
    #[error("a name has at most {NAME_MAX} characters; this one has {0}")]
    Long(usize),
    /// It has a character that would be mistaken for part of the screen.
    #[error("a name cannot contain {0:?}; choose letters, digits, spaces, - or _")]
    Character(char),
}

/// Takes a name that its owner chose.
///
/// # Errors
/// [`NameError`] if others would not be shown exactly this name.
pub(crate) fn check(name: &str) -> Result<String, NameError> {
    let name = name.trim();
    if let Some(character) = name.chars().find(|c| !is_allowed(*c)) {
        return Err(NameError::Character(character));
    }
    let length = name.chars().count();
    if length > NAME_MAX {
        return Err(NameError::Long(length));
    }
    clean(name).ok_or(NameError::Empty)
}

/// Returns what is shown of a name that came from anywhere, or `None` if nothing is left.
pub(crate) fn clean(name: &str) -> Option<String> {
    let allowed: String = name.chars().filter(|c| is_allowed(*c)).take(NAME_MAX).collect();
    let words: Vec<&str> = allowed.split_whitespace().collect();
    let name = words.join(" ");
    let visible = name.chars().any(char::is_alphanumeric) && crate::text::width(&name) > 0;
    visible.then_some(name)
}

/// Colons and brackets are how a line is put together, so no name may hold them.
fn is_allowed(c: char) -> bool {
    let plain = c == ' ' || !c.is_whitespace();
    plain && !c.is_control() && !":()[]<>\"".contains(c) && !is_invisible(c)
}

/// Returns whether a character changes the direction of a line or shows nothing: two different
/// texts must not look the same because of it.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Remembers by which name each key of a room wants to be called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    claimed: BTreeMap<PublicKey, String>,
    bearers: BTreeMap<String, usize>,
}

impl Names {
    /// Takes the claim of the key that signed it; a later claim replaces an earlier one.
    pub(crate) fn claim(&mut self, signer: PublicKey, name: &str) {
        let Some(name) = clean(name) else { return };
        if self.claimed.len() >= NAMED_KEYS_MAX && !self.claimed.contains_key(&signer) {
            return;
        }
        *self.bearers.entry(fold(&name)).or_default() += 1;
        if let Some(old) = self.claimed.insert(signer, name) {
            self.release(&fold(&old));
        }
    }

    /// Returns what is shown for a key: its name, its name with its short key if another key
    /// claims the same name, or only its short key.
    pub(crate) fn shown(&self, key: &PublicKey) -> String {
        let Some(name) = self.claimed.get(key) else { return key.short() };
        let shared = self.bearers.get(&fold(name)).is_some_and(|count| *count > 1);
        if shared || fold(name) == TICKET {
            return format!("{name} ({})", key.short());
        }
        name.clone()
    }

    /// Returns the name that a key has claimed.
    pub(crate) fn claimed(&self, key: &PublicKey) -> Option<&str> {
        self.claimed.get(key).map(String::as_str)
    }

    fn release(&mut self, name: &str) {
        if let Some(count) = self.bearers.get_mut(name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.bearers.remove(name);
            }
        }
    }
}

/// Names that differ only in case count as the same.
fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    #[test]
    fn a_key_is_shown_by_its_own_claim_only() {
        let mut names = Names::default();
        names.claim(key(2), "bob");
        assert_eq!(names.shown(&key(2)), "bob");
        assert_eq!(names.shown(&key(3)), key(3).short());
        names.claim(key(2), "robert");
        assert_eq!(names.shown(&key(2)), "robert");
    }

    #[test]
    fn nobody_passes_for_a_ticket() {
        let mut names = Names::default();
        names.claim(key(2), "Ticket");
        assert_ne!(names.shown(&key(2)), "Ticket");
    }

    #[test]
    fn keys_with_one_name_are_told_apart() {
        let mut names = Names::default();
        names.claim(key(2), "alice");
        names.claim(key(3), "ALICE");
        assert_eq!(names.shown(&key(2)), format!("alice ({})", key(2).short()));
        assert_eq!(names.shown(&key(3)), format!("ALICE ({})", key(3).short()));
        names.claim(key(3), "mallory");
        assert_eq!(names.shown(&key(2)), "alice");
    }

    #[test]
    fn a_name_cannot_imitate_another_line() {
        assert_eq!(clean("alice (abc): hi").as_deref(), Some("alice abc hi"));
        assert_eq!(clean("al\u{200b}ice").as_deref(), Some("alice"));
        assert_eq!(clean("\u{1b}[31mred").as_deref(), Some("31mred"));
        assert_eq!(clean("a\nb"), Some("ab".to_owned()));
        assert_eq!(clean(" \u{202e} "), None);
        let mut names = Names::default();
        names.claim(key(2), "\u{202e}");
        assert_eq!(names.shown(&key(2)), key(2).short());
    }

    #[test]
    fn own_names_are_refused_with_the_reason() {
        assert_eq!(check(" Zoë 2 "), Ok("Zoë 2".to_owned()));
        assert_eq!(check("a:b"), Err(NameError::Character(':')));
        assert_eq!(check("…"), Err(NameError::Empty));
        assert_eq!(check(&"x".repeat(40)), Err(NameError::Long(40)));
    }
}

//! What an operation on the settings does, as a sentence for people.
//!
//! Invariant: keys are called by their names where the settings give any, and always named by their
//! short form, too.

use weald_auth::{Operation, Subject};

use crate::history::Names;

/// How much of a setting's value is told, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// Says what an operation does.
pub(crate) fn in_words(operation: &Operation, names: &Names) -> String {
    match operation {
        Operation::Grant { subject, level, name, expires } => {
            let whom = match (subject, name) {
                (Subject::Key(key), Some(name)) => format!("{name} ({})", key.short()),
                (subject, _) => called(*subject, names),
            };
            format!("grants {level} to {whom}{}", until(*expires))
        }
        Operation::Invite { key, gives, uses, expires } => {
            let uses = if *uses == 1 { "one use".to_owned() } else { format!("{uses} uses") };
            format!(
                "makes the invite {} that gives {gives}, for {uses}{}",
                key.short(),
                until(*expires)
            )
        }
        Operation::Limit { subject, to: None } => {
            format!("takes everything from {}", called(*subject, names))
        }
        Operation::Limit { subject, to: Some(level) } => {
            format!("leaves {} at most {level}", called(*subject, names))
        }
        Operation::Set { key, value } => {
            let mut shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
            if shown.len() < value.len() {
                shown.push('…');
            }
            format!("sets {key:?} to {shown:?}")
        }
    }
}

fn called(subject: Subject, names: &Names) -> String {
    match subject {
        Subject::Key(key) => names.called(&key),
        Subject::Anyone => "anyone".to_owned(),
    }
}

fn until(expires: Option<u64>) -> String {
    expires.map_or_else(String::new, |end| format!(", until {end} ms since 1970"))
}

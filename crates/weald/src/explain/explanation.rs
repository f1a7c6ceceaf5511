//! One reason, as a sentence that names entries and people.
//!
//! Invariant: the sentence says what happened and what can be done.

use std::fmt;

use weald_auth::AuthRefusal;
use weald_dag::{EntryId, PublicKey, Refusal};

use crate::history::Names;

/// Why something does not stand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Authority does not let the entry stand, or would not let an entry of the key stand.
    Hidden(AuthRefusal),
    /// The door has refused the entry.
    Refused {
        /// The entry to which the reason belongs: itself or the first refused one that it descends
        /// from.
        at: EntryId,
        /// Why.
        reason: Refusal,
    },
}

/// Why an entry does not stand, or a key may not do something. Its [`Display`](fmt::Display) is a
/// sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The entry; `None` if a wish is explained.
    pub entry: Option<EntryId>,
    /// Who signed the entry, or whose wish it is.
    pub author: PublicKey,
    /// Why.
    pub reason: Reason,
    /// Who signed the entry that limits the author, or that granted what the author held and is
    /// hidden itself, if that is why.
    pub by: Option<PublicKey>,
    pub(super) names: Names,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            let what = match self.reason {
                Reason::Hidden(_) => "is hidden",
                Reason::Refused { .. } => "was refused",
            };
            write!(f, "entry {} of {} {what}: ", entry.short(), self.names.called(&self.author))?;
        }
        match &self.reason {
            Reason::Hidden(refusal) => self.authority(f, refusal),
            Reason::Refused { at, reason } => {
                if self.entry.is_some_and(|entry| entry != *at) {
                    write!(f, "it builds on entry {}, which was refused: ", at.short())?;
                }
                match reason {
                    Refusal::Descends { ancestor } => write!(
                        f,
                        "it builds on entry {}, which was refused before; fetch the database from \
                         another peer if that is a mistake",
                        ancestor.short()
                    ),
                    other => write!(f, "{other}"),
                }
            }
        }
    }
}

impl Explanation {
    fn authority(&self, f: &mut fmt::Formatter<'_>, refusal: &AuthRefusal) -> fmt::Result {
        match refusal {
            AuthRefusal::Stranger { needed, author } => write!(
                f,
                "{needed}, and nobody has granted anything to {}; ask an administrator for a grant",
                self.names.called(author)
            ),
            AuthRefusal::TooWeak { needed, author, held } => write!(
                f,
                "{needed}, and {} holds {held}; ask an administrator for more",
                self.names.called(author)
            ),
            AuthRefusal::Limited { needed, author, by } => {
                let whose = self.by.map(|by| format!(" of {}", self.names.called(&by)));
                write!(
                    f,
                    "{needed}, and entry {}{} took that from {}; only a new grant by somebody at \
                     least as strong brings it back",
                    by.short(),
                    whose.unwrap_or_default(),
                    self.names.called(author)
                )
            }
            AuthRefusal::GrantHidden { needed, author, by } => {
                let whose = self.by.map(|by| format!(" of {}", self.names.called(&by)));
                write!(
                    f,
                    "{needed}, and entry {}{}, which granted that to {}, is hidden itself; ask an \
                     administrator for a new grant, and why that one is hidden",
                    by.short(),
                    whose.unwrap_or_default(),
                    self.names.called(author)
                )
            }
            AuthRefusal::Expired { needed, author, held, .. } => write!(
                f,
                "{needed}, and the {held} of {} has ended; ask an administrator for a new grant",
                self.names.called(author)
            ),
            other => write!(f, "{other}"),
        }
    }
}

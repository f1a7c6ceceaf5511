//! What a change to the settings would do, told before it is made.
//!
//! Invariant: it is the change itself, made on a copy of the rows that is thrown away.

use std::sync::Arc;

use weald_auth::{Authority, Level, Subject};
use weald_dag::{Overlay, PublicKey};
use weald_engine::{Engine, Folded};

use super::change::commit;
use super::decide::{Decision, Wish};
use super::{Settings, SettingsError};
use crate::clock::wall_millis;
use crate::error::Error;
use crate::sign::sign;

/// What a change would do to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberPreview {
    /// Who it is.
    pub subject: Subject,
    /// What people call it.
    pub name: Option<String>,
    /// What it holds by itself now.
    pub before: Option<Level>,
    /// What it would hold.
    pub after: Option<Level>,
}

/// What a change to the settings would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsPreview {
    /// How many entries that are visible here would be hidden. None where the change is made on all
    /// that is known, as it nearly always is. What other devices have and this one has not is not
    /// counted.
    pub entries_hidden: u64,
    /// How many entries that are hidden here would be visible.
    pub entries_shown: u64,
    /// Who signed them.
    pub authors: Vec<PublicKey>,
    /// Whose level would change: whom it names, and whoever's standing rests on what would vanish.
    pub members: Vec<MemberPreview>,
}

impl Settings {
    /// Tells what [`Settings::limit`] would do. It costs about what opening the database does.
    ///
    /// # Errors
    /// As for [`Settings::limit`].
    pub fn preview_limit(
        &self,
        subject: Subject,
        to: Option<Level>,
    ) -> Result<SettingsPreview, Error> {
        self.preview(Wish::Limit { subject, to })
    }

    /// Tells what [`Settings::revoke_with_granted`] would do, as [`Settings::preview_limit`] does.
    ///
    /// # Errors
    /// As for [`Settings::revoke_with_granted`].
    pub fn preview_revoke_with_granted(&self, subject: Subject) -> Result<SettingsPreview, Error> {
        self.preview(Wish::WithGranted { subject })
    }

    fn preview(&self, wish: Wish) -> Result<SettingsPreview, Error> {
        let (core, number) = (self.database.core(), self.database.number());
        let mut engine = Engine::new(core.types.clone());
        let mut rows = Overlay::new(core.rows()?.0);
        let authority = engine.authority(&rows, number)?.unwrap_or_default();
        let (key, now_millis) = (self.database.secret(), wall_millis());
        let decision = Decision { authority: &authority, actor: key.public(), now_millis };
        let operations = decision.operations(wish)?;
        let Some(commit) = commit(number, key, &operations)? else {
            return Ok(SettingsPreview::default());
        };
        let mut made = engine.commit(&mut rows, vec![commit], now_millis, &sign)?;
        let folded = made.pop().transpose().map_err(SettingsError::from)?;
        let after = engine.authority(&rows, number)?.unwrap_or_default();
        Ok(SettingsPreview::of(folded, &authority, &after, now_millis))
    }
}

impl SettingsPreview {
    fn of(
        folded: Option<Folded>,
        before: &Arc<Authority>,
        after: &Arc<Authority>,
        now_millis: u64,
    ) -> Self {
        let shift = folded.and_then(|folded| folded.shift).unwrap_or_default();
        Self {
            entries_hidden: shift.vanished,
            entries_shown: shift.appeared,
            authors: shift.authors.iter().copied().collect(),
            members: changed(before, after, now_millis),
        }
    }
}

/// Returns those who hold something else than before, strongest before first.
fn changed(before: &Authority, after: &Authority, now_millis: u64) -> Vec<MemberPreview> {
    let (before, after) =
        (before.current().at(now_millis).members(), after.current().at(now_millis).members());
    let mut changed = Vec::new();
    for member in &before {
        let left = after.iter().find(|other| other.subject == member.subject);
        let left = left.map(|left| left.level);
        if left != Some(member.level) {
            let (subject, name) = (member.subject, member.name.clone());
            changed.push(MemberPreview { subject, name, before: Some(member.level), after: left });
        }
    }
    for member in after {
        if before.iter().all(|other| other.subject != member.subject) {
            let (subject, name) = (member.subject, member.name);
            changed.push(MemberPreview { subject, name, before: None, after: Some(member.level) });
        }
    }
    changed
}

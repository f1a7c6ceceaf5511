//! Handing on what a key holds: to another device of its bearer, or to the key that takes its place.
//!
//! Invariant: what is handed on is neither more than what the key holds by itself nor for longer.

use weald_auth::{Authority, Level, Operation, Subject};
use weald_dag::PublicKey;

use super::decide::Decision;
use super::error::SettingsError;
use super::outlook::LASTING;

/// A level, and when it ends, in milliseconds since 1970.
type Held = (Level, Option<u64>);

impl Decision<'_> {
    /// Hands on everything.
    pub(super) fn device(
        &self,
        key: PublicKey,
        name: Option<String>,
    ) -> Result<Vec<Operation>, SettingsError> {
        let mut own = own(self.authority, self.actor, self.now_millis);
        if own.is_empty() {
            // There is nothing to hand on; the door says what is missing.
            own.push((Level::Read, None));
        }
        self.hand_on(key, own, name)
    }

    /// Hands on what the other key does not hold yet.
    pub(super) fn hand_over(&self, key: PublicKey) -> Result<Vec<Operation>, SettingsError> {
        let own_of = |key| own(self.authority, key, self.now_millis);
        let (mut own, has) = (own_of(self.actor), own_of(key));
        own.retain(|(level, end)| {
            !has.iter().any(|(has, until)| has.covers(*level) && lasts_as_long(*until, *end))
        });
        let members = self.members(self.authority).into_iter();
        let mut named = members.filter(|member| member.subject == Subject::Key(self.actor));
        let name = named.next().and_then(|member| member.name);
        self.hand_on(key, own, name)
    }

    fn hand_on(
        &self,
        key: PublicKey,
        own: Vec<Held>,
        name: Option<String>,
    ) -> Result<Vec<Operation>, SettingsError> {
        let subject = Subject::Key(key);
        let grant = |(level, expires): &Held| {
            let (level, name, expires) = (*level, name.clone(), *expires);
            Operation::Grant { subject, level, name, expires }
        };
        let operations: Vec<_> = own.iter().map(grant).collect();
        if operations.is_empty() {
            return Ok(operations);
        }
        let after = self.try_out(&operations)?;
        for (level, _) in own {
            self.check_given(&after, subject, level)?;
        }
        Ok(operations)
    }
}

const fn lasts_as_long(until: Option<u64>, end: Option<u64>) -> bool {
    match (until, end) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(until), Some(end)) => end <= until,
    }
}

/// Returns what a key holds by itself: what lasts, and what is more than that and ends.
fn own(authority: &Authority, key: PublicKey, now_millis: u64) -> Vec<Held> {
    let at = |millis| {
        let members = authority.current().at(millis).members().into_iter();
        let mut own = members.filter(|member| member.subject == Subject::Key(key));
        own.next()
    };
    let lasting = at(LASTING).map(|member| (member.level, None));
    let ends = at(now_millis).map(|member| (member.level, member.expires));
    let ends = ends.filter(|(level, _)| lasting.is_none_or(|(lasting, _)| lasting != *level));
    lasting.into_iter().chain(ends).collect()
}

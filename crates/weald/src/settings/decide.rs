//! What a change to the settings is made of, decided on what they say at its turn.
//!
//! Invariant: it is tried on a copy of the authority before it is written, so what it refuses is
//! what would come of it, and nothing here can let an entry in that the door would refuse.

use weald_auth::{Action, AuthRefusal, Authority, Level, Member, Operation, Subject};
use weald_dag::PublicKey;
use weald_engine::CommitError;

use super::error::SettingsError;
use super::outlook::{LASTING, outlook};

/// What somebody wants to change.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// A level for a subject.
    Grant { subject: Subject, level: Level, name: Option<String>, expires: Option<u64> },
    /// As much as the key of the handle holds itself, for another key of its bearer.
    Device { key: PublicKey, name: Option<String> },
    /// What the key of the handle holds itself, for a key that is to take its place: as much of it as
    /// that key does not hold yet.
    HandOver { key: PublicKey },
    /// At most this for a subject.
    Limit { subject: Subject, to: Option<Level> },
    /// Nothing for a subject, nor for those whose standing goes back to its grants.
    WithGranted { subject: Subject },
    /// Exactly this for everybody.
    Anyone { level: Option<Level> },
    /// As much as the recovery key holds for a key, and nothing for those that were stolen.
    Recover { key: PublicKey, name: String, stolen: Vec<PublicKey> },
    /// Another value of a setting.
    Set { key: String, value: String },
}

/// Who wishes it, on what, and when.
#[derive(Clone, Copy)]
pub(crate) struct Decision<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) actor: PublicKey,
    pub(crate) now_millis: u64,
}

impl Decision<'_> {
    /// Returns the operations of one entry that does what is wished; none when it is so already.
    pub(crate) fn operations(&self, wish: Wish) -> Result<Vec<Operation>, SettingsError> {
        match wish {
            Wish::Grant { subject, level, name, expires } => {
                self.grant(subject, level, name, expires)
            }
            Wish::Device { key, name } => self.device(key, name),
            Wish::HandOver { key } => self.hand_over(key),
            Wish::Limit { subject, to } => self.limit(subject, to),
            Wish::WithGranted { subject } => self.with_granted(subject),
            Wish::Anyone { level } => self.anyone(level),
            Wish::Recover { key, name, stolen } => self.recover(key, name, stolen),
            Wish::Set { key, value } => Ok(vec![Operation::Set { key, value }]),
        }
    }

    fn grant(
        &self,
        subject: Subject,
        level: Level,
        name: Option<String>,
        expires: Option<u64>,
    ) -> Result<Vec<Operation>, SettingsError> {
        if let Some(expires) = expires.filter(|end| *end <= self.now_millis) {
            return Err(SettingsError::AlreadyEnded { expires });
        }
        let operations = vec![Operation::Grant { subject, level, name, expires }];
        let after = self.try_out(&operations)?;
        self.check_given(&after, subject, level)?;
        Ok(operations)
    }

    fn limit(&self, subject: Subject, to: Option<Level>) -> Result<Vec<Operation>, SettingsError> {
        let operations = vec![Operation::Limit { subject, to }];
        self.check_limits(subject, to, &operations)?;
        Ok(operations)
    }

    fn with_granted(&self, subject: Subject) -> Result<Vec<Operation>, SettingsError> {
        let limit = |subject| Operation::Limit { subject, to: None };
        let mut operations = vec![limit(subject)];
        if let Subject::Key(key) = subject {
            let branch = self.authority.current().at(self.now_millis).granted_by_branch(&key);
            let spared = [subject, Subject::Key(self.actor)];
            let branch = branch.into_iter().filter(|granted| !spared.contains(granted));
            operations.extend(branch.map(limit));
        }
        self.check_limits(subject, None, &operations)?;
        Ok(operations)
    }

    fn anyone(&self, level: Option<Level>) -> Result<Vec<Operation>, SettingsError> {
        let subject = Subject::Anyone;
        let held = self.held(self.authority, subject);
        let mut operations = Vec::new();
        if held.is_some_and(|held| level.is_none_or(|level| !level.covers(held))) {
            operations.push(Operation::Limit { subject, to: level });
            let after = self.try_out(&operations)?;
            self.check_taken(&after, subject, level)?;
        }
        let Some(level) = level else { return Ok(operations) };
        // What is so now and ends is not yet what was wished.
        let is_so = |authority: &Authority| {
            let at = |millis| authority.current().at(millis).anyone_level();
            [self.now_millis, LASTING].into_iter().all(|millis| at(millis) == Some(level))
        };
        let is_done = match operations.is_empty() {
            true => is_so(self.authority),
            false => is_so(&self.try_out(&operations)?),
        };
        if !is_done {
            operations.push(Operation::Grant { subject, level, name: None, expires: None });
            let after = self.try_out(&operations)?;
            self.check_given(&after, subject, level)?;
        }
        Ok(operations)
    }

    fn recover(
        &self,
        key: PublicKey,
        name: String,
        stolen: Vec<PublicKey>,
    ) -> Result<Vec<Operation>, SettingsError> {
        let members = self.members(self.authority);
        let recovery = Subject::Key(self.actor);
        let recovery = members.iter().find(|member| member.subject == recovery);
        let level = recovery.map(|member| member.level);
        let level = level.filter(|level| level.allows(Action::Administer));
        let level = level.ok_or(SettingsError::NotTheRecoveryKey { key: self.actor })?;
        let limit = |key: &PublicKey| Operation::Limit { subject: Subject::Key(*key), to: None };
        let mut operations: Vec<_> = stolen.iter().map(limit).collect();
        let (subject, name) = (Subject::Key(key), Some(name));
        operations.push(Operation::Grant { subject, level, name, expires: None });
        let after = self.try_out(&operations)?;
        for key in stolen {
            self.check_taken(&after, Subject::Key(key), None)?;
        }
        self.check_given(&after, subject, level)?;
        Ok(operations)
    }

    pub(super) fn try_out(&self, operations: &[Operation]) -> Result<Authority, SettingsError> {
        let after = outlook(self.authority, self.actor, operations, self.now_millis);
        after.map_err(|refusal| match refusal {
            AuthRefusal::GrantTooStrong { wanted, held, .. } => {
                SettingsError::AboveOwnRank { wanted, held }
            }
            AuthRefusal::AdminForAnyone { wanted, .. } => SettingsError::AdminForAnyone { wanted },
            other => CommitError::NotPermitted { reason: other.to_string() }.into(),
        })
    }

    pub(super) fn members(&self, authority: &Authority) -> Vec<Member> {
        authority.current().at(self.now_millis).members()
    }

    /// Returns what a subject may do, with what anyone may.
    fn held(&self, authority: &Authority, subject: Subject) -> Option<Level> {
        let current = authority.current().at(self.now_millis);
        match subject {
            Subject::Key(key) => current.level_of(&key),
            Subject::Anyone => current.anyone_level(),
        }
    }

    fn is_open_invite(&self, authority: &Authority, subject: Subject) -> bool {
        let Subject::Key(key) = subject else { return false };
        authority.current().at(self.now_millis).invite(&key).is_some()
    }

    pub(super) fn check_given(
        &self,
        after: &Authority,
        subject: Subject,
        level: Level,
    ) -> Result<(), SettingsError> {
        if self.held(after, subject).is_some_and(|held| held.covers(level)) {
            return Ok(());
        }
        match after.current().limits_of(subject).first() {
            Some((by, _)) => Err(SettingsError::LimitedByStronger { subject, by: *by }),
            None => Err(SettingsError::OutranksNobody { subject }),
        }
    }

    fn check_limits(
        &self,
        subject: Subject,
        to: Option<Level>,
        operations: &[Operation],
    ) -> Result<(), SettingsError> {
        let after = self.try_out(operations)?;
        // What has ended can still be used by entries that name an earlier time.
        let current = self.authority.current();
        let holds = match subject {
            Subject::Key(key) => current.level_of(&key).is_some(),
            Subject::Anyone => current.anyone_level().is_some(),
        };
        if !holds && !self.is_open_invite(self.authority, subject) {
            return Err(SettingsError::NotAMember { subject });
        }
        if !current.at(self.now_millis).outranks(&self.actor, subject) {
            return Err(SettingsError::OutranksNobody { subject });
        }
        self.check_taken(&after, subject, to)?;
        if leaves_nobody(self.authority, &after, self.now_millis) {
            return Err(SettingsError::LastAdministrator);
        }
        Ok(())
    }

    fn check_taken(
        &self,
        after: &Authority,
        subject: Subject,
        to: Option<Level>,
    ) -> Result<(), SettingsError> {
        let before = self.held(self.authority, subject);
        let left = self.held(after, subject);
        if to.is_none() && self.is_open_invite(after, subject) {
            return Err(SettingsError::OutranksNobody { subject });
        }
        match left.filter(|left| to.is_none_or(|to| !to.covers(*left))) {
            None => Ok(()),
            left if left == before => Err(SettingsError::OutranksNobody { subject }),
            Some(left) => Err(SettingsError::StillHolds { subject, left }),
        }
    }
}

/// Returns whether a change leaves no administrator, or only such as end by themselves where there
/// was one that does not.
pub(super) fn leaves_nobody(before: &Authority, after: &Authority, now_millis: u64) -> bool {
    let has_admin = |authority: &Authority, at| {
        let members = authority.current().at(at).members();
        members.iter().any(|member| member.level.allows(Action::Administer))
    };
    !has_admin(after, LASTING) && (has_admin(before, LASTING) || !has_admin(after, now_millis))
}

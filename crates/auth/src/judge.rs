//! The judgement of one entry: whether anything that its author holds lets it count.
//!
//! Invariant: the verdict of the door is a function of the entry and of the settings entries in its
//! past.

use crate::epoch::Before;
use crate::extend::of_past;
use crate::holding::{Holding, Strength};
use crate::need::{Claim, Need};
use crate::operation::Subject;
use crate::past::Past;
use crate::rank::Rank;
use crate::refusal::AuthRefusal;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;
use crate::tables::Tables;
use crate::uses::{Asks, User};

/// Returns the strongest rank under which an entry with this past counts.
pub(crate) fn judge(
    tables: &Tables,
    before: &Before,
    claim: &Claim<'_>,
) -> Result<Rank, AuthRefusal> {
    let need = Need::of(claim)?;
    if claim.generation == 0 {
        return Ok(Rank::ROOT);
    }
    let empty = Past::default();
    let past = tables.entries.epochs.past(before).unwrap_or(&empty);
    let knows = |index| past.contains(index);
    let among = |resolved: &Resolved| {
        let judgement = Judgement { tables, resolved, need: &need, claim };
        judgement.rank(&knows, &knows, &|_| false)
    };
    if tables.is_settled(past) {
        return among(&tables.everything);
    }
    // Whom nobody ever granted anything must not make others work.
    let subjects = [Subject::Key(claim.author), Subject::Anyone];
    let mut giving = subjects.iter().flat_map(|subject| tables.entries.giving_to(*subject));
    if !giving.any(|index| knows(*index)) {
        return Err(AuthRefusal::Stranger { needed: need.action(), author: claim.author });
    }
    among(&of_past(&tables.entries, &tables.cache, before))
}

/// An entry that is judged among a resolved set.
pub(crate) struct Judgement<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) resolved: &'a Resolved,
    pub(crate) need: &'a Need,
    pub(crate) claim: &'a Claim<'a>,
}

impl Judgement<'_> {
    /// Returns the strongest rank under which the entry counts; of the set it knows, and is judged
    /// by, what is asked for.
    pub(crate) fn rank(
        &self,
        knows: &Asks<'_>,
        sees: &Asks<'_>,
        is_before: &Asks<'_>,
    ) -> Result<Rank, AuthRefusal> {
        let user = User {
            author: Subject::Key(self.claim.author),
            millis: self.claim.time.millis(),
            place: (self.claim.generation, self.claim.id),
            limits_itself: self.need.is_own_limit(),
            knows,
            sees,
            is_before,
            precedes: &|a, b| self.tables.entries.precedes(a, b),
        };
        self.resolved.rank_of(self.need, user).ok_or_else(|| self.refusal(user))
    }

    fn refusal(&self, user: User<'_>) -> AuthRefusal {
        let (needed, author) = (self.need.action(), self.claim.author);
        let usable: Vec<_> = self.resolved.usable(user).collect();
        let lasting = usable.iter().filter(|(held, ..)| held.lasts_at(user.millis));
        let levels = lasting.filter_map(|(_, strength, _)| strength.level());
        let held = levels.min_by_key(|level| level.strength());
        if let Some(held) = held.filter(|held| held.allows(needed)) {
            return match self.need.grant() {
                Some(grant) => {
                    let (index, wanted) = (grant.index, grant.level);
                    AuthRefusal::GrantTooStrong { index, wanted, author, held }
                }
                None => AuthRefusal::TooWeak { needed, author, held },
            };
        }
        let usable = usable.iter().map(|(held, strength, _)| (held.as_ref(), *strength));
        self.ended(usable.clone(), user.millis)
            .or_else(|| self.misused(usable, user))
            .or_else(|| self.limited(user))
            .or_else(|| self.grant_hidden(user))
            .unwrap_or(match held {
                Some(held) => AuthRefusal::TooWeak { needed, author, held },
                None => AuthRefusal::Stranger { needed, author },
            })
    }

    /// Says that what would have sufficed had ended.
    fn ended<'h>(
        &self,
        usable: impl Iterator<Item = (&'h Holding, Strength)>,
        millis: u64,
    ) -> Option<AuthRefusal> {
        let needed = self.need.action();
        let ended =
            usable.filter(|(held, _)| !held.lasts_at(millis)).filter_map(|(held, strength)| {
                let level = match strength {
                    Strength::Level(level) => Some(level).filter(|level| level.allows(needed)),
                    Strength::Invite { gives, .. } => Some(gives).filter(|_| self.is_invited()),
                };
                Some((level?, held.expires?))
            });
        let (held, expired) = ended.min_by_key(|(level, _)| level.strength())?;
        let (author, time) = (self.claim.author, self.claim.time);
        Some(AuthRefusal::Expired { needed, author, held, expired, time })
    }

    /// Says what is wrong with the use of an invite.
    fn misused<'h>(
        &self,
        mut usable: impl Iterator<Item = (&'h Holding, Strength)>,
        user: User<'_>,
    ) -> Option<AuthRefusal> {
        let author = self.claim.author;
        let (held, gives) = usable.find_map(|(held, strength)| match strength {
            Strength::Invite { gives, .. } if held.lasts_at(user.millis) => Some((held, gives)),
            _ => None,
        })?;
        Some(if self.is_invited() && !self.resolved.has_uses(held, user) {
            AuthRefusal::InviteUsedUp { author }
        } else {
            AuthRefusal::InviteMisused { author, gives }
        })
    }

    /// Returns whether the entry is what the use of an invite looks like.
    const fn is_invited(&self) -> bool {
        matches!(self.need, Need::LevelOrInvite { .. })
    }

    fn suffices(&self, strength: Strength) -> bool {
        match strength {
            Strength::Level(level) => level.allows(self.need.action()),
            Strength::Invite { .. } => self.is_invited() || self.need.is_own_limit(),
        }
    }

    /// Says what took that which would have sufficed.
    fn limited(&self, user: User<'_>) -> Option<AuthRefusal> {
        let holdings = self.resolved.shares.usable_by(user.author).into_iter();
        let known =
            holdings.flat_map(|share| &share.holdings).filter(|held| (user.knows)(held.grant));
        let mut sufficed = known.filter(|held| self.suffices(held.strength));
        let suffices = |strength| self.suffices(strength);
        let limit = sufficed.find_map(|held| self.resolved.limit_on(held, user, suffices))?;
        let by = self.tables.entries.get(limit.entry)?.id;
        Some(AuthRefusal::Limited { needed: self.need.action(), author: self.claim.author, by })
    }

    /// Says which entry granted what would have sufficed and does not count itself.
    fn grant_hidden(&self, user: User<'_>) -> Option<AuthRefusal> {
        let entries = &self.tables.entries;
        let giving = [user.author, Subject::Anyone].into_iter();
        let giving = giving.flat_map(|subject| entries.giving_to(subject).iter().copied());
        let mut hidden =
            giving.filter(|index| (user.knows)(*index) && !self.resolved.counts(*index));
        let by = hidden.find_map(|index| {
            let kept = entries.get(index)?;
            let mut given = kept.given_to(user.author);
            given.any(|strength| self.suffices(strength)).then_some(kept.id)
        })?;
        let (needed, author) = (self.need.action(), self.claim.author);
        Some(AuthRefusal::GrantHidden { needed, author, by })
    }
}

/// Returns why a settings entry is hidden among everything.
pub(crate) fn why_hidden(tables: &Tables, index: SettingsIndex) -> Option<AuthRefusal> {
    let entries = &tables.entries;
    let kept = entries.get(index).filter(|_| !tables.everything.counts(index))?;
    let claim = kept.claim();
    let need = match Need::of(&claim) {
        Ok(need) => need,
        Err(refusal) => return Some(refusal),
    };
    let judgement = Judgement { tables, resolved: &tables.everything, need: &need, claim: &claim };
    let knows = |other| entries.precedes(other, index);
    let is_before = |other| other == index || entries.precedes(index, other);
    judgement.rank(&knows, &|_| true, &is_before).err()
}

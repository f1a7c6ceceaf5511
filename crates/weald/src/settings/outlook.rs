//! What the settings would say with one more entry on top of all that is known.
//!
//! Invariant: it is tried on a copy; what is known stays as it is.

use weald_auth::{AuthRefusal, Authority, Before, Claim, EpochId, Operation, Origin, Rank};
use weald_dag::{EntryId, ID_LEN, PublicKey, Time};

/// A time by which every grant that ends has ended, in milliseconds since 1970.
pub(crate) const LASTING: u64 = u64::MAX;

/// Returns the past of an entry on top of all that is known.
fn newest(authority: &Authority) -> Before {
    let tip = |index: &_| Origin { epoch: EpochId::EMPTY, settings: Some(*index) };
    let tips: Vec<Origin> = authority.settings_tips().iter().map(tip).collect();
    authority.before(&tips)
}

/// An entry that is weaker than everything that is there, as the real one will be.
fn claim(actor: PublicKey, operations: Option<&[Operation]>, now_millis: u64) -> Claim<'_> {
    Claim {
        id: EntryId::from_bytes([0xff; ID_LEN]),
        author: actor,
        generation: u64::MAX,
        time: Time::from_millis(now_millis),
        writes_data: operations.is_none(),
        operations,
    }
}

/// Judges an entry of a key on top of all that is known; one without operations writes data.
pub(crate) fn judge_now(
    authority: &Authority,
    actor: PublicKey,
    operations: Option<&[Operation]>,
    now_millis: u64,
) -> Result<Rank, AuthRefusal> {
    authority.judge_before(&newest(authority), &claim(actor, operations, now_millis))
}

/// Returns the authority as it would be with these operations on top of all that is known.
pub(crate) fn outlook(
    authority: &Authority,
    actor: PublicKey,
    operations: &[Operation],
    now_millis: u64,
) -> Result<Authority, AuthRefusal> {
    let claim = claim(actor, Some(operations), now_millis);
    let before = newest(authority);
    authority.judge_before(&before, &claim)?;
    let mut after = authority.clone();
    let epoch = after.intern(before);
    after.insert(epoch, &claim);
    Ok(after)
}

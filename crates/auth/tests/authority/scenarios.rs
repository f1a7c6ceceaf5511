//! Named scenarios of taking away: who wins, what stays, what is hidden and why.

use weald_auth::{Action, AuthRefusal, Level, Operation, Subject};

use crate::graph::KEYS;
use crate::world::{
    ALICE, BOB, CREATOR, World, grant, grant_anyone, grant_until, invite, limit, limit_anyone, set,
};

const CAROL: usize = 3;
const TICKET: usize = 6;

fn limited(world: &World, author: usize, needed: Action, by: usize) -> Option<AuthRefusal> {
    Some(AuthRefusal::Limited { needed, author: KEYS[author], by: world.id(by) })
}

/// The creator has made Alice and Bob administrators of the same priority, Alice first.
fn two_admins() -> (World, usize) {
    let mut world = World::new();
    let both = vec![grant(ALICE, Level::Admin(1)), grant(BOB, Level::Admin(1))];
    let (both, _) = world.propose(CREATOR, &[0], Some(both)).unwrap();
    (world, both)
}

#[test]
fn of_two_admins_who_revoke_each_other_the_senior_stays() {
    for bob_is_first in [false, true] {
        let (mut world, both) = two_admins();
        let mut revokes = |by: usize, whom| world.says(by, &[both], limit(whom, None)).unwrap().0;
        let (by_alice, by_bob) = if bob_is_first {
            let by_bob = revokes(BOB, ALICE);
            (revokes(ALICE, BOB), by_bob)
        } else {
            (revokes(ALICE, BOB), revokes(BOB, ALICE))
        };
        assert_eq!(world.why(by_alice), None);
        assert_eq!(world.why(by_bob), limited(&world, BOB, Action::Administer, by_alice));
        assert_eq!((world.level(ALICE), world.level(BOB)), (Some(Level::Admin(1)), None));
        assert!(world.writes(BOB, &[by_alice, by_bob]).is_err());
        assert!(world.writes(ALICE, &[by_alice, by_bob]).is_ok());
    }
}

#[test]
fn what_a_revocation_saw_stays_and_what_is_beside_it_falls_with_all_that_came_of_it() {
    let (mut world, both) = two_admins();
    let (seen, _) = world.says(ALICE, &[both], grant(CAROL, Level::Write(2))).unwrap();
    let (before, _) = world.writes(ALICE, &[seen]).unwrap();
    let (beside, _) = world.says(ALICE, &[before], grant(4, Level::Write(2))).unwrap();
    let (data, _) = world.writes(4, &[beside]).unwrap();
    let (revoked, _) = world.says(CREATOR, &[before], limit(ALICE, None)).unwrap();
    assert_eq!((world.why(seen), world.why(before)), (None, None));
    assert_eq!(world.why(beside), limited(&world, ALICE, Action::Administer, revoked));
    let fell =
        AuthRefusal::GrantHidden { needed: Action::Write, author: KEYS[4], by: world.id(beside) };
    assert!(fell.to_string().contains("which is hidden itself"), "{fell}");
    assert_eq!(world.why(data), Some(fell));
    assert_eq!((world.level(CAROL), world.level(4)), (Some(Level::Write(2)), None));
}

#[test]
fn a_revoked_writer_gains_nothing_by_old_parents() {
    let mut world = World::new();
    let (granted, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Write(1))).unwrap();
    let (honest, _) = world.writes(ALICE, &[granted]).unwrap();
    let (revoked, _) = world.says(CREATOR, &[honest], limit(ALICE, None)).unwrap();
    let at_the_door = world.writes(ALICE, &[revoked]).unwrap_err();
    assert_eq!(Some(at_the_door), limited(&world, ALICE, Action::Write, revoked));
    for parent in [granted, honest] {
        let (backdated, _) = world.writes(ALICE, &[parent]).unwrap();
        assert_eq!(world.why(backdated), limited(&world, ALICE, Action::Write, revoked));
    }
    assert_eq!(world.why(honest), None);
}

#[test]
fn an_admin_who_is_demoted_to_writer_keeps_writing() {
    let (mut world, both) = two_admins();
    let demoted = limit(ALICE, Some(Level::Write(4)));
    let (demoted, _) = world.says(CREATOR, &[both], demoted).unwrap();
    let (data, _) = world.writes(ALICE, &[demoted]).unwrap();
    let (beside, _) = world.writes(ALICE, &[both]).unwrap();
    let (settings, _) = world.says(ALICE, &[both], set("name", "beside")).unwrap();
    assert_eq!((world.why(data), world.why(beside)), (None, None));
    assert_eq!(world.why(settings), limited(&world, ALICE, Action::Administer, demoted));
    assert_eq!(world.current().setting("name"), None);
    assert!(world.says(ALICE, &[demoted], set("name", "after")).is_err());
    assert_eq!(world.level(ALICE), Some(Level::Write(4)));
}

#[test]
fn a_weaker_admin_does_nothing_by_limiting_the_creator() {
    let (mut world, both) = two_admins();
    let (vain, _) = world.says(ALICE, &[both], limit(CREATOR, None)).unwrap();
    assert_eq!((world.why(vain), world.level(CREATOR)), (None, Some(Level::Admin(0))));
    assert!(world.says(CREATOR, &[vain], set("name", "mine")).is_ok());
}

#[test]
fn only_somebody_as_strong_brings_back_whom_a_stronger_one_revoked() {
    let (mut world, both) = two_admins();
    let (revoked, _) = world.says(CREATOR, &[both], limit(CAROL, None)).unwrap();
    let (again, _) = world.says(ALICE, &[revoked], grant(CAROL, Level::Write(2))).unwrap();
    assert_eq!(world.level(CAROL), None);
    let refusal = world.writes(CAROL, &[again]).unwrap_err();
    assert_eq!(Some(refusal), limited(&world, CAROL, Action::Write, revoked));
    let (back, _) = world.says(CREATOR, &[again], grant(CAROL, Level::Write(2))).unwrap();
    assert!(world.writes(CAROL, &[back]).is_ok());
    // Whom a junior revoked, a senior brings back.
    let (junior, _) = world.says(BOB, &[back], limit(4, None)).unwrap();
    let (senior, _) = world.says(ALICE, &[junior], grant(4, Level::Read)).unwrap();
    assert_eq!((world.why(senior), world.level(4)), (None, Some(Level::Read)));
}

#[test]
fn an_invite_for_one_counts_once_whatever_comes_first() {
    for last_is_first in [false, true] {
        let mut world = World::new();
        let (ticket, _) = world.says(CREATOR, &[0], invite(TICKET, Level::Write(3), 1)).unwrap();
        let grinds = if last_is_first { [2, 1] } else { [1, 2] };
        let mut uses = [ALICE, BOB].into_iter().zip(grinds).map(|(key, grind)| {
            let uses = grant(key, Level::Write(3));
            (grind, world.grinds(TICKET, &[ticket], uses, grind))
        });
        let mut uses = [uses.next().unwrap(), uses.next().unwrap()];
        uses.sort_unstable();
        assert_eq!(world.why(uses[0].1), None);
        let used_up = AuthRefusal::InviteUsedUp { author: KEYS[TICKET] };
        assert_eq!(world.why(uses[1].1), Some(used_up.clone()));
        let third = world.says(TICKET, &[uses[0].1], grant(CAROL, Level::Write(3)));
        assert_eq!(third.unwrap_err(), used_up);
        let invites = world.current().invites();
        assert_eq!((invites[0].used, invites[0].is_open()), (1, false));
    }
}

#[test]
fn an_invite_allows_its_one_grant_and_nothing_else() {
    let mut world = World::new();
    let (ticket, _) = world.says(CREATOR, &[0], invite(TICKET, Level::Write(3), 2)).unwrap();
    let misused = AuthRefusal::InviteMisused { author: KEYS[TICKET], gives: Level::Write(3) };
    assert_eq!(world.writes(TICKET, &[ticket]).unwrap_err(), misused);
    let twice = [ALICE, BOB].map(|key| grant(key, Level::Write(3))).to_vec();
    assert_eq!(world.propose(TICKET, &[ticket], Some(twice)).unwrap_err(), misused);
    for other in [
        grant(ALICE, Level::Write(4)),
        grant(ALICE, Level::Read),
        grant_anyone(Level::Write(3)),
        invite(7, Level::Write(3), 1),
        limit(ALICE, None),
        set("name", "mine"),
    ] {
        assert_eq!(world.says(TICKET, &[ticket], other).unwrap_err(), misused);
    }
    let ended = Operation::Invite { key: KEYS[7], gives: Level::Read, uses: 1, expires: Some(2) };
    let (late, _) = world.says(CREATOR, &[ticket], ended).unwrap();
    let refusal = world.says(7, &[late], grant(ALICE, Level::Read)).unwrap_err();
    assert!(matches!(refusal, AuthRefusal::Expired { expired: 2, .. }), "{refusal:?}");
}

#[test]
fn one_key_can_be_two_invites_each_with_its_uses() {
    let mut world = World::new();
    let two = [1, 2].map(|uses| invite(TICKET, Level::Write(3), uses)).to_vec();
    let (mut last, _) = world.propose(CREATOR, &[0], Some(two)).unwrap();
    for key in [ALICE, BOB, CAROL] {
        (last, _) = world.says(TICKET, &[last], grant(key, Level::Write(3))).unwrap();
        assert_eq!(world.level(key), Some(Level::Write(3)));
    }
    assert!(world.says(TICKET, &[last], grant(4, Level::Write(3))).is_err());
    let used: Vec<u32> = world.current().invites().iter().map(|invite| invite.used).collect();
    assert_eq!(used, [1, 2]);
}

#[test]
fn a_seat_of_a_sealed_invite_cannot_be_taken_by_a_backdated_use() {
    for seals in [false, true] {
        let mut world = World::new();
        let (ticket, _) = world.says(CREATOR, &[0], invite(TICKET, Level::Write(3), 1)).unwrap();
        let used = world.grinds(TICKET, &[ticket], grant(ALICE, Level::Write(3)), 9);
        let (data, _) = world.writes(ALICE, &[used]).unwrap();
        if seals {
            let due = world.current().due_limits(0);
            assert_eq!(due, [(Subject::Key(KEYS[TICKET]), None)]);
            world.says(CREATOR, &[data], limit(TICKET, None)).unwrap();
        }
        // Whoever has found the ticket chooses an id that comes first.
        let thief = world.grinds(TICKET, &[ticket], grant(BOB, Level::Write(3)), 0);
        assert_eq!(world.why(thief).is_some(), seals);
        assert_eq!(world.why(data).is_none(), seals);
        assert_eq!(world.level(ALICE).is_some(), seals);
    }
}

#[test]
fn a_wildcard_that_is_withdrawn_ends_for_all_who_hold_nothing_else() {
    let mut world = World::new();
    let open = vec![grant_anyone(Level::Write(9)), grant(ALICE, Level::Write(9))];
    let (open, _) = world.propose(CREATOR, &[0], Some(open)).unwrap();
    let (guest, _) = world.writes(BOB, &[open]).unwrap();
    let (closed, _) = world.says(CREATOR, &[guest], limit_anyone(None)).unwrap();
    let (late, _) = world.writes(BOB, &[open]).unwrap();
    let (member, _) = world.writes(ALICE, &[open]).unwrap();
    assert_eq!((world.why(guest), world.why(member)), (None, None));
    assert_eq!(world.why(late), limited(&world, BOB, Action::Write, closed));
    assert!(world.writes(BOB, &[closed]).is_err() && world.writes(ALICE, &[closed]).is_ok());
    assert!(!world.current().may_read(&[KEYS[BOB]]));
    // It is lowered by a limit and a grant in one entry, and opened again by a grant.
    let lowered = vec![limit_anyone(None), grant_anyone(Level::Read)];
    let (lowered, _) = world.propose(CREATOR, &[closed], Some(lowered)).unwrap();
    assert_eq!(world.current().anyone_level(), Some(Level::Read));
    world.says(CREATOR, &[lowered], grant_anyone(Level::Write(9))).unwrap();
    assert_eq!(world.level(BOB), Some(Level::Write(9)));
}

#[test]
fn who_is_limited_by_name_is_not_let_in_again_by_the_wildcard() {
    let mut world = World::new();
    let (open, _) = world.says(CREATOR, &[0], grant_anyone(Level::Write(9))).unwrap();
    let (banned, _) = world.says(CREATOR, &[open], limit(BOB, None)).unwrap();
    let (again, _) = world.says(CREATOR, &[banned], grant_anyone(Level::Write(5))).unwrap();
    assert!(world.writes(BOB, &[again]).is_err() && world.writes(CAROL, &[again]).is_ok());
    assert_eq!((world.level(BOB), world.level(CAROL)), (None, Some(Level::Write(5))));
    let (back, _) = world.says(CREATOR, &[again], grant(BOB, Level::Read)).unwrap();
    assert_eq!(world.level(BOB), Some(Level::Read));
    assert!(world.writes(BOB, &[back]).is_err());
}

#[test]
fn a_user_takes_a_lost_device_back_and_not_the_other_way_round() {
    let mut world = World::new();
    let (user, phone) = (ALICE, BOB);
    let (admin, _) = world.says(CREATOR, &[0], grant(user, Level::Admin(2))).unwrap();
    let (device, _) = world.says(user, &[admin], grant(phone, Level::Admin(2))).unwrap();
    let (used, _) = world.says(phone, &[device], grant(CAROL, Level::Write(2))).unwrap();
    // The thief answers with the same, on parents as old as he likes.
    let (lost, _) = world.says(user, &[used], limit(phone, None)).unwrap();
    let (answer, _) = world.says(phone, &[device], limit(user, None)).unwrap();
    assert_eq!(world.why(answer), limited(&world, phone, Action::Administer, lost));
    assert_eq!((world.level(user), world.level(phone)), (Some(Level::Admin(2)), None));
    assert_eq!(world.level(CAROL), Some(Level::Write(2)));
}

#[test]
fn the_recovery_key_takes_a_stolen_creator_key_back() {
    let mut world = World::new();
    let recovery = 7;
    let both = vec![grant(recovery, Level::Admin(0)), grant(CREATOR, Level::Admin(0))];
    world.graph.entries[0].operations = Some(both);
    world.replica = crate::replica::Replica::default();
    world.replica.receive(&world.graph, 0).unwrap();
    let (member, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Write(1))).unwrap();
    // The thief revokes whom it can, and tries the recovery key.
    let (theft, _) = world.says(CREATOR, &[0], limit(ALICE, None)).unwrap();
    let (vain, _) = world.says(CREATOR, &[theft], limit(recovery, None)).unwrap();
    assert_eq!(world.level(ALICE), None);
    let rescue = vec![limit(CREATOR, None), grant(BOB, Level::Admin(0))];
    let (rescue, _) = world.propose(recovery, &[member], Some(rescue)).unwrap();
    for hidden in [theft, vain] {
        assert_eq!(world.why(hidden), limited(&world, CREATOR, Action::Administer, rescue));
    }
    assert_eq!((world.why(member), world.level(ALICE)), (None, Some(Level::Write(1))));
    assert_eq!((world.level(CREATOR), world.level(BOB)), (None, Some(Level::Admin(0))));
}

#[test]
fn two_admins_who_leave_at_once_leave_nobody() {
    let (mut world, both) = two_admins();
    let (gone, _) = world.says(CREATOR, &[both], limit(CREATOR, None)).unwrap();
    let (alice, _) = world.says(ALICE, &[gone], limit(ALICE, None)).unwrap();
    let (bob, _) = world.says(BOB, &[gone], limit(BOB, None)).unwrap();
    assert_eq!([gone, alice, bob].map(|place| world.why(place)), [None, None, None]);
    assert_eq!(world.current().admins(), []);
    assert!(world.says(ALICE, &[alice, bob], grant(ALICE, Level::Admin(1))).is_err());
}

#[test]
fn who_leaves_hides_its_own_entries_beside_it_and_keeps_the_rest() {
    let (mut world, both) = two_admins();
    let (kept, _) = world.says(ALICE, &[both], grant(CAROL, Level::Write(2))).unwrap();
    let (left, _) = world.says(ALICE, &[kept], limit(ALICE, None)).unwrap();
    let (beside, _) = world.says(ALICE, &[kept], grant(4, Level::Write(2))).unwrap();
    let (elsewhere, _) = world.says(ALICE, &[kept], limit(ALICE, Some(Level::Read))).unwrap();
    assert_eq!([left, kept, elsewhere].map(|place| world.why(place)), [None, None, None]);
    assert_eq!(world.why(beside), limited(&world, ALICE, Action::Administer, left));
    let (index, author) = (0, KEYS[ALICE]);
    let more = vec![limit(ALICE, None), grant(ALICE, Level::Write(2))];
    let refusal = world.propose(ALICE, &[kept], Some(more)).unwrap_err();
    assert_eq!(refusal, AuthRefusal::NotAlone { index });
    assert!(world.replica.authority.current().limits_on(&author).len() == 2);
}

#[test]
fn a_limit_on_old_parents_is_undone_by_limiting_its_author() {
    let (mut world, both) = two_admins();
    let (first, _) = world.says(BOB, &[both], grant(CAROL, Level::Write(2))).unwrap();
    let (data, _) = world.writes(CAROL, &[first]).unwrap();
    let (spite, _) = world.says(ALICE, &[both], limit(BOB, None)).unwrap();
    assert!([first, data].iter().all(|place| world.why(*place).is_some()));
    let (undone, _) = world.says(CREATOR, &[data], limit(ALICE, None)).unwrap();
    assert!([first, data, undone].iter().all(|place| world.why(*place).is_none()));
    assert_eq!(world.why(spite), limited(&world, ALICE, Action::Administer, undone));
}

#[test]
fn an_admin_sinks_by_a_limit_and_cannot_grant_what_it_could() {
    let (mut world, both) = two_admins();
    let sunk = limit(ALICE, Some(Level::Admin(5)));
    let (sunk, _) = world.says(CREATOR, &[both], sunk).unwrap();
    let refusal = world.says(ALICE, &[sunk], grant(CAROL, Level::Write(1))).unwrap_err();
    let (wanted, held, author) = (Level::Write(1), Level::Admin(5), KEYS[ALICE]);
    assert_eq!(refusal, AuthRefusal::GrantTooStrong { index: 0, wanted, author, held });
    // Bob is the stronger one now, wherever Alice stands.
    let (vain, _) = world.says(ALICE, &[both], limit(BOB, None)).unwrap();
    assert_eq!((world.why(vain), world.level(BOB)), (None, Some(Level::Admin(1))));
    world.says(BOB, &[sunk], limit(ALICE, None)).unwrap();
    assert_eq!(world.level(ALICE), None);
}

#[test]
fn what_has_ended_is_told_from_what_was_taken() {
    let mut world = World::new();
    let (granted, _) = world.says(CREATOR, &[0], grant_until(ALICE, Level::Write(1), 4)).unwrap();
    let (late, _) = world.writes(CREATOR, &[granted]).unwrap();
    let refusal = world.writes(ALICE, &[late]).unwrap_err();
    assert!(matches!(refusal, AuthRefusal::Expired { expired: 4, .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("ask an administrator for a new grant"));
    let (taken, _) = world.says(CREATOR, &[late], limit(ALICE, None)).unwrap();
    let refusal = world.writes(ALICE, &[taken]).unwrap_err();
    assert_eq!(Some(&refusal), limited(&world, ALICE, Action::Write, taken).as_ref());
    assert!(refusal.to_string().contains("for a new grant"), "{refusal}");
}

//! What administrators can do now, and which limits are due.

use weald_auth::{Level, Operation, Subject};

use crate::graph::KEYS;
use crate::world::{
    ALICE, BOB, CREATOR, World, grant, grant_anyone, grant_until, invite, limit, limit_anyone,
};

const CAROL: usize = 3;
const DAN: usize = 4;
const TICKET: usize = 6;

fn key(key: usize) -> Subject {
    Subject::Key(KEYS[key])
}

#[test]
fn administrators_are_named_strongest_first() {
    let mut world = World::new();
    let all = vec![grant(BOB, Level::Admin(2)), grant(ALICE, Level::Admin(1))];
    let (all, _) = world.propose(CREATOR, &[0], Some(all)).unwrap();
    let (writer, _) = world.says(CREATOR, &[all], grant(CAROL, Level::Write(0))).unwrap();
    assert_eq!(world.current().admins(), [KEYS[CREATOR], KEYS[ALICE], KEYS[BOB]]);
    let demoted = limit(ALICE, Some(Level::Admin(7)));
    let (demoted, _) = world.says(CREATOR, &[writer], demoted).unwrap();
    assert_eq!(world.current().admins(), [KEYS[CREATOR], KEYS[BOB], KEYS[ALICE]]);
    world.says(CREATOR, &[demoted], limit(BOB, Some(Level::Write(0)))).unwrap();
    assert_eq!(world.current().admins(), [KEYS[CREATOR], KEYS[ALICE]]);
}

#[test]
fn who_outranks_whom_goes_by_priority_and_seniority() {
    let mut world = World::new();
    let admins = vec![grant(ALICE, Level::Admin(1)), grant(BOB, Level::Admin(1))];
    let (admins, _) = world.propose(CREATOR, &[0], Some(admins)).unwrap();
    let (last, _) = world.says(CREATOR, &[admins], grant(CAROL, Level::Write(0))).unwrap();
    let outranks = |world: &World, a: usize, b: Subject| world.current().outranks(&KEYS[a], b);
    assert!(outranks(&world, CREATOR, key(ALICE)) && !outranks(&world, ALICE, key(CREATOR)));
    assert!(outranks(&world, ALICE, key(BOB)) && !outranks(&world, BOB, key(ALICE)));
    // A writer of priority 0 is stronger than an administrator of priority 1.
    assert!(!outranks(&world, ALICE, key(CAROL)) && !outranks(&world, CAROL, key(BOB)));
    assert!(outranks(&world, BOB, key(BOB)) && outranks(&world, CAROL, key(CAROL)));
    assert!(!outranks(&world, CREATOR, key(DAN)) && !outranks(&world, DAN, key(DAN)));
    assert!(!outranks(&world, CREATOR, Subject::Anyone));
    let (open, _) = world.says(CREATOR, &[last], grant_anyone(Level::Write(5))).unwrap();
    assert!(outranks(&world, BOB, Subject::Anyone) && outranks(&world, BOB, key(DAN)));
    assert!(outranks(&world, DAN, key(DAN)) && !outranks(&world, DAN, Subject::Anyone));
    world.says(ALICE, &[open], limit(BOB, None)).unwrap();
    assert!(!outranks(&world, BOB, Subject::Anyone) && !outranks(&world, ALICE, key(BOB)));
}

#[test]
fn an_answer_about_granting_and_limiting_is_the_answer_of_the_door() {
    let mut world = World::new();
    let levels = [Level::Admin(1), Level::Admin(3), Level::Write(3), Level::Read, Level::Write(0)];
    let all = [ALICE, BOB, CAROL, DAN].into_iter().zip(levels);
    let all = all.map(|(key, level)| grant(key, level)).collect();
    let (last, _) = world.propose(CREATOR, &[0], Some(all)).unwrap();
    for actor in [CREATOR, ALICE, BOB, CAROL, DAN, 5] {
        for level in levels {
            let answer = world.current().can_grant(&KEYS[actor], level);
            let mut world = world.clone();
            assert_eq!(
                world.says(actor, &[last], grant(5, level)).is_ok(),
                answer,
                "{actor} {level}"
            );
        }
    }
}

#[test]
fn a_branch_is_everyone_whose_standing_goes_back_to_a_key() {
    let mut world = World::new();
    let (a, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Admin(1))).unwrap();
    let (b, _) = world.says(ALICE, &[a], grant(BOB, Level::Admin(2))).unwrap();
    let (c, _) = world.says(BOB, &[b], grant(CAROL, Level::Write(3))).unwrap();
    let (i, _) = world.says(BOB, &[c], invite(TICKET, Level::Write(3), 2)).unwrap();
    let (d, _) = world.says(TICKET, &[i], grant(DAN, Level::Write(3))).unwrap();
    let branch = |world: &World, of: usize| world.current().granted_by_branch(&KEYS[of]);
    let sorted = |mut keys: Vec<Subject>| {
        keys.sort_unstable();
        keys
    };
    let bobs = sorted(vec![key(CAROL), key(TICKET), key(DAN)]);
    assert_eq!(branch(&world, BOB), bobs);
    assert_eq!(branch(&world, ALICE), sorted([bobs, vec![key(BOB)]].concat()));
    assert_eq!(branch(&world, TICKET), [key(DAN)]);
    assert_eq!(branch(&world, CAROL), []);
    // Who has as much from elsewhere, earlier, is not of the branch; who has less, is.
    let other = vec![grant(CAROL, Level::Write(3)), grant(DAN, Level::Read)];
    let (e, _) = world.propose(CREATOR, &[d], Some(other)).unwrap();
    assert_eq!(branch(&world, BOB), sorted(vec![key(TICKET), key(DAN)]));
    let (f, _) = world.says(ALICE, &[e], grant_anyone(Level::Read)).unwrap();
    assert!(branch(&world, ALICE).contains(&Subject::Anyone));
    world.says(CREATOR, &[f], limit(DAN, None)).unwrap();
    assert_eq!(branch(&world, TICKET), []);
}

#[test]
fn one_entry_limits_a_whole_branch() {
    let mut world = World::new();
    let (a, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Admin(1))).unwrap();
    let all = [BOB, CAROL].map(|key| grant(key, Level::Write(3))).to_vec();
    let (b, _) = world.propose(ALICE, &[a], Some(all)).unwrap();
    let mut subjects = world.current().granted_by_branch(&KEYS[ALICE]);
    subjects.push(key(ALICE));
    let limits = subjects.into_iter().map(|subject| Operation::Limit { subject, to: None });
    world.propose(CREATOR, &[b], Some(limits.collect())).unwrap();
    assert_eq!(world.current().members().len(), 1);
    assert_eq!(world.current().granted_by_branch(&KEYS[ALICE]), []);
}

#[test]
fn limits_are_due_on_what_is_used_up_or_has_ended() {
    let mut world = World::new();
    let (a, _) = world.says(CREATOR, &[0], grant_until(ALICE, Level::Admin(1), 50)).unwrap();
    let (b, _) = world.says(CREATOR, &[a], invite(TICKET, Level::Write(3), 1)).unwrap();
    assert_eq!(world.current().due_limits(49), []);
    assert_eq!(world.current().due_limits(50), [(key(ALICE), None)]);
    let (c, _) = world.says(TICKET, &[b], grant(BOB, Level::Write(3))).unwrap();
    assert_eq!(world.current().due_limits(49), [(key(TICKET), None)]);
    // A renewal stays: only what it does not cover is taken.
    let (d, _) = world.says(CREATOR, &[c], grant(ALICE, Level::Write(4))).unwrap();
    let due = world.current().due_limits(50);
    assert_eq!(due.len(), 2);
    assert!(due.contains(&(key(ALICE), Some(Level::Write(4)))));
    let made = due.into_iter().map(|(subject, to)| Operation::Limit { subject, to }).collect();
    world.propose(CREATOR, &[d], Some(made)).unwrap();
    assert_eq!(world.current().due_limits(1000), []);
    assert_eq!(world.current().at(1000).level_of(&KEYS[ALICE]), Some(Level::Write(4)));
}

#[test]
fn an_ended_grant_to_anyone_is_due_too() {
    let mut world = World::new();
    let open = Operation::Grant {
        subject: Subject::Anyone,
        level: Level::Write(9),
        name: None,
        expires: Some(50),
    };
    let (open, _) = world.says(CREATOR, &[0], open).unwrap();
    assert_eq!(world.current().due_limits(50), [(Subject::Anyone, None)]);
    world.says(CREATOR, &[open], limit_anyone(None)).unwrap();
    assert_eq!(world.current().due_limits(50), []);
}

//! What grants give, what the door says without them, and what is known of members and settings.

use weald_auth::{Action, AuthRefusal, EpochId, Level, Operation, Rank, Subject};
use weald_dag::Time;

use crate::graph::{Graph, KEYS};
use crate::replica::Replica;
use crate::world::{ALICE, BOB, CREATOR, World, grant, grant_anyone, grant_until, set};

#[test]
fn a_stranger_is_refused_and_told_why() {
    let mut world = World::new();
    let refusal = world.writes(ALICE, &[0]).unwrap_err();
    assert_eq!(refusal, AuthRefusal::Stranger { needed: Action::Write, author: KEYS[ALICE] });
    let text = refusal.to_string();
    assert!(text.contains("needs Write") && text.contains(&KEYS[ALICE].to_string()), "{text}");
}

#[test]
fn a_grant_that_the_past_does_not_hold_does_not_count() {
    let mut world = World::new();
    let (granted, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Write(1))).unwrap();
    assert!(world.writes(ALICE, &[granted]).is_ok());
    let backdated = world.writes(ALICE, &[0]).unwrap_err();
    assert!(matches!(backdated, AuthRefusal::Stranger { .. }));
    let (beside, _) = world.writes(CREATOR, &[0]).unwrap();
    assert!(world.writes(ALICE, &[beside]).is_err());
    assert!(world.writes(ALICE, &[beside, granted]).is_ok());
}

#[test]
fn an_entry_does_not_stand_on_its_own_grant() {
    let mut world = World::new();
    let own = world.says(ALICE, &[0], grant(ALICE, Level::Admin(0))).unwrap_err();
    assert_eq!(own, AuthRefusal::Stranger { needed: Action::Administer, author: KEYS[ALICE] });
}

#[test]
fn a_weaker_admin_cannot_grant_a_stronger_priority() {
    let mut world = World::new();
    let (granted, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Admin(5))).unwrap();
    for level in [Level::Admin(4), Level::Write(4), Level::Admin(0)] {
        let operations = vec![grant(BOB, Level::Read), grant(BOB, level)];
        let refusal = world.propose(ALICE, &[granted], Some(operations)).unwrap_err();
        let held = Level::Admin(5);
        let author = KEYS[ALICE];
        let expected = AuthRefusal::GrantTooStrong { index: 1, wanted: level, author, held };
        assert_eq!(refusal, expected);
        assert!(refusal.to_string().contains("it can grant priority 5 and weaker"), "{refusal}");
    }
    for level in [Level::Admin(5), Level::Write(5), Level::Admin(6), Level::Read] {
        assert!(world.says(ALICE, &[granted], grant(BOB, level)).is_ok());
    }
}

#[test]
fn write_for_anyone_allows_data_and_not_settings() {
    let mut world = World::new();
    let (opened, _) = world.says(CREATOR, &[0], grant_anyone(Level::Write(10))).unwrap();
    assert!(world.writes(BOB, &[opened]).is_ok());
    let refusal = world.says(BOB, &[opened], set("name", "mine")).unwrap_err();
    let (needed, author, held) = (Action::Administer, KEYS[BOB], Level::Write(10));
    assert_eq!(refusal, AuthRefusal::TooWeak { needed, author, held });
    assert_eq!(world.replica.authority.current().level_of(&KEYS[BOB]), Some(held));
}

#[test]
fn admin_for_anyone_is_refused_even_in_a_root() {
    let mut world = World::new();
    let everybody = grant_anyone(Level::Admin(7));
    let refusal = world.says(CREATOR, &[0], everybody.clone()).unwrap_err();
    assert_eq!(refusal, AuthRefusal::AdminForAnyone { index: 0, wanted: Level::Admin(7) });
    let root = Graph::new(vec![grant(CREATOR, Level::Admin(0)), everybody]);
    let refusal = Replica::default().receive(&root, 0).unwrap_err();
    assert_eq!(refusal, AuthRefusal::AdminForAnyone { index: 1, wanted: Level::Admin(7) });
}

#[test]
fn a_reader_reads_and_does_not_write() {
    let mut world = World::new();
    let (granted, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Read)).unwrap();
    let (needed, author, held) = (Action::Write, KEYS[ALICE], Level::Read);
    let refusal = world.writes(ALICE, &[granted]).unwrap_err();
    assert_eq!(refusal, AuthRefusal::TooWeak { needed, author, held });
    let current = world.replica.authority.current();
    assert!(current.may_read(&[KEYS[ALICE]]) && current.may_read(&[KEYS[BOB], KEYS[ALICE]]));
    assert!(!current.may_read(&[KEYS[BOB]]) && !current.may_read(&[]));
    assert!(!current.permits(&KEYS[ALICE], Action::Write));
}

#[test]
fn read_for_anyone_lets_everybody_read_even_without_a_key() {
    let mut world = World::new();
    world.says(CREATOR, &[0], grant_anyone(Level::Read)).unwrap();
    let current = world.replica.authority.current();
    assert!(current.may_read(&[]) && current.may_read(&[KEYS[BOB]]));
}

#[test]
fn a_grant_ends_at_its_time_by_the_time_of_the_entry() {
    let mut world = World::new();
    // The grant is at 2 ms, so the entries after it are at 3, 4 and 5.
    let (granted, _) = world.says(CREATOR, &[0], grant_until(ALICE, Level::Write(1), 5)).unwrap();
    let (third, _) = world.writes(ALICE, &[granted]).unwrap();
    let (fourth, _) = world.writes(ALICE, &[third]).unwrap();
    let refusal = world.writes(ALICE, &[fourth]).unwrap_err();
    let (needed, author, held) = (Action::Write, KEYS[ALICE], Level::Write(1));
    let time = Time::from_millis(5);
    assert_eq!(refusal, AuthRefusal::Expired { needed, author, held, expired: 5, time });
    let current = world.replica.authority.current();
    assert!(current.at(4).may_read(&[KEYS[ALICE]]) && !current.at(5).may_read(&[KEYS[ALICE]]));
    assert_eq!(current.at(5).level_of(&KEYS[ALICE]), None);
    assert_eq!((current.at(4).members().len(), current.at(5).members().len()), (2, 1));
    let again = grant_until(ALICE, Level::Write(1), 100);
    let (again, _) = world.says(CREATOR, &[fourth], again).unwrap();
    assert!(world.writes(ALICE, &[again]).is_ok());
}

#[test]
fn an_entry_counts_under_its_strongest_holding_that_allows_all_of_it() {
    let mut world = World::new();
    let holdings = vec![grant(ALICE, Level::Write(0)), grant(ALICE, Level::Admin(3))];
    let (granted, _) = world.propose(CREATOR, &[0], Some(holdings)).unwrap();
    let (opened, _) = world.says(CREATOR, &[granted], grant_anyone(Level::Write(0))).unwrap();
    let entry = world.graph.entries[granted].id;
    let (_, data) = world.writes(ALICE, &[opened]).unwrap();
    assert_eq!(data, Rank { priority: 0, generation: 1, entry, index: 0 });
    let (_, settings) = world.says(ALICE, &[opened], set("name", "ours")).unwrap();
    assert_eq!(settings, Rank { priority: 3, generation: 1, entry, index: 1 });
    // The Write holding is stronger, but cannot grant; the Admin holding cannot grant priority 2.
    assert!(world.says(ALICE, &[opened], grant(BOB, Level::Write(2))).is_err());
}

#[test]
fn seniority_decides_between_equal_priorities() {
    let mut world = World::new();
    let (first, _) = world.says(CREATOR, &[0], grant(ALICE, Level::Admin(0))).unwrap();
    let (second, given) = world.says(ALICE, &[first], grant(BOB, Level::Admin(0))).unwrap();
    let (_, bobs) = world.writes(BOB, &[second]).unwrap();
    assert!(Rank::ROOT < given && given < bobs);
    assert_eq!((given.generation, bobs.generation), (1, 2));
}

#[test]
fn the_root_can_grant_a_recovery_key_before_the_creator() {
    let admin = |key| grant(key, Level::Admin(0));
    let mut graph = Graph::new(vec![admin(BOB), admin(CREATOR)]);
    let mut replica = Replica::default();
    assert_eq!(replica.receive(&graph, 0), Ok(Rank::ROOT));
    graph.add(&[0], BOB, 1, Some(vec![admin(ALICE)]), 0);
    graph.add(&[0], CREATOR, 1, Some(vec![admin(ALICE)]), 0);
    let recovery = replica.receive(&graph, 1).unwrap();
    let creator = replica.receive(&graph, 2).unwrap();
    assert!(recovery < creator);
    assert_eq!((recovery.index, creator.index), (0, 1));
}

#[test]
fn a_database_without_grants_takes_nothing_more() {
    let mut graph = Graph::new(vec![]);
    let mut replica = Replica::default();
    replica.receive(&graph, 0).unwrap();
    graph.add(&[0], CREATOR, 1, None, 0);
    assert!(replica.receive(&graph, 1).is_err());
}

#[test]
fn an_unknown_epoch_grants_nothing() {
    let mut world = World::new();
    let place = world.graph.add(&[0], CREATOR, 1, None, 0);
    let authority = &world.replica.authority;
    assert!(authority.judge(EpochId(99), &world.graph.entries[place].claim()).is_err());
    assert!(authority.epoch_tips(EpochId(99)).is_empty());
}

#[test]
fn members_have_their_strongest_level_and_their_latest_name() {
    let mut world = World::new();
    let named = |name: &str, level| Operation::Grant {
        subject: Subject::Key(KEYS[ALICE]),
        level,
        name: Some(name.into()),
        expires: None,
    };
    let (first, _) = world.says(CREATOR, &[0], named("Al", Level::Admin(2))).unwrap();
    let (second, _) = world.says(CREATOR, &[first], named("Alice", Level::Write(2))).unwrap();
    world.says(ALICE, &[second], grant_anyone(Level::Read)).unwrap();
    let members = world.replica.authority.current().members();
    let subjects: Vec<Subject> = members.iter().map(|member| member.subject).collect();
    let keys = [KEYS[CREATOR], KEYS[ALICE]].map(Subject::Key);
    assert_eq!(subjects, [keys[0], keys[1], Subject::Anyone]);
    assert_eq!((members[1].level, members[1].name.as_deref()), (Level::Admin(2), Some("Alice")));
    assert_eq!((members[1].granted_by, members[2].granted_by), (KEYS[CREATOR], KEYS[ALICE]));
    assert_eq!(members[1].since, world.graph.entries[first].time);
}

#[test]
fn of_two_settings_the_later_stands() {
    let mut world = World::new();
    let (first, _) = world.says(CREATOR, &[0], set("name", "first")).unwrap();
    let both = vec![set("name", "second"), set("name", "third"), set("topic", "t")];
    world.propose(CREATOR, &[first], Some(both)).unwrap();
    world.says(CREATOR, &[0], set("name", "beside, earlier")).unwrap();
    let current = world.replica.authority.current();
    assert_eq!((current.setting("name"), current.setting("topic")), (Some("third"), Some("t")));
    assert_eq!(current.setting("absent"), None);
}

#[test]
fn a_clone_does_not_change_with_its_original() {
    let mut world = World::new();
    let before = world.replica.authority.clone();
    world.says(CREATOR, &[0], grant(ALICE, Level::Write(1))).unwrap();
    assert_eq!((before.settings_count(), before.epoch_count()), (1, 1));
    assert_eq!(before.current().level_of(&KEYS[ALICE]), None);
    assert_eq!(world.replica.authority.settings_count(), 2);
}

#[test]
fn a_long_history_of_grants_stays_judged() {
    let mut world = World::new();
    let mut last = 0;
    for key in (0..1500).map(|round| 1 + round % 7) {
        (last, _) = world.says(CREATOR, &[last], grant(key, Level::Write(10))).unwrap();
        (last, _) = world.writes(key, &[last]).unwrap();
    }
    assert_eq!(world.replica.authority.settings_count(), 1501);
    assert_eq!(world.replica.authority.epoch_count(), 1502);
    world.replica.restart();
    assert!(world.writes(ALICE, &[last]).is_ok());
}

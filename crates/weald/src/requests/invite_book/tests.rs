use weald_auth::{Level, Subject};

use super::*;
use crate::{DatabaseSettings, Instance, InviteOptions, Ticket};

const WRITE: Level = Level::Write(10);

/// Two instances of which the second has a database of the first, whole, and an invite to it.
fn invited() -> (Instance, Instance, Database, Ticket) {
    let (here, there) = (Instance::in_memory().unwrap(), Instance::in_memory().unwrap());
    let alice = here.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Private")).unwrap();
    let ticket = room.invite(&InviteOptions::new(WRITE).uses(2)).unwrap();
    carry(&here, &there, &room);
    there.mark_complete(room.id()).unwrap();
    (here, there, room, ticket)
}

fn carry(from: &Instance, to: &Instance, room: &Database) {
    let parcels = room.parcels(0, usize::MAX).unwrap();
    to.ingest(from.device_key(), room.id(), parcels).unwrap();
}

fn book_of(instance: &Instance) -> InviteBook {
    let core = instance.core();
    let database = crate::system::open(core, crate::system::SYNC).unwrap();
    let rows = Arc::new(SyncRows::new(core, database.number()).unwrap());
    InviteBook::load(core, &database, rows).unwrap()
}

#[test]
fn a_use_is_found_again_after_a_crash_between_its_entry_and_its_row() {
    let (_here, there, room, ticket) = invited();
    let key = there.create_user("bob", None).unwrap().default_key();
    let (id, invite) = (room.id(), ticket.invite().unwrap());
    let book = book_of(&there);
    book.keep(there.core(), id, invite, (key, "bob")).unwrap();
    let place = (id, invite.public(), key);
    let before = book.uses()[&place].clone();
    assert!(book.redeem(id).unwrap().is_empty());
    // The entry is there and the row says that it is not; or two were at it at the same time.
    book.rows.put(INVITES, &row_key(&place), &row(&before)).unwrap();
    let book = book_of(&there);
    assert_eq!(book.waiting(), [id]);
    assert!(book.redeem(id).unwrap().is_empty());
    assert!(book.uses()[&place].taken);
    assert!(book.waiting().is_empty());
    assert_eq!(book.secrets(&id).len(), 1, "without it nobody takes the entry that grants the key");
    assert_eq!(book_of(&there).secrets(&id).len(), 1);
}

#[test]
fn two_users_of_one_device_use_one_invite_each_for_its_own_key() {
    let (_here, there, room, ticket) = invited();
    let (id, invite) = (room.id(), ticket.invite().unwrap());
    let book = book_of(&there);
    for name in ["bob", "carol"] {
        let key = there.create_user(name, None).unwrap().default_key();
        book.keep(there.core(), id, invite, (key, name)).unwrap();
        assert!(book.redeem(id).unwrap().is_empty());
    }
    assert_eq!(book.uses().values().filter(|used| used.taken).count(), 2);
    assert_eq!(book.secrets(&id).len(), 1);
    book.give_up(id, invite.public()).unwrap();
    assert!(book.secrets(&id).is_empty() && book_of(&there).secrets(&id).is_empty());
}

#[test]
fn a_member_who_has_an_invite_that_was_taken_back_stays_one() {
    let (here, there, room, ticket) = invited();
    let bob = there.create_user("bob", None).unwrap();
    let key = bob.default_key();
    room.settings().grant(Subject::Key(key), Level::Read, None).unwrap();
    room.revoke_invite(&ticket.invite_key().unwrap()).unwrap();
    carry(&here, &there, &room);
    let book = book_of(&there);
    book.keep(there.core(), room.id(), ticket.invite().unwrap(), (key, "bob")).unwrap();
    assert!(book.redeem(room.id()).unwrap().is_empty());
    assert!(book.uses().is_empty());
}

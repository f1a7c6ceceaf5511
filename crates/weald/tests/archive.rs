//! Archives: a database to a file and back, whole or with a typed error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::io::{self, Cursor, Read, Write};
use std::ops::ControlFlow;

use common::{block_on, message, push, room, texts};
use weald::{
    ARCHIVE_BLOCK_BYTES, ArchiveError, ArchiveExport, ArchiveImport, Database, DatabaseId,
    DatabaseSettings, Error, ExportError, Instance, Subject, User, Verdict,
};

fn archive(database: &Database) -> Vec<u8> {
    let mut file = Vec::new();
    let report = database.export_archive(&mut file).unwrap();
    assert_eq!(report.entries, database.entry_count().unwrap());
    assert_eq!(report.bytes, file.len() as u64);
    file
}

fn elsewhere() -> (Instance, User) {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user("bob", None).unwrap();
    (instance, user)
}

fn exchange(from: (&Instance, &Database), to: &Instance, since: u64) {
    let parcels = from.1.parcels(since, usize::MAX).unwrap();
    for (_, verdict) in to.ingest(from.0.device_key(), from.1.id(), parcels).unwrap() {
        assert!(matches!(verdict, Verdict::Stored(_) | Verdict::Duplicate(_)), "{verdict:?}");
    }
}

/// Writes many entries, a hundred of them under way at a time.
fn fill(database: &Database, count: usize) {
    for _ in 0..count / 100 {
        let commits: Vec<_> = (0..100)
            .map(|number| {
                let mut tx = database.begin().unwrap();
                tx.log("messages").unwrap().push(&message(&number.to_string())).unwrap();
                tx.commit_async()
            })
            .collect();
        commits.into_iter().for_each(|commit| drop(block_on(commit).unwrap()));
    }
}

#[test]
fn twenty_thousand_entries_of_two_authors_with_merges_come_back_the_same() {
    let (here, _, room) = room();
    let (there, bob) = elsewhere();
    exchange((&here, &room), &there, 0);
    there.mark_complete(room.id()).unwrap();
    let his = bob.open_database(&room.id()).unwrap();
    for round in 0..4 {
        fill(&room, 2_500);
        fill(&his, 2_500);
        exchange((&here, &room), &there, round * 5_000);
        exchange((&there, &his), &here, round * 5_000);
    }
    assert_eq!(room.entry_count().unwrap(), 20_001);
    let file = archive(&room);
    let (third, carol) = elsewhere();
    let mut told = Vec::new();
    let options = ArchiveImport::new().of(room.id()).progress(|progress| {
        told.push(progress);
        ControlFlow::Continue(())
    });
    let imported = carol.import_archive_with(file.as_slice(), options).unwrap();
    assert_eq!((imported.entries, imported.stored), (20_001, 20_001));
    assert_eq!(imported.bytes, file.len() as u64);
    assert!(imported.database.is_complete().unwrap());
    assert_eq!(imported.database.state_digest().unwrap(), room.state_digest().unwrap());
    assert_eq!(imported.database.tips().unwrap(), room.tips().unwrap());
    assert!(told.len() > 10 && told.is_sorted_by_key(|progress| progress.bytes));
    let last = told.last().unwrap();
    assert_eq!((last.items, last.bytes, last.total), (20_001, imported.bytes, Some(20_001)));
    assert!(third.verify().unwrap().is_sound());
    assert_eq!(carol.databases().unwrap()[0].id, room.id(), "it is tracked");
    // It goes on as any replica does.
    push(&imported.database, "from the archive");
    assert_eq!(imported.database.entry_count().unwrap(), 20_002);
}

#[test]
fn importing_twice_changes_nothing_and_a_newer_archive_adds_what_is_new() {
    let (_, _, room) = room();
    push(&room, "one");
    let old = archive(&room);
    let (_there, bob) = elsewhere();
    let his = bob.import_archive(old.as_slice()).unwrap().database;
    push(&his, "his own");
    let before = his.state_digest().unwrap();
    let again = bob.import_archive(old.as_slice()).unwrap();
    assert_eq!((again.entries, again.stored), (2, 0));
    assert_eq!(his.state_digest().unwrap(), before);
    push(&room, "two");
    let newer = bob.import_archive(archive(&room).as_slice()).unwrap();
    assert_eq!((newer.entries, newer.stored), (3, 1));
    assert_eq!(texts(&his).len(), 3);
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error_and_nothing_is_complete_then() {
    let (_, _, room) = room();
    for number in 0..20 {
        push(&room, &number.to_string());
    }
    let file = archive(&room);
    let (_there, bob) = elsewhere();
    for length in 0..file.len() {
        let failed = bob.import_archive(&file[..length]).unwrap_err();
        let expected = match length {
            0..8 => matches!(failed, ArchiveError::NotAnArchive),
            _ => matches!(failed, ArchiveError::Truncated),
        };
        assert!(expected, "{length}: {failed}");
    }
    for place in 0..file.len() {
        let mut flipped = file.clone();
        flipped[place] ^= 1 << (place % 8);
        let failed = bob.import_archive(flipped.as_slice()).unwrap_err();
        let expected = match place {
            0..8 => matches!(failed, ArchiveError::NotAnArchive),
            8..10 => {
                matches!(failed, ArchiveError::NewerVersion { .. } | ArchiveError::Damaged { .. })
            }
            _ => matches!(failed, ArchiveError::Damaged { .. } | ArchiveError::Truncated),
        };
        assert!(expected, "{place}: {failed}");
    }
    assert!(bob.databases().unwrap().iter().all(|summary| !summary.complete));
    let longer = [file.as_slice(), b"\n"].concat();
    assert!(matches!(bob.import_archive(longer.as_slice()), Err(ArchiveError::Trailing)));
    // What was checked has stayed, and the whole archive completes it.
    let early = bob.open_database(&room.id()).unwrap();
    assert!(!early.is_complete().unwrap());
    assert!(matches!(early.export_archive(io::sink()), Err(ExportError::Incomplete { .. })));
    let imported = bob.import_archive(file.as_slice()).unwrap();
    assert_eq!((imported.entries, imported.stored), (21, 0));
    assert_eq!(imported.database.state_digest().unwrap(), room.state_digest().unwrap());
}

/// An archive as a liar would write it, with hashes that fit.
fn forge(database: DatabaseId, entries: u64, said: u64, blocks: &[&[u8]]) -> Vec<u8> {
    let (mut file, mut hasher) = (Vec::new(), blake3::Hasher::new());
    let mut part = |bytes: &[u8]| {
        hasher.update(bytes);
        let hash = hasher.finalize();
        hasher.update(hash.as_bytes());
        file.extend_from_slice(bytes);
        file.extend_from_slice(hash.as_bytes());
    };
    let version = 1_u16.to_le_bytes();
    part(&[b"WEALDARC", version.as_slice(), database.as_bytes(), &entries.to_le_bytes()].concat());
    blocks.iter().for_each(|block| part(block));
    part(&[[0].as_slice(), &said.to_le_bytes()].concat());
    file
}

fn block(length: u32, packed: &[u8]) -> Vec<u8> {
    let size = u32::try_from(packed.len()).unwrap();
    [[1].as_slice(), &length.to_le_bytes(), &size.to_le_bytes(), packed].concat()
}

fn packed(parcels: &[weald::Parcel]) -> Vec<u8> {
    let mut bytes = Vec::new();
    parcels.iter().for_each(|parcel| parcel.encode(&mut bytes));
    block(u32::try_from(bytes.len()).unwrap(), &lz4_flex::block::compress(&bytes))
}

#[test]
fn what_a_liar_writes_is_a_typed_error() {
    let (_, _, room) = room();
    push(&room, "one");
    push(&room, "two");
    let id = room.id();
    let parcels = room.parcels(0, usize::MAX).unwrap();
    let (_there, bob) = elsewhere();
    let import = |file: Vec<u8>| bob.import_archive(file.as_slice()).unwrap_err();

    let bomb = block(u32::MAX, &[0; 64]);
    assert!(matches!(import(forge(id, 3, 3, &[&bomb])), ArchiveError::Damaged { .. }));
    let length = u32::try_from(ARCHIVE_BLOCK_BYTES).unwrap();
    let short = block(length, &lz4_flex::block::compress(b"less"));
    assert!(matches!(import(forge(id, 3, 3, &[&short])), ArchiveError::Damaged { .. }));
    let noise = block(7, &lz4_flex::block::compress(b"nothing"));
    assert!(matches!(import(forge(id, 3, 3, &[&noise])), ArchiveError::Entry(_)));
    let empty = forge(id, 0, 0, &[]);
    assert!(matches!(import(empty), ArchiveError::Instance(_)), "nothing is here then");

    let mut unsigned = parcels.clone();
    unsigned[1].signature = weald::Signature::from_bytes([0; 64]);
    assert!(matches!(import(forge(id, 3, 3, &[&packed(&unsigned)])), ArchiveError::Forged(_)));
    let mut withheld = parcels.clone();
    withheld[1].payloads = vec![None];
    assert!(matches!(import(forge(id, 3, 3, &[&packed(&withheld)])), ArchiveError::Forged(_)));
    let orphans = packed(&parcels[1..]);
    assert!(matches!(import(forge(id, 3, 3, &[&orphans])), ArchiveError::Orphan { .. }));
    let other = DatabaseId::from_bytes([7; 32]);
    let lie = import(forge(other, 3, 3, &[&packed(&parcels)]));
    assert!(matches!(lie, ArchiveError::Refused { .. }), "{lie}");
    assert!(bob.databases().unwrap().is_empty(), "nothing is tracked");

    let less = import(forge(id, 3, 2, &[&packed(&parcels[..2])]));
    assert!(matches!(less, ArchiveError::Count { expected: 3, found: 2 }), "{less}");
    assert!(!bob.open_database(&id).unwrap().is_complete().unwrap());
    let wanted = bob.import_archive_with(archive(&room).as_slice(), ArchiveImport::new().of(other));
    let refused = matches!(wanted, Err(ArchiveError::OtherDatabase { found, .. }) if found == id);
    assert!(refused, "{wanted:?}");
    bob.import_archive(forge(id, 3, 3, &[&packed(&parcels)]).as_slice()).unwrap();
}

#[test]
fn the_instances_own_databases_take_no_archive() {
    let (here, alice, _) = room();
    let all: Vec<DatabaseId> =
        here.verify().unwrap().databases.into_iter().map(|(id, _)| id).collect();
    let own: Vec<_> =
        all.into_iter().filter(|id| !here.databases().unwrap().contains(id)).collect();
    assert!(!own.is_empty());
    for id in own {
        let failed = alice.import_archive(forge(id, 0, 0, &[]).as_slice()).unwrap_err();
        let ArchiveError::Instance(error) = failed else { panic!("{failed}") };
        assert!(matches!(*error, Error::Database(_)), "{error}");
    }
}

#[test]
fn a_private_database_can_be_read_from_an_archive_and_written_by_who_may() {
    let (here, alice) = elsewhere();
    let private = alice.create_database(DatabaseSettings::named("Private")).unwrap();
    let (_there, bob) = elsewhere();
    let subject = Subject::Key(bob.default_key());
    push(&private, "secret");
    let closed = bob.import_archive(archive(&private).as_slice()).unwrap().database;
    assert_eq!(texts(&closed), ["secret"]);
    let denied = closed.write(|tx| Ok(tx.log("messages")?.push(&message("no"))?));
    assert!(denied.is_err());
    private.settings().grant(subject, weald::Level::Write(10), None).unwrap();
    bob.import_archive(archive(&private).as_slice()).unwrap();
    push(&closed, "let in");
    drop(here);
}

/// A disk that is full after some bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that gives one byte at a time and then fails.
struct Broken<R>(R);

impl<R: Read> Read for Broken<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(&mut bytes[..1])? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn both_ways_can_be_cancelled_and_tell_when_the_file_fails() {
    let (_, _, room) = room();
    push(&room, "one");
    for room_left in [0, 90, 200] {
        let failed = room.export_archive(Full(room_left)).unwrap_err();
        assert!(matches!(failed, ExportError::Write(_)), "{failed}");
    }
    let stop = ArchiveExport::new().progress(|_| ControlFlow::Break(()));
    let cancelled = room.export_archive_with(io::sink(), stop);
    assert!(matches!(cancelled, Err(ExportError::Cancelled)));

    let file = archive(&room);
    let (_there, bob) = elsewhere();
    let stop = ArchiveImport::new().progress(|_| ControlFlow::Break(()));
    let cancelled = bob.import_archive_with(file.as_slice(), stop);
    assert!(matches!(cancelled, Err(ArchiveError::Cancelled)));
    assert!(bob.databases().unwrap().is_empty(), "nothing is tracked");
    let failed = bob.import_archive(Broken(&file[..file.len() - 1])).unwrap_err();
    assert!(matches!(failed, ArchiveError::Read(_)), "{failed}");
    // At its end the reader fails instead of ending; the archive was whole by then, and yet.
    let failed = bob.import_archive(Broken(file.as_slice())).unwrap_err();
    assert!(matches!(failed, ArchiveError::Read(_)), "{failed}");
    bob.import_archive(Cursor::new(file)).unwrap();
}

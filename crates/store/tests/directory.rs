//! One owner a directory; what is newer, foreign or damaged is refused and left as it was.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use weald_dag::{Batch, Durability, KeyRange, Order, Space, Store};
use weald_store::{FORMAT_VERSION, FORMAT_VERSION_MIN, OpenError, Options, RedbStore};

const ROWS: Space = Space::new("rows", 1);
const DATA: &str = "weald.redb";
const FORMAT: &str = "FORMAT";

fn open(dir: &Path) -> Result<RedbStore, OpenError> {
    RedbStore::open(dir, Options::default())
}

fn filled(dir: &Path) {
    let store = open(dir).unwrap();
    let mut batch = Batch::default();
    for number in 0..500_u32 {
        batch.put(ROWS, number.to_be_bytes(), vec![9; 100]);
    }
    store.apply(batch, Durability::Immediate).unwrap();
}

/// The bytes of every file; of the owner's lock, which stays on some systems, where it goes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap())
        .filter(|file| cfg!(unix) || file.file_name() != "owner.lock")
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

fn refused(dir: &Path) -> OpenError {
    let before = contents(dir);
    let error = open(dir).map(drop).unwrap_err();
    assert!(before == contents(dir), "a refused store was changed: {error}");
    error
}

#[test]
fn rows_and_format_survive_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made").join("when missing");
    filled(&dir);
    let store = open(&dir).unwrap();
    assert!(!store.was_repaired());
    assert!(store.file_bytes().unwrap() > 50_000);
    let found = store.snapshot().unwrap().get(ROWS, &7_u32.to_be_bytes()).unwrap();
    assert_eq!(found, Some(vec![9; 100]));
    let format = fs::read_to_string(dir.join(FORMAT)).unwrap();
    assert_eq!(format, format!("weald store format {FORMAT_VERSION}\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

/// Large batches take a way of their own into a table: around its last key nothing may differ.
#[test]
fn large_batches_meet_rows_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let mut model = BTreeMap::new();
    for round in 0..6_u32 {
        let mut batch = Batch::default();
        for key in (round * 60)..(round * 60 + 100) {
            let key = key.to_be_bytes().to_vec();
            if key.ends_with(&[99]) || key.ends_with(&[u8::try_from(round).unwrap() * 7]) {
                batch.remove(ROWS, key.clone());
                model.remove(&key);
            } else {
                batch.put(ROWS, key.clone(), round.to_be_bytes());
                model.insert(key, round.to_be_bytes().to_vec());
            }
        }
        store.apply(batch, Durability::Immediate).unwrap();
        let mut found = BTreeMap::new();
        let now = store.snapshot().unwrap();
        now.range(ROWS, KeyRange::all(), Order::Ascending, &mut |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(found, model);
    }
}

#[test]
fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let error = open(dir.path()).map(drop).unwrap_err();
    assert!(matches!(&error, OpenError::InUse { path } if path == dir.path()), "{error}");
    // Who holds a snapshot does not own the directory.
    let held = store.snapshot().unwrap();
    drop(store);
    drop(open(dir.path()).unwrap());
    drop(held);
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join(FORMAT), "weald store format 7\n").unwrap();
    let error = refused(dir.path());
    let OpenError::NewerFormat { found, supported, .. } = error else { panic!("{error}") };
    assert_eq!((found, supported), (7, FORMAT_VERSION));
}

#[test]
fn an_older_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join(FORMAT), "weald store format 1\n").unwrap();
    let error = refused(dir.path());
    let OpenError::OlderFormat { found, supported, .. } = error else { panic!("{error}") };
    assert_eq!((found, supported), (1, FORMAT_VERSION_MIN));
}

#[test]
fn a_newer_format_is_refused_without_its_side_file() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::remove_file(dir.path().join(FORMAT)).unwrap();
    drop(open(dir.path()).unwrap());
    assert!(dir.path().join(FORMAT).exists(), "it is written again");
    fs::remove_file(dir.path().join(FORMAT)).unwrap();
    let file = redb::Database::open(dir.path().join(DATA)).unwrap();
    let write = file.begin_write().unwrap();
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("format");
    let version = 9_u32.to_be_bytes();
    write.open_table(table).unwrap().insert(&b"version"[..], &version[..]).unwrap();
    write.commit().unwrap();
    drop(file);
    let error = refused(dir.path());
    assert!(matches!(error, OpenError::NewerFormat { found: 9, .. }), "{error}");
}

#[test]
fn foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(DATA), "a diary, not a database\n".repeat(500)).unwrap();
    let error = refused(dir.path());
    assert!(matches!(&error, OpenError::NotWeald { path, .. } if path.ends_with(DATA)), "{error}");
    fs::write(dir.path().join(DATA), "").unwrap();
    assert!(matches!(refused(dir.path()), OpenError::NotWeald { .. }));
    fs::remove_file(dir.path().join(DATA)).unwrap();
    drop(redb::Database::create(dir.path().join(DATA)).unwrap());
    assert!(matches!(refused(dir.path()), OpenError::NotWeald { .. }));
    for text in ["", "weald store format x\n", "format 1", "\u{1F333}"] {
        fs::write(dir.path().join(FORMAT), text).unwrap();
        assert!(matches!(refused(dir.path()), OpenError::NotWeald { .. }), "{text}");
    }
    fs::write(dir.path().join(FORMAT), "weald store format 0").unwrap();
    assert!(matches!(refused(dir.path()), OpenError::Corrupt { .. }));
    fs::write(dir.path().join("file"), "").unwrap();
    let error = open(&dir.path().join("file")).map(drop).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

/// What a process of another program leaves that is killed while it has its file open.
fn killed_stranger(dir: &Path) -> Vec<u8> {
    let used = dir.join("in use");
    let file = redb::Database::create(&used).unwrap();
    let mine = redb::TableDefinition::<&str, u64>::new("mine");
    let write = file.begin_write().unwrap();
    for number in 0..100 {
        let key = number.to_string();
        write.open_table(mine).unwrap().insert(key.as_str(), number).unwrap();
    }
    write.commit().unwrap();
    let bytes = fs::read(&used).unwrap();
    drop(file);
    fs::remove_file(used).unwrap();
    bytes
}

#[test]
fn a_foreign_file_of_a_killed_owner_is_not_even_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = killed_stranger(dir.path());
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join(DATA), bytes).unwrap();
    let error = refused(&home);
    assert!(matches!(&error, OpenError::NotWeald { path, .. } if path.ends_with(DATA)), "{error}");
    let names: Vec<_> = contents(&home).into_keys().collect();
    assert_eq!(names, [DATA]);
}

#[test]
fn a_lost_file_is_not_replaced_by_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let away = dir.path().join("away");
    fs::rename(dir.path().join(DATA), &away).unwrap();
    let error = refused(dir.path());
    assert!(matches!(&error, OpenError::Missing { path } if path.ends_with(DATA)), "{error}");
    assert!(error.to_string().contains("put it back"), "{error}");
    fs::rename(&away, dir.path().join(DATA)).unwrap();
    assert!(open(dir.path()).unwrap().snapshot().unwrap().get(ROWS, &[0; 4]).unwrap().is_some());
    fs::remove_file(dir.path().join(DATA)).unwrap();
    fs::remove_file(dir.path().join(FORMAT)).unwrap();
    assert!(open(dir.path()).unwrap().snapshot().unwrap().get(ROWS, &[0; 4]).unwrap().is_none());
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only_in_a_directory_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    filled(dir.path());
    for name in [DATA, FORMAT, "owner.lock"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_shortened_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let whole = fs::read(dir.path().join(DATA)).unwrap();
    for length in [5, 9, 100, 320, 4_000, 4_096, 20_000, whole.len() / 2] {
        fs::write(dir.path().join(DATA), &whole[..length]).unwrap();
        let error = refused(dir.path());
        assert!(
            matches!(error, OpenError::NotWeald { .. } | OpenError::Corrupt { .. }),
            "{length}: {error}"
        );
    }
}

/// Damages one byte after another; whatever redb makes of it, the process goes on.
fn flip_bytes(dir: &Path, whole: &[u8]) {
    for at in (0..320).step_by(5).chain((4_096..whole.len()).step_by(whole.len() / 60)) {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 0x55;
        fs::write(dir.join(DATA), &damaged).unwrap();
        let store = match open(dir) {
            Ok(store) => store,
            Err(error) => {
                let now = fs::read(dir.join(DATA)).unwrap();
                assert!(now == damaged, "byte {at}: a refused store was changed: {error}");
                continue;
            }
        };
        let Ok(now) = store.snapshot() else { continue };
        let range = KeyRange::all();
        let visit = &mut |_: &[u8], _: &[u8]| ControlFlow::Continue(());
        drop(now.range(ROWS, range, Order::Descending, visit));
        drop(now.get(ROWS, &3_u32.to_be_bytes()));
        let mut batch = Batch::default();
        batch.put(ROWS, *b"new", *b"row");
        drop(store.apply(batch, Durability::Immediate));
    }
}

#[test]
fn flipped_bytes_never_end_the_process() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let whole = fs::read(dir.path().join(DATA)).unwrap();
    flip_bytes(dir.path(), &whole);
}

#[test]
fn flipped_bytes_of_a_killed_owner_never_end_the_process() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path());
    let store = open(dir.path()).unwrap();
    let mut batch = Batch::default();
    batch.put(ROWS, *b"last", *b"words");
    store.apply(batch, Durability::Immediate).unwrap();
    // What a copy of a file in use shows is what a killed process leaves.
    let whole = fs::read(dir.path().join(DATA)).unwrap();
    fs::write(killed.path().join(DATA), &whole).unwrap();
    assert!(open(killed.path()).unwrap().was_repaired());
    flip_bytes(killed.path(), &whole);
}

#[test]
fn an_unfinished_creation_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("weald.redb.new"), "half a header").unwrap();
    filled(dir.path());
    assert!(!dir.path().join("weald.redb.new").exists());
}

#[test]
fn compacting_needs_that_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut store = open(dir.path()).unwrap();
    let mut batch = Batch::default();
    for number in 0..490_u32 {
        batch.remove(ROWS, number.to_be_bytes());
    }
    let held = store.snapshot().unwrap();
    assert!(matches!(store.compact(), Err(weald_store::CompactError::SnapshotHeld)));
    drop(held);
    store.apply(batch, Durability::Immediate).unwrap();
    store.compact().unwrap();
    assert!(store.snapshot().unwrap().get(ROWS, &495_u32.to_be_bytes()).unwrap().is_some());
}

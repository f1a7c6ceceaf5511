//! Processes that are killed while they write or join: what was acknowledged is there afterwards.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use weald::transport::http::HttpTransport;
use weald::{Database, DatabaseSettings, Instance, Level, Ticket};

const DATA: &str = "WEALD_TEST_DATA";
const TICKET: &str = "WEALD_TEST_TICKET";
const KILLS: usize = 100;
/// No child commits more than this before it is killed.
const COMMITS_MAX: u64 = 200;
/// How many entries are joined, and how long each is: more than fits the window, so that the joiner
/// stores them in several steps.
const HISTORY: usize = 4_000;
const TEXT_LEN: usize = 8 << 10;
const WRITERS: usize = 16;
/// How often a joining process is killed before it may end.
const JOINS_KILLED: usize = 5;

/// Runs one test of this file as another process.
fn spawn(test: &str, data: &Path, ticket: Option<&Ticket>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(DATA, data);
    if let Some(ticket) = ticket {
        command.env(TICKET, ticket.to_string());
    }
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Reads lines that start with `word`, kills the child after `count` of them, and returns all.
fn read_then_kill(mut child: Child, word: &str, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        // The test runner may have begun the line.
        if let Some(place) = line.find(word) {
            found.push(line.split_at(place + word.len()).1.trim().to_owned());
        }
        if found.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    found
}

fn open_notes(instance: &Instance) -> Database {
    if instance.users().unwrap().iter().any(|name| name == "writer") {
        let user = instance.login_user("writer", None).unwrap();
        if let Some(found) = user.databases().unwrap().first() {
            return user.open_database(&found.id).unwrap();
        }
        return user.create_database(DatabaseSettings::named("notes")).unwrap();
    }
    let user = instance.create_user("writer", None).unwrap();
    user.create_database(DatabaseSettings::named("notes")).unwrap()
}

/// The child of `every_acknowledged_commit_survives_a_hundred_kills`; nothing when run alone.
#[test]
fn child_that_commits() {
    let (Some(data), None) = (std::env::var_os(DATA), std::env::var_os(TICKET)) else { return };
    let instance = Instance::open(data).unwrap();
    let notes = open_notes(&instance);
    for _ in 0..COMMITS_MAX {
        let written =
            notes.write(|tx| Ok(tx.log::<String>("notes")?.push(&"a note".to_owned())?));
        println!("acknowledged {}", written.unwrap().id.unwrap());
    }
}

#[test]
fn every_acknowledged_commit_survives_a_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Vec::new();
    for round in 0..KILLS {
        // Different points each time, from the first commit on.
        let count = 1 + round * 7 % 13;
        let child = spawn("child_that_commits", &data, None);
        acknowledged.extend(read_then_kill(child, "acknowledged ", count));
    }
    let instance = Instance::open(&data).unwrap();
    let notes = open_notes(&instance);
    assert!(acknowledged.len() >= KILLS);
    for id in &acknowledged {
        assert!(notes.contains(&id.parse().unwrap()).unwrap(), "{id} was acknowledged and is lost");
    }
    let verification = instance.verify().unwrap();
    assert!(verification.is_sound(), "{verification:?}");
}

/// The child of `a_bootstrap_that_is_killed_goes_on_where_it_stopped`; nothing when run alone.
#[test]
fn child_that_joins() {
    let (Some(data), Ok(ticket)) = (std::env::var_os(DATA), std::env::var(TICKET)) else { return };
    let instance = Instance::open(data).unwrap();
    let user = match instance.users().unwrap().first() {
        Some(name) => instance.login_user(name, None).unwrap(),
        None => instance.create_user("joiner", None).unwrap(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let joined = runtime.block_on(async {
        let sync = instance.enable_sync().unwrap();
        sync.register_transport("http", transport());
        let mut events = sync.events();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if format!("{event:?}").contains("Progress") {
                    println!("progress");
                }
            }
        });
        sync.join(&user, &ticket.parse().unwrap()).await.unwrap()
    });
    println!("joined {}", joined.entry_count().unwrap());
}

fn transport() -> HttpTransport {
    HttpTransport::builder().bind("127.0.0.1:0").build().unwrap()
}

fn history(instance: &Instance) -> Database {
    let user = instance.create_user("server", None).unwrap();
    let settings = DatabaseSettings::named("history").grant_anyone(Level::Write(10));
    let database = user.create_database(settings).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for n in 0..HISTORY / WRITERS {
                    let text = format!("{n:0TEXT_LEN$}");
                    database.write(|tx| Ok(tx.log::<String>("log")?.push(&text)?)).unwrap();
                }
            });
        }
    });
    database
}

/// How many entries of the joined database are on the disk of a process that was killed.
fn entries_at(data: &Path) -> u64 {
    let instance = Instance::open(data).unwrap();
    let verification = instance.verify().unwrap();
    assert!(verification.is_sound(), "{verification:?}");
    let Some(name) = instance.users().unwrap().first().cloned() else { return 0 };
    let user = instance.login_user(&name, None).unwrap();
    user.databases().unwrap().first().map_or(0, |found| found.entries)
}

#[test]
fn a_bootstrap_that_is_killed_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Instance::in_memory().unwrap();
    let database = history(&instance);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ticket = runtime.block_on(async {
        let sync = instance.enable_sync().unwrap();
        sync.register_transport("http", transport());
        sync.accept_connections().await.unwrap();
        sync.ticket(&database)
    });
    let data = folder.path().join("data");
    let (mut before, mut partial) = (0, 0);
    for _ in 0..JOINS_KILLED {
        read_then_kill(spawn("child_that_joins", &data, Some(&ticket)), "progress", 1);
        let entries = entries_at(&data);
        assert!(entries >= before, "what was stored is still there");
        partial += usize::from(entries > 0 && entries < database.entry_count().unwrap());
        before = entries;
    }
    assert!(partial > 0, "at least one kill came in the middle");
    let joined = read_then_kill(spawn("child_that_joins", &data, Some(&ticket)), "joined ", 1);
    assert_eq!(joined, [database.entry_count().unwrap().to_string()]);
    let copy = Instance::open(&data).unwrap();
    let user = copy.login_user("joiner", None).unwrap();
    let copy_of = user.open_database(&database.id()).unwrap();
    assert_eq!(copy_of.state_digest().unwrap(), database.state_digest().unwrap());
    assert!(copy.verify().unwrap().is_sound());
}

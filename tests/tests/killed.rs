//! Processes that are killed while they write or join: what was acknowledged is there afterwards.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use weald::{Database, DatabaseId, DatabaseSettings, Instance, Level, Ticket};
use weald::transport::http::HttpTransport;

const DATA: &str = "WEALD_TEST_DATA";
const TICKET: &str = "WEALD_TEST_TICKET";
const KILLS: usize = 100;
/// No child commits more than this before it is killed.
const COMMITS_MAX: u64 = 200;
const HISTORY: u64 = 3_000;

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
        let written = notes.write(|tx| tx.log::<String>("notes")?.push(&"a note".to_owned()));
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

//! Real processes in real directories, as people would run them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Far more than any step takes; what is waited for is a line, never this.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running chat.
struct Chat {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Receiver<String>,
    seen: Vec<String>,
}

impl Chat {
    fn start(name: &str, data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weald-chat"))
            .args(["--headless", "--username", name, "--transport", "http", "--data"])
            .arg(data)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        Self { name: name.to_owned(), child, input, output, errors, seen: Vec::new() }
    }

    fn say(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    /// Waits until a line was printed that `wanted` accepts, also if it came before.
    fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        if let Some(line) = self.seen.iter().find(|line| wanted(line)) {
            return line.clone();
        }
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.output.recv_timeout(left) else {
                let errors: Vec<String> = self.errors.try_iter().collect();
                panic!(
                    "{} did not print {what}; it printed {:#?} and {errors:#?}",
                    self.name, self.seen
                );
            };
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    fn hears(&mut self, line: &str) {
        self.wait(line, |found| found == line);
    }

    fn ticket(&mut self) -> String {
        let line = self.wait("a ticket", |line| line.starts_with("ticket: "));
        line.trim_start_matches("ticket: ").to_owned()
    }

    /// Ends the process as a power cut would.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How often a line was printed so far.
    fn count(&mut self, line: &str) -> usize {
        let more: Vec<String> = self.output.try_iter().collect();
        self.seen.extend(more);
        self.seen.iter().filter(|found| *found == line).count()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// An address that was free a moment ago, so that a restarted chat is found where it was.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn two_people_talk_either_is_killed_and_catches_up_and_a_third_joins_late() {
    let folder = tempfile::tempdir().unwrap();
    let (alice_at, bob_at) = (free_address(), free_address());
    let data = |name: &str| folder.path().join(name);
    let create = ["--bind", &alice_at, "--create-only", "--room-name", "Demo"];
    let mut alice = Chat::start("alice", &data("alice"), &create);
    let ticket = alice.ticket();
    let join = ["--bind", bob_at.as_str(), "--connect", &ticket];
    let mut bob = Chat::start("bob", &data("bob"), &join);

    alice.say("hello bob");
    bob.hears("alice: hello bob");
    bob.say("hello alice");
    alice.hears("bob: hello alice");

    bob.kill();
    alice.say("are you there?");
    alice.hears("alice: are you there?");
    let mut bob = Chat::start("bob", &data("bob"), &["--bind", &bob_at]);
    bob.hears("alice: are you there?");
    bob.say("I am back");
    alice.hears("bob: I am back");

    alice.kill();
    bob.say("now you are gone");
    bob.hears("bob: now you are gone");
    let mut alice = Chat::start("alice", &data("alice"), &["--bind", &alice_at]);
    alice.hears("bob: now you are gone");
    alice.say("so am I: back");
    bob.hears("alice: so am I: back");

    let mut carol = Chat::start("carol", &data("carol"), &["--connect", &ticket]);
    let all = [
        "alice: hello bob",
        "bob: hello alice",
        "alice: are you there?",
        "bob: I am back",
        "bob: now you are gone",
        "alice: so am I: back",
    ];
    for line in all {
        carol.hears(line);
    }
    carol.say("hello everyone");
    alice.hears("carol: hello everyone");
    // Carol knows alice alone: what she says reaches bob through her.
    bob.hears("carol: hello everyone");
    for chat in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(
            chat.count("carol: hello everyone"),
            1,
            "{} prints each message once",
            chat.name
        );
    }
}

#[test]
fn the_short_form_of_a_ticket_joins_too() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let create = ["--bind", &address, "--create-only", "--room-name", "Demo"];
    let mut alice = Chat::start("alice", &folder.path().join("alice"), &create);
    let ticket: weald::Ticket = alice.ticket().parse().unwrap();
    let short = format!("{}@{address}", ticket.database());
    let mut bob = Chat::start("bob", &folder.path().join("bob"), &["--connect", &short]);
    alice.say("short and good");
    bob.hears("alice: short and good");
}

/// Runs a chat that is to fail, and returns what it says.
fn failure(data: &Path, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_weald-chat"))
        .args([
            "--headless",
            "--until-eof",
            "--username",
            "mallory",
            "--transport",
            "http",
            "--data",
        ])
        .arg(data)
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it should have failed");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_goes_wrong_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("mallory");

    let said = failure(&data, &["--bind", &address, "--create-only", "--room-name", "Demo"]);
    assert!(said.contains("in use") && said.contains(&address), "{said}");

    let said = failure(&data, &["--connect", "weald:nonsense"]);
    assert!(said.contains("ticket"), "{said}");

    let said = failure(&data, &["--transport", "pigeon"]);
    assert!(said.contains("pigeon") && said.contains("http"), "{said}");
}

#[test]
fn one_directory_serves_one_chat() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("alice");
    let mut alice = Chat::start("alice", &data, &["--create-only", "--room-name", "Demo"]);
    alice.ticket();
    let said = failure(&data, &["--create-only", "--room-name", "Demo"]);
    assert!(said.contains("use"), "{said}");
}

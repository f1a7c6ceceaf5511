//! Graphs whose outcome another program worked out, in another language and another way:
//! `tests/golden/authority.py`, which also says how its lines are read.

use weald_auth::{Level, Operation, Rank, Subject};
use weald_dag::Time;

use crate::graph::{Graph, KEYS};
use crate::oracle::Oracle;
use crate::replica::{Replica, Standing};

const GOLDEN: &str = include_str!("../golden/authority.txt");

fn subject(letter: char) -> Subject {
    match "abcdxyz".find(letter) {
        Some(key) => Subject::Key(KEYS[key]),
        None => Subject::Anyone,
    }
}

fn level(text: &str) -> Option<Level> {
    let priority = || text[1..].parse().unwrap();
    match text.as_bytes()[0] {
        b'A' => Some(Level::Admin(priority())),
        b'W' => Some(Level::Write(priority())),
        b'R' => Some(Level::Read),
        _ => None,
    }
}

fn operation(text: &str) -> Option<Operation> {
    if text == "d" {
        return None;
    }
    if text == "s" {
        return Some(Operation::Set { key: "k".into(), value: "v".into() });
    }
    let (text, expires) = match text.split_once('@') {
        Some((text, ends)) => (text, Some(ends.parse().unwrap())),
        None => (text, None),
    };
    let subject = subject(text[1..].chars().next().unwrap());
    Some(match (text.as_bytes()[0], text[2..].split_once('x'), subject) {
        (b'g', None, subject) => {
            Operation::Grant { subject, level: level(&text[2..]).unwrap(), name: None, expires }
        }
        (b'i', Some((gives, uses)), Subject::Key(key)) => {
            let (gives, uses) = (level(gives).unwrap(), uses.parse().unwrap());
            Operation::Invite { key, gives, uses, expires }
        }
        (b'l', None, subject) => Operation::Limit { subject, to: level(&text[2..]) },
        _ => panic!("no operation: {text}"),
    })
}

/// Adds the entry of a line and returns its verdict.
fn add<'a>(graph: &mut Graph, line: &'a str) -> &'a str {
    let words: Vec<&str> = line.split(' ').collect();
    let [_, parents, author, grind, time, operations, verdict] = words[..] else {
        panic!("no entry: {line}");
    };
    let parents = parents.split(',').filter(|parent| *parent != "-");
    let parents: Vec<usize> = parents.map(|parent| parent.parse().unwrap()).collect();
    let author = "abcdxyz".find(author).unwrap();
    let writes_data = operations.split(';').any(|operation| operation == "d");
    let settings: Vec<Operation> = operations.split(';').filter_map(operation).collect();
    let settings = (operations.split(';').any(|operation| operation != "d")).then_some(settings);
    let place = graph.add(&parents, author, 1, settings, grind.parse().unwrap());
    graph.entries[place].time = Time::from_millis(time.parse().unwrap());
    graph.entries[place].writes_data = writes_data;
    verdict
}

/// Reads a rank: priority/entry/operation.
fn rank(graph: &Graph, verdict: &str) -> Option<Rank> {
    if verdict == "root" {
        return Some(Rank::ROOT);
    }
    let mut numbers = verdict.split('/').map(|number| number.parse::<u64>().ok());
    let priority = u32::try_from(numbers.next()??).unwrap();
    let granting = &graph.entries[usize::try_from(numbers.next()??).unwrap()];
    let index = u32::try_from(numbers.next()??).unwrap();
    Some(Rank { priority, generation: granting.generation, entry: granting.id, index })
}

#[test]
fn another_program_comes_to_the_same_verdicts() {
    let mut compared = 0;
    for text in GOLDEN.split("graph ").skip(1) {
        let (name, lines) = text.split_once('\n').unwrap();
        let mut graph = Graph::default();
        let verdicts: Vec<&str> = lines.lines().map(|line| add(&mut graph, line)).collect();
        let mut replica = Replica::default();
        for (place, verdict) in verdicts.iter().enumerate() {
            let accepted = replica.receive(&graph, place);
            assert_eq!(accepted.is_err(), *verdict == "refused", "graph {name}: {place}");
        }
        let oracle = Oracle::new(&graph);
        let among = replica.origins.keys().fold(0, |all, place| all | 1_u64 << place);
        let truth = oracle.settle(among, oracle.nothing()).unwrap();
        for place in replica.origins.keys() {
            let expected = rank(&graph, verdicts[*place]);
            assert_eq!(truth[*place], expected, "graph {name}: oracle, {place}");
            let stands = match replica.standing(&graph, &oracle.pasts, *place) {
                Standing::Hidden => None,
                Standing::Data(rank) => Some(rank),
                Standing::Settings => expected,
            };
            assert_eq!(stands, expected, "graph {name}: {place}");
            compared += 1;
        }
    }
    assert!(compared > 2000, "{compared}");
}

//! What the guide says about the sources is so: tests that it names exist, and its tables of errors
//! name every variant.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The chapter whose tables name tests in their last column.
const CLAIMS: &str = "threat-model.md";
/// Fewer than this, and the chapter was not read as it should be.
const CLAIMS_MIN: usize = 20;
/// The chapter whose tables have a row for each promise, and how many there are.
const PROMISES: (&str, u32) = ("promises.md", 64);
/// What the row of a promise says that nothing shows yet.
const LATER: &str = "*later*";
/// The chapter whose tables name the variants of errors.
const ERRORS: &str = "errors.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn chapter(name: &str) -> String {
    fs::read_to_string(root().join("book/src").join(name)).unwrap()
}

/// Calls `each` with every Rust source in some folders.
fn sources(folders: &[&str], each: &mut impl FnMut(&str)) {
    fn walk(folder: &Path, each: &mut impl FnMut(&str)) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, each);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                each(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    folders.iter().for_each(|folder| walk(&root().join(folder), each));
}

/// Adds the names of all functions that are marked as tests, property tests among them.
fn tests_in(source: &str, found: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_test = false;
        } else if let Some(name) = function(line) {
            if is_test {
                found.insert(name.to_owned());
            }
            is_test = false;
        }
    }
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
    rest.split(|c: char| !is_word(c)).next()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What stands in backticks and is the name of a test.
fn named(text: &str) -> Vec<&str> {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    quoted(text).filter(|word| word.matches('_').count() >= 3 && word.chars().all(lower)).collect()
}

#[test]
fn every_claim_about_attackers_names_tests_and_all_of_them_exist() {
    let mut known = BTreeSet::new();
    let folders = ["crates", "tests", "examples", "book"];
    sources(&folders, &mut |source| tests_in(source, &mut known));
    assert!(known.len() > 500, "{} tests", known.len());
    let (mut claims, mut missing) = (0, Vec::new());
    for line in chapter(CLAIMS).lines() {
        missing.extend(
            named(line).into_iter().filter(|name| !known.contains(*name)).map(str::to_owned),
        );
        let is_rule = line.starts_with("|--") || line.ends_with("| tests |");
        if line.starts_with('|') && !is_rule {
            claims += 1;
            let tests = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
            assert!(!named(tests).is_empty(), "no test holds this: {line}");
        }
    }
    assert!(claims >= CLAIMS_MIN, "{claims} claims");
    assert!(missing.is_empty(), "there are no such tests:\n{}", missing.join("\n"));
}

/// The numbers of the promises that the name of a test begins with.
fn promises_of(test: &str) -> Vec<u32> {
    let number = |part: &str| part.strip_prefix('p').and_then(|digits| digits.parse().ok());
    test.split('_').map_while(number).collect()
}

#[test]
fn every_promise_has_a_row_and_a_test_that_carries_its_number() {
    let mut known = BTreeSet::new();
    sources(&["crates", "tests", "examples"], &mut |source| tests_in(source, &mut known));
    let (chapter_name, last) = PROMISES;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for line in chapter(chapter_name).lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let first = cells.next().unwrap_or_default();
        let Some(promise) = first.strip_prefix('P').and_then(|number| number.parse().ok()) else {
            continue;
        };
        rows.push(promise);
        let cell = cells.next_back().unwrap_or_default();
        let tests: Vec<&str> = quoted(cell).collect();
        wrong.extend(
            tests.iter().filter(|test| !known.contains(**test)).map(|test| format!("no {test}")),
        );
        let shown = tests.iter().any(|test| promises_of(test).contains(&promise));
        let is_later = tests.is_empty() && cell.contains(LATER);
        if !shown && !is_later {
            wrong.push(format!("nothing shows P{promise}"));
        }
    }
    assert_eq!(rows, (1..=last).collect::<Vec<u32>>(), "each once, in order");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Variants = BTreeSet<String>;

/// Adds the enums of a source, each with its variants.
fn enums_in(source: &str, found: &mut BTreeMap<String, Vec<Variants>>) {
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("pub enum ") else { continue };
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        let body = lines.by_ref().take_while(|line| *line != "}");
        // Variants stand four spaces in, and nothing else there begins with a capital.
        let variants = body.filter_map(|line| {
            let variant: String =
                line.strip_prefix("    ")?.chars().take_while(|c| is_word(*c)).collect();
            variant.starts_with(|c: char| c.is_ascii_uppercase()).then_some(variant)
        });
        found.entry(name).or_default().push(variants.collect());
    }
}

#[test]
fn the_tables_of_errors_name_every_variant_and_no_other() {
    let mut enums = BTreeMap::new();
    sources(&["crates"], &mut |source| enums_in(source, &mut enums));
    let (mut tables, mut current) = (BTreeMap::<String, Variants>::new(), None);
    for line in chapter(ERRORS).lines() {
        let first = quoted(line).next().filter(|_| line.starts_with("| `")).map(str::to_owned);
        match first {
            Some(name) if line.ends_with("| when |") => current = Some(name),
            Some(variant) => {
                let table = current.clone().unwrap();
                tables.entry(table).or_default().insert(variant);
            }
            None => {}
        }
    }
    assert!(tables.len() >= 12, "{} tables", tables.len());
    for (name, listed) in tables {
        // Two crates may have errors of one name.
        let known = enums.get(&name).unwrap_or_else(|| panic!("there is no error {name}"));
        assert!(known.contains(&listed), "{name} has {known:?}, and the table {listed:?}");
    }
}

#[test]
fn every_chapter_is_in_the_summary_and_its_blocks_run() {
    let run = fs::read_to_string(root().join("book/lib.rs")).unwrap();
    let summary = chapter("SUMMARY.md");
    for entry in fs::read_dir(root().join("book/src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_chapter = name != "SUMMARY.md";
        assert!(!is_chapter || run.contains(&format!("\"{name}\"")), "list {name} in book/lib.rs");
        assert!(!is_chapter || summary.contains(&format!("({name})")), "list {name} in SUMMARY.md");
    }
}

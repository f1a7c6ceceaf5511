//! The house keeps its plan: who may depend on whom, what a pure crate may bring in, and how large
//! a file may grow.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// The arrows of ARCHITECTURE.md. A crate may leave an arrow out; it may not add one.
const ARROWS: &[(&str, &[&str])] = &[
    ("weald-dag", &[]),
    ("weald-crdt", &[]),
    ("weald-auth", &["weald-dag"]),
    ("weald-cipher", &["weald-crdt"]),
    ("weald-engine", &["weald-dag", "weald-crdt", "weald-auth"]),
    ("weald-store", &["weald-dag"]),
    ("weald-sync", &["weald-dag"]),
    ("weald-transports", &["weald-dag", "weald-sync"]),
    (
        "weald",
        &[
            "weald-dag",
            "weald-crdt",
            "weald-auth",
            "weald-cipher",
            "weald-engine",
            "weald-store",
            "weald-sync",
            "weald-transports",
        ],
    ),
    (
        "weald-sim",
        &["weald-dag", "weald-crdt", "weald-auth", "weald-engine", "weald-store", "weald-sync"],
    ),
    ("weald-chat", &["weald"]),
    ("weald-bench", &["weald", "weald-dag", "weald-crdt"]),
    ("weald-book", &["weald"]),
    ("weald-tests", &[]),
];

const PURE: &[&str] =
    &["weald-dag", "weald-crdt", "weald-auth", "weald-cipher", "weald-engine", "weald-sync"];

/// What a pure crate must not bring in, not even through another crate.
const IMPURE: &[&str] =
    &["tokio", "redb", "mio", "socket2", "getrandom", "axum", "reqwest", "hyper", "rustix", "fs4"];

/// Lines before the tests of a file; beyond it a file is split.
const FILE_LINES_MAX: usize = 700;

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn crates_depend_on_each_other_only_as_planned() {
    let metadata = metadata();
    let plan: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let allowed = plan.get(name).unwrap_or_else(|| panic!("{name} is not in the plan"));
        for dependency in &package.dependencies {
            let inside = plan.contains_key(dependency.name.as_str());
            if inside && dependency.kind == DependencyKind::Normal {
                let to = dependency.name.as_str();
                assert!(allowed.contains(&to), "{name} → {to} is not an arrow of ARCHITECTURE.md");
            }
        }
    }
}

#[test]
fn pure_crates_bring_in_no_io() {
    let metadata = metadata();
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let normal: BTreeMap<&PackageId, Vec<&PackageId>> = nodes
        .iter()
        .map(|node| {
            let kept = node.deps.iter().filter(|dep| {
                dep.dep_kinds.iter().any(|kind| {
                    let elsewhere =
                        kind.target.as_ref().is_some_and(|t| t.to_string().contains("wasm"));
                    kind.kind == DependencyKind::Normal && !elsewhere
                })
            });
            (&node.id, kept.map(|dep| &dep.pkg).collect())
        })
        .collect();
    for package in metadata.workspace_packages() {
        if !PURE.contains(&package.name.as_str()) {
            continue;
        }
        let mut open = vec![&package.id];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let name = metadata[id].name.as_str();
            assert!(!IMPURE.contains(&name), "{} brings in {name}", package.name);
            open.extend(normal.get(id).into_iter().flatten());
        }
    }
}

#[test]
fn no_file_outgrows_the_house() {
    let mut open = vec![root().join("crates"), root().join("examples"), root().join("benches")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = path.file_name().unwrap();
                if name != "target" && name != "tests" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
                assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines: split it", path.display());
            }
        }
    }
}

//! The entries of the shipped `clippy.toml`: each fires, with its reason.

use std::{fs, path::Path};

use super::run::warnings;

/// A disallowed item and its reason.
#[derive(Debug)]
struct Entry {
    path: String,
    reason: String,
}

fn read(path: &str) -> String {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace");
    fs::read_to_string(root.join(path)).expect(path)
}

/// One per line, in the order of the file.
fn entries(file: &str) -> Vec<Entry> {
    let between = |line: &str, before: &str| {
        let (_, from) = line.split_once(before)?;
        Some(from.split_once('"')?.0.to_owned())
    };
    let lines = file.lines().map(str::trim).filter(|line| line.starts_with('{'));
    lines
        .map(|line| Entry {
            path: between(line, "path = \"").expect(line),
            reason: between(line, "reason = \"").expect(line),
        })
        .collect()
}

#[test]
fn every_entry_fires_once_with_its_reason() {
    let uses: Vec<_> =
        warnings().iter().filter(|warning| warning.file.ends_with("/uses.rs")).collect();
    let entries = entries(&read("runtime/lints/clippy.toml"));
    assert!(!entries.is_empty());
    for Entry { path, reason } in &entries {
        let found: Vec<_> =
            uses.iter().filter(|warning| warning.disallowed() == Some(path)).collect();
        assert_eq!(found.len(), 1, "`{path}` is used once in the fixture: {found:?}");
        assert!(found[0].notes.contains(reason), "{:?} should say: {reason}", found[0]);
    }
    // Nothing else in the fixture is flagged, including tokio's own entry.
    let others: Vec<_> = uses
        .iter()
        .filter(|warning| !entries.iter().any(|entry| warning.disallowed() == Some(&entry.path)))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn this_repository_obeys_its_own_configuration() {
    let shipped = read("runtime/lints/clippy.toml");
    assert!(
        read("clippy.toml").ends_with(&shipped),
        "`clippy.toml` ends with the text of `runtime/lints/clippy.toml`"
    );
}

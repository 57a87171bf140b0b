//! Every ignored test belongs to one of three classes, no test passes because a tool is missing, and names are short.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The test needs a tool that `.ci/run` checks for; it takes long; or another test runs it.
const CLASSES: [&str; 3] = ["needs ", "long: ", "fixture of another test"];

/// The tools, and the Debian package of each, as `.ci/run` and CONTRIBUTING.md name them.
const TOOLS: [&str; 6] = [
    "chromium",
    "haproxy",
    "nats-server and postgresql",
    "prometheus",
    "promtool",
    "user namespaces",
];

#[test]
fn every_ignored_test_belongs_to_a_class() {
    let mut found = Vec::new();
    for (path, line) in lines() {
        let Some(reason) = line.trim().strip_prefix("#[ignore") else { continue };
        let reason = reason.strip_prefix(" = \"").and_then(|rest| rest.split('"').next());
        let is_known = reason.is_some_and(|reason| match reason.strip_prefix("needs ") {
            Some(tool) => TOOLS.contains(&tool),
            None => CLASSES.iter().any(|class| reason.starts_with(class)),
        });
        if !is_known {
            found.push(format!("{}: {}", path.display(), line.trim()));
        }
    }
    assert!(found.is_empty(), "write one of {CLASSES:?}, with one of {TOOLS:?}: {found:#?}");
}

#[test]
fn no_test_skips_itself() {
    let skips = lines().into_iter().filter(|(_, line)| line.contains("SKIPPED"));
    let found: Vec<_> = skips.map(|(path, line)| format!("{}: {line}", path.display())).collect();
    assert!(found.is_empty(), "write `#[ignore = \"needs …\"]`: {found:#?}");
}

#[test]
fn the_gate_looks_for_every_tool() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file| fs::read_to_string(root.join(file)).expect("it is readable");
    let (gate, contributing) = (read(".ci/run"), read("CONTRIBUTING.md"));
    for tool in TOOLS {
        assert!(gate.contains(&format!("'needs {tool}'")), "`.ci/run` does not check for {tool}");
    }
    for package in ["chromium", "haproxy", "nats-server", "postgresql", "prometheus", "valgrind"] {
        assert!(contributing.contains(&format!("`{package}`")), "CONTRIBUTING.md lacks {package}");
    }
}

/// The longest name of a test, in characters.
const LONGEST_NAME: usize = 60;

#[test]
fn a_test_has_a_short_name() {
    let mut found = Vec::new();
    let mut is_test = false;
    for (path, line) in lines() {
        let line = line.trim();
        if line.starts_with("#[") && line.contains("test") && !line.contains("cfg") {
            is_test = true;
        }
        let Some((_, name)) = line.split_once("fn ") else { continue };
        let name = name.split(['(', '<']).next().unwrap_or_default();
        if std::mem::take(&mut is_test) && name.len() > LONGEST_NAME {
            found.push(format!("{}: {name}", path.display()));
        }
    }
    assert!(found.is_empty(), "at most {LONGEST_NAME} characters: {found:#?}");
}

/// The lines of all tests but this file.
fn lines() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut lines = Vec::new();
    for folder in ["brokers", "examples", "macros/src", "runtime/src", "tests"] {
        super::sources::each_file(&root.join(folder), &mut |path| {
            let is_a_test =
                !path.ends_with("house/ignored.rs") && !path.to_string_lossy().contains("/target/");
            if is_a_test {
                let text = fs::read_to_string(path).expect("a source file is readable");
                lines.extend(text.lines().map(|line| (path.to_owned(), line.to_owned())));
            }
        });
    }
    lines
}

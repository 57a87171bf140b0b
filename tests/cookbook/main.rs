//! The cookbook of the README, compiled: each fenced block there equals the code here between `readme` marks. Lines
//! are narrow, since a plain program and its supervised version are shown side by side.

#![allow(dead_code, clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "the befores of the cookbook are what one writes by hand"
)]

mod fetch_all {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod flusher {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod http_saver {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod panics {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod pipeline {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod queue_workers {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod service {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
mod stats {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}

use std::{fs, path::Path};

/// The longest line of two columns on a page.
const WIDEST: usize = 70;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The part of a source between its marks.
fn shown(path: &str) -> String {
    let source = read(path);
    let (_, from_mark) = source.split_once("// readme\n").expect(path);
    let (shown, _) = from_mark.split_once("// end\n").expect(path);
    shown.trim_end().to_owned()
}

#[test]
fn the_readme_matches_the_compiled_cookbook() {
    let readme = read("README.md");
    for example in EXAMPLES {
        for side in ["before", "after"] {
            let shown = shown(&format!("tests/cookbook/{example}/{side}.rs"));
            let block = format!("```rust,ignore\n{shown}\n```\n");
            assert!(readme.contains(&block), "{example}, {side}: the README should have\n{block}");
            let too_wide = shown.lines().find(|line| line.chars().count() > WIDEST);
            assert_eq!(too_wide, None, "{example}, {side}: wider than {WIDEST}");
        }
    }
}

#[test]
fn every_example_is_listed_in_the_cookbook() {
    let readme = read("README.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("main.rs").exists() {
            let name = entry.file_name().into_string().unwrap();
            let has_a_place =
                EXAMPLES.contains(&name.as_str()) || ELSEWHERE.contains(&name.as_str());
            assert!(has_a_place, "{name} is not in the cookbook");
            let link = format!("[`{name}`](examples/{name}/main.rs)");
            assert!(readme.contains(&link), "the README should link to {link}");
        }
    }
}

/// The ops page, and programs of several processes: the README shows them elsewhere.
const ELSEWHERE: &[&str] = &["console", "jetstream", "kafka"];

const EXAMPLES: &[&str] = &[
    "fetch_all",
    "queue_workers",
    "flusher",
    "http_saver",
    "stats",
    "pipeline",
    "service",
    "panics",
];

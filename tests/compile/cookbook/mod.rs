//! The cookbook of the guide, compiled: its code blocks are the text between the `readme` marks of these files.

#![allow(dead_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the befores of the cookbook are what one writes by hand"
)]

mod etl {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}
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

mod tcp_server {
    #[rustfmt::skip]
    mod after;
    #[rustfmt::skip]
    mod before;
}

use std::{fs, path::Path};

/// The longest line that a page shows without a scroll bar.
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
fn the_guide_shows_what_compiles_here() {
    for example in EXAMPLES {
        let page = read(&format!("guide/src/cookbook/{example}.md"));
        for side in ["before", "after"] {
            let shown = shown(&format!("tests/compile/cookbook/{example}/{side}.rs"));
            let block = format!("```rust,ignore\n{shown}\n```\n");
            assert!(page.contains(&block), "{example}, {side}: the guide should have\n{block}");
            let too_wide = shown.lines().find(|line| line.chars().count() > WIDEST);
            assert_eq!(too_wide, None, "{example}, {side}: wider than {WIDEST}");
        }
    }
}

#[test]
fn every_example_is_linked_from_the_cookbook() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let index = read("guide/src/cookbook/index.md");
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("main.rs").exists() {
            let name = entry.file_name().into_string().unwrap();
            let link = match EXAMPLES.contains(&name.as_str()) {
                true => format!("[`{name}`]({name}.md)"),
                false => format!("[`{name}`](../../../examples/{name}/main.rs)"),
            };
            assert!(index.contains(&link), "the cookbook should link to {link}");
        }
    }
}

const EXAMPLES: &[&str] = &[
    "fetch_all",
    "etl",
    "tcp_server",
    "queue_workers",
    "flusher",
    "http_saver",
    "stats",
    "pipeline",
    "service",
    "panics",
];

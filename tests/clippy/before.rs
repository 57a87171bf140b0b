//! The befores of the cookbook, under no attribute: which entries of the shipped `clippy.toml` speak to them.
//!
//! What the attribute says of them is in `macros/src/testing/cookbook.rs`.

use crate::run::told;

/// An example, and what is disallowed in its before, in the order of the source.
const BEFORES: &[(&str, &[&str])] = &[
    ("fetch_all", &["tokio::task::JoinSet::spawn"]),
    ("queue_workers", &["tokio::spawn"]),
    ("flusher", &["tokio::spawn"]),
    ("http_saver", &["tokio::spawn"]),
    ("stats", &["tokio::spawn"]),
    (
        "pipeline",
        &[
            "tokio::sync::mpsc::unbounded_channel",
            "tokio::sync::mpsc::unbounded_channel",
            "tokio::spawn",
            "tokio::spawn",
        ],
    ),
    ("service", &["tokio::spawn", "tokio::spawn", "tokio::spawn"]),
    ("panics", &["tokio::task::JoinSet::spawn"]),
    ("tcp_server", &["tokio::spawn"]),
];

#[test]
fn every_before_of_the_cookbook_is_flagged() {
    for (example, expected) in BEFORES {
        let file = format!("cookbook/{example}/before.rs");
        let flagged: Vec<_> = told()
            .iter()
            .filter(|told| told.file.ends_with(&file))
            .map(|told| told.disallowed().unwrap_or(&told.message))
            .collect();
        assert_eq!(flagged, *expected, "{example}");
    }
}

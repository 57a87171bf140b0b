//! The plain programs of the cookbook, without an attribute: which entries of the shipped `clippy.toml` flag them.
//!
//! The refusals of the attribute are tested in `macros/src/testing/cookbook.rs`.

use super::run::warnings;

/// An example and the disallowed items in its plain program, in source order.
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
fn every_plain_example_of_the_cookbook_is_flagged() {
    for (example, expected) in BEFORES {
        let file = format!("cookbook/{example}/before.rs");
        let flagged: Vec<_> = warnings()
            .iter()
            .filter(|warning| warning.file.ends_with(&file))
            .map(|warning| warning.disallowed().unwrap_or(&warning.message))
            .collect();
        assert_eq!(flagged, *expected, "{example}");
    }
}

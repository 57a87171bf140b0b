//! The files that Debian's package `prometheus` checks.

use std::path::{Path, PathBuf};

/// The alert rules for users to copy, and their test.
pub(crate) fn rules(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/prometheus").join(file)
}

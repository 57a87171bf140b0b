//! Limits of the registry on package metadata.

use std::{fs, path::Path};

#[test]
fn keywords_are_few_and_short() {
    for package in ["../../macros", "../../runtime"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("Cargo.toml");
        let manifest = fs::read_to_string(path).expect("the manifest is readable");
        let keywords = manifest.lines().find_map(|line| line.strip_prefix("keywords = "));
        let keywords: Vec<_> = keywords.unwrap_or_default().split('"').skip(1).step_by(2).collect();
        assert!(keywords.len() <= 5, "{package}: {keywords:?}");
        assert!(keywords.iter().all(|word| word.len() <= 20), "{package}: {keywords:?}");
    }
}

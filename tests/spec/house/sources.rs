//! The sources of the published crates, parsed.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where they are, from this package.
pub(crate) const BOTH: [&str; 2] = ["../../macros/src", "../../runtime/src"];
pub(crate) const RUNTIME: &str = "../../runtime/src";

pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) parsed: syn::File,
}

pub(crate) fn under(root: &str) -> Vec<Source> {
    let mut found = Vec::new();
    each_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root), &mut |path| {
        let text = fs::read_to_string(path).expect("a source file is readable");
        let parsed = syn::parse_file(&text).expect("a source file parses");
        found.push(Source { path: path.to_owned(), parsed });
    });
    assert!(!found.is_empty(), "no source is under {root}");
    found
}

pub(crate) fn each_file(folder: &Path, look: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            each_file(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path);
        }
    }
}

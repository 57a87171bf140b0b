//! The rustdoc page of a supervised function, as a reader sees it.

use std::{fs, path::PathBuf, process::Command};

/// Documents the crate of all forms, and returns the directory of its pages.
fn pages() -> PathBuf {
    // `target/debug/deps/rustdoc-…`, in any target directory.
    let test = std::env::current_exe().expect("the test has a path");
    let target = test.ancestors().nth(3).expect("the test is in a target directory");
    let documented = Command::new(env!("CARGO"))
        .args(["doc", "--package", "supervised-edition-2021", "--no-deps", "--quiet"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(documented.success(), "the crate of all forms cannot be documented");
    target.join("doc/supervised_edition_2021")
}

#[test]
fn the_documentation_of_a_function_ends_with_its_exit_story() {
    let pages = pages();
    for (page, own_words, story) in [
        (
            "forms/fn.plain.html",
            "<p>Without a token.</p>",
            "<p><strong>Supervised.</strong> At most 16 calls run at once. \
             Stops at its next <code>.await</code> when the token fires. Times out after 10 s. \
             A panic becomes an <code>Err</code>.</p>",
        ),
        (
            "forms/fn.lent.html",
            "<p>When the token fires.</p>",
            "<p><strong>Supervised.</strong> Stops by itself when the token fires, or is dropped 5 s later. \
             A panic becomes an <code>Err</code>.</p>",
        ),
        (
            "forms/fn.unit.html",
            "<p>Nothing in, nothing out.</p>",
            "<p><strong>Supervised.</strong> Stops at its next <code>.await</code> when the token fires. \
             A panic is logged and counted.</p>",
        ),
    ] {
        let html = fs::read_to_string(pages.join(page)).expect("the function has a page");
        let html = html.replace('\n', " ");
        assert!(html.contains(&format!("{own_words} {story}")), "{page}: {html}");
    }
}

//! The pages: their links and anchors, and that every page and code block is part of the book and of the tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files of a folder, and of those below it if `deep`.
fn pages_in(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() && deep {
            pages_in(&path, deep, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

fn all_pages() -> Vec<PathBuf> {
    let mut found = vec![root().join("llms.txt"), root().join("macros/README.md")];
    pages_in(root(), false, &mut found);
    pages_in(&root().join("docs"), true, &mut found);
    pages_in(&root().join("guide/src"), true, &mut found);
    pages_in(&root().join("runtime/src/docs"), true, &mut found);
    found
}

/// The lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// A line without its `code`, in which brackets are no links.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of `[text](target)` and `![text](target)`.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text).map(without_code) {
        for after in line.split("](").skip(1) {
            found.push(after.split(')').next().expect("split has a first part").to_owned());
        }
    }
    found
}

/// The anchors of the headings, as GitHub and mdbook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter_map(|character| match character {
                ' ' => Some('-'),
                '-' | '_' => Some(character),
                _ => character.is_alphanumeric().then_some(character),
            });
            kept.collect()
        })
        .collect()
}

/// Returns the problem of a broken link of a page.
fn broken(page: &Path, text: &str, link: &str) -> Option<String> {
    let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
    let is_rustdoc = link.contains("::") || link.contains('@') || link.ends_with('!');
    if is_elsewhere || is_rustdoc {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = page.parent().expect("a page is in a folder").join(path);
    let is_this_page = path.is_empty();
    if !is_this_page && !target.exists() {
        return Some(format!("{}: no file `{link}`", page.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let there = if is_this_page { text.to_owned() } else { read(&target) };
    (!anchors(&there).contains(anchor)).then(|| format!("{}: no anchor `{link}`", page.display()))
}

#[test]
fn no_relative_link_is_broken() {
    let mut found = Vec::new();
    let mut checked = 0;
    for page in all_pages() {
        let text = read(&page);
        for link in links(&text) {
            checked += 1;
            found.extend(broken(&page, &text, &link));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(checked > 100, "only {checked} links were found");
}

#[test]
fn a_broken_link_is_found() {
    let page = root().join("README.md");
    let text = "# A `b`: c, d\n[x](#a-b-c-d) [y](guide/src/start.md#which-one-do-i-use)\n```\n[z](none)\n```\n";
    assert_eq!(links(text), ["#a-b-c-d", "guide/src/start.md#which-one-do-i-use"]);
    for link in links(text) {
        assert_eq!(broken(&page, text, &link), None);
    }
    for link in ["#a", "guide/src/none.md", "guide/src/start.md#none"] {
        assert!(broken(&page, text, link).is_some(), "{link}");
    }
}

#[test]
fn the_summary_lists_every_page() {
    let source = root().join("guide/src");
    let summary = read(&source.join("SUMMARY.md"));
    let listed: BTreeSet<_> = links(&summary).into_iter().map(|link| source.join(link)).collect();
    let mut pages = Vec::new();
    pages_in(&source, true, &mut pages);
    let missing: Vec<_> = pages
        .into_iter()
        .filter(|page| !page.ends_with("SUMMARY.md") && !listed.contains(page))
        .collect();
    assert!(missing.is_empty(), "not in SUMMARY.md: {missing:#?}");
}

/// A block is compiled by `lib.rs`, or, on the pages of the cookbook, by `tests/compile/cookbook`.
#[test]
fn every_rust_block_is_compiled() {
    let compiled = read(&root().join("guide/lib.rs"));
    let mut found = Vec::new();
    let mut pages =
        vec![root().join("README.md"), root().join("COMPARE.md"), root().join("llms.txt")];
    pages_in(&root().join("docs"), true, &mut pages);
    pages_in(&root().join("guide/src"), true, &mut pages);
    for page in pages {
        let text = read(&page);
        let is_cookbook = page.parent().is_some_and(|folder| folder.ends_with("cookbook"));
        if is_cookbook || !text.contains("```rust") {
            continue;
        }
        let name = page.strip_prefix(root()).expect("a page of the repository");
        let name = name.strip_prefix("guide").map_or_else(
            |_| format!("../{}", name.display()),
            |inside| inside.display().to_string(),
        );
        if text.contains("```rust,ignore") {
            found.push(format!("{name} has an ignored block"));
        }
        if !compiled.contains(&format!("\"{name}\"")) {
            found.push(format!("{name} is not in guide/lib.rs"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn both_glossaries_have_the_same_words() {
    let words = |path| -> Vec<String> {
        let text = read(&root().join(path));
        text.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect()
    };
    assert_eq!(words("guide/src/glossary.md"), words("runtime/src/docs/glossary.md"));
}

#[test]
fn the_readme_is_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 200, "the README has {lines} lines: move details to the guide");
}

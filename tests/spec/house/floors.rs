//! A file imports only from lower floors, and in no cycle. ARCHITECTURE.md assigns each module to a floor.
//!
//! A table of floors follows the line `<!-- floors: runtime/src -->` (or `macros/src`):
//!
//! ```text
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 2 | `group`, `pool/` | … |
//! | 1 | `panic`, `panic/hook.rs` | … |
//! ```
//!
//! - A module is `name` (`name.rs` and all of `name/`), `name/` (the directory only) or `name.rs` (the file only),
//!   relative to the source directory. The longest name that matches a file decides.
//! - Rows with the same floor are wings: they do not import from each other. Within a row only cycles are refused.
//! - `lib.rs` imports from everywhere; no file imports its re-exports. Code under `cfg(test)` is not checked.
//!
//! The files of one spawn follow the line `<!-- files: Group::spawn -->`, up to the next heading.

mod imports;
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use super::sources;
use imports::{Import, ROOT};

const CRATES: [&str; 2] = ["macros/src", "runtime/src"];

/// How many files a reader opens to follow one `Group::spawn`.
const MOST_SPAWN_FILES: usize = 20;

#[test]
fn the_runtime_obeys_its_floors() {
    assert_no_violations("runtime/src");
}

#[test]
fn the_macros_obey_their_floors() {
    assert_no_violations("macros/src");
}

#[test]
fn one_spawn_is_followed_through_few_files() {
    let violations = spawn_files(&architecture(), &exists);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_path_in_the_architecture_exists() {
    let missing: Vec<_> = paths(&architecture()).into_iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names missing paths: {missing:#?}");
}

#[test]
#[ignore = "long: prints a list for a reader"]
fn list() {
    for folder in CRATES {
        let violations = violations(folder, &read(folder), &architecture());
        println!("{folder}: {} violations\n{}", violations.len(), violations.join("\n"));
    }
    println!("Group::spawn\n{}", spawn_files(&architecture(), &exists).join("\n"));
}

fn assert_no_violations(folder: &str) {
    let violations = violations(folder, &read(folder), &architecture());
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn architecture() -> String {
    fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is readable")
}

/// The parsed files of a crate, by their path relative to its source directory.
fn read(folder: &str) -> BTreeMap<String, syn::File> {
    let root = format!("../../{folder}");
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join(&root);
    let relative = |path: &Path| {
        let parts =
            path.strip_prefix(&above).expect("the file is below its directory").components();
        parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    sources::under(&root)
        .into_iter()
        .map(|source| (relative(&source.path), source.parsed))
        .collect()
}

/// The violations of the rules above in one crate, one message each.
fn violations(
    folder: &str,
    files: &BTreeMap<String, syn::File>,
    architecture: &str,
) -> Vec<String> {
    let imports = imports::read(files);
    let (floors, mut found) = Floors::read(folder, architecture);
    found.extend(
        imports.orphans.iter().map(|file| format!("`{folder}/{file}` belongs to no `mod`")),
    );
    found.extend(floors.unknown(&imports.files).into_iter().map(|name| {
        format!("ARCHITECTURE.md: `{name}` has a floor, and does not exist in `{folder}`")
    }));
    for file in &imports.files {
        if floors.of(file).is_none() {
            found.push(format!("`{folder}/{file}` has no floor in ARCHITECTURE.md"));
        }
    }
    for import in &imports.through_root {
        let Import { from, line, to, path } = import;
        let owner =
            if to == ROOT { "the crate that owns it".to_owned() } else { format!("`{to}`") };
        found.push(format!(
            "`{folder}/{from}:{line}` imports `{path}` through `{ROOT}`: import it from {owner}"
        ));
    }
    let mut level = Vec::new();
    for import in &imports.all {
        let Import { from, line, to, path } = import;
        let (Some(own), Some(other)) = (floors.of(from), floors.of(to)) else { continue };
        let what = format!("`{folder}/{from}:{line}` imports `{path}` (`{to}`)");
        if other.number > own.number {
            let (own, other) = (own.number, other.number);
            found.push(format!("{what}: floor {own} may not import from floor {other}"));
        } else if other.number == own.number && other.row != own.row {
            found.push(format!(
                "{what}: the wings of floor {} do not import from each other",
                own.number
            ));
        } else if other.number == own.number {
            level.push(import);
        }
    }
    found.extend(cycles(&level).iter().map(|cycle| cycle.message(folder)));
    found
}

#[derive(Clone, Copy)]
struct Floor {
    number: usize,
    /// The line of the table.
    row: usize,
}

/// A floor for each name in the table.
#[derive(Default)]
struct Floors(BTreeMap<String, Floor>);

impl Floors {
    fn read(folder: &str, architecture: &str) -> (Self, Vec<String>) {
        let mut floors = Self::default();
        let mut wrong = Vec::new();
        let marker = format!("<!-- floors: {folder} -->");
        let lines = architecture.lines().enumerate().skip_while(|(_, line)| line.trim() != marker);
        let rows = lines.skip(1).skip_while(|(_, line)| line.trim().is_empty());
        let rows: Vec<_> = rows.take_while(|(_, line)| line.starts_with('|')).skip(2).collect();
        if rows.is_empty() {
            wrong.push(format!("ARCHITECTURE.md has no table after `{marker}`"));
        }
        for (row, line) in rows {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let number = cells.get(1).and_then(|number| number.parse().ok());
            let (Some(number), Some(modules)) = (number, cells.get(2)) else {
                wrong.push(format!(
                    "ARCHITECTURE.md:{}: a row is `| number | modules | … |`",
                    row + 1
                ));
                continue;
            };
            for name in ticked(modules) {
                if floors.0.insert(name.to_owned(), Floor { number, row }).is_some() {
                    wrong.push(format!("ARCHITECTURE.md:{}: `{name}` has two floors", row + 1));
                }
            }
        }
        (floors, wrong)
    }

    fn of(&self, file: &str) -> Option<Floor> {
        let fitting = self.0.iter().filter(|(name, _)| fits(name, file));
        fitting.max_by_key(|(name, _)| name.len()).map(|(_, floor)| *floor)
    }

    /// The names that match no file.
    fn unknown(&self, files: &BTreeSet<String>) -> Vec<&str> {
        let is_unknown = |name: &&String| !files.iter().any(|file| fits(name, file));
        self.0.keys().filter(is_unknown).map(String::as_str).collect()
    }
}

/// Whether a file belongs to the modules of the table.
fn fits(name: &str, file: &str) -> bool {
    let Some(rest) = file.strip_prefix(name) else { return false };
    rest.is_empty() || name.ends_with('/') || rest == ".rs" || rest.starts_with('/')
}

/// Files that import from each other.
struct Cycle<'a> {
    files: BTreeSet<&'a str>,
    shortest: Vec<&'a Import>,
    /// One import for each pair of files.
    imports: Vec<&'a Import>,
}

impl Cycle<'_> {
    fn message(&self, folder: &str) -> String {
        let files: Vec<_> = self.files.iter().copied().collect();
        let mut text =
            format!("a cycle of {} files in `{folder}`: {}", files.len(), files.join(", "));
        let others: Vec<_> =
            self.imports.iter().filter(|import| !self.shortest.contains(import)).copied().collect();
        let parts =
            [("the shortest cycle", &self.shortest), ("the other imports among them", &others)];
        for (title, imports) in parts.into_iter().filter(|(_, imports)| !imports.is_empty()) {
            text += &format!("\n  {title}:");
            for Import { from, line, to, path } in imports {
                text += &format!("\n    `{folder}/{from}:{line}` imports `{path}` (`{to}`)");
            }
        }
        text
    }
}

/// The groups of files that reach each other, each with a shortest cycle.
fn cycles<'a>(imports: &[&'a Import]) -> Vec<Cycle<'a>> {
    let mut by_file: BTreeMap<&str, BTreeMap<&str, &'a Import>> = BTreeMap::new();
    for import in imports {
        by_file.entry(&import.from).or_default().entry(&import.to).or_insert(import);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        by_file.keys().map(|file| (*file, reach(&by_file, file))).collect();
    let mut found: Vec<Cycle<'a>> = Vec::new();
    for (&file, reachable) in &reached {
        if !reachable.contains(file) || found.iter().any(|cycle| cycle.files.contains(file)) {
            continue;
        }
        let is_back = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(file));
        let files: BTreeSet<&str> = reachable.iter().filter(is_back).copied().collect();
        let shortest =
            files.iter().filter_map(|file| shortest(&by_file, file)).min_by_key(Vec::len);
        let inside = files.iter().flat_map(|file| by_file[file].values().copied());
        let inside = inside.filter(|import| files.contains(import.to.as_str())).collect();
        found.push(Cycle { imports: inside, shortest: shortest.unwrap_or_default(), files });
    }
    found
}

type ByFile<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>;

/// Every file that a file imports, directly or indirectly.
fn reach<'a>(by_file: &ByFile<'a>, from: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        let direct = by_file.get(file).into_iter().flat_map(BTreeMap::keys).copied();
        next.extend(direct.filter(|other| found.insert(*other)));
    }
    found
}

/// The shortest path from a file back to itself.
fn shortest<'a>(by_file: &ByFile<'a>, start: &str) -> Option<Vec<&'a Import>> {
    let mut ways: VecDeque<Vec<&'a Import>> = VecDeque::from([Vec::new()]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let end = way.last().map_or(start, |import| &import.to);
        for import in by_file.get(end).into_iter().flat_map(BTreeMap::values) {
            let longer = [&way[..], &[*import]].concat();
            if import.to == start {
                return Some(longer);
            }
            if seen.insert(import.to.as_str()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// The errors in the list of the files that one `Group::spawn` goes through.
fn spawn_files(architecture: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let marker = "<!-- files: Group::spawn -->";
    let Some((_, rest)) = architecture.split_once(marker) else {
        return vec![format!("ARCHITECTURE.md has no `{marker}`")];
    };
    let list: String = rest
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .fold(String::new(), |all, line| all + line + "\n");
    let files: BTreeSet<String> =
        paths(&list).into_iter().filter(|path| path.ends_with(".rs")).collect();
    let mut found: Vec<_> = files
        .iter()
        .filter(|file| !exists(file))
        .map(|file| format!("`{file}` does not exist"))
        .collect();
    if files.is_empty() {
        found.push("the list of files of one `Group::spawn` is empty".to_owned());
    }
    if files.len() > MOST_SPAWN_FILES {
        found.push(format!(
            "one `Group::spawn` goes through {} files: at most {MOST_SPAWN_FILES}",
            files.len()
        ));
    }
    found
}

/// Whether a path exists in the repository, or below the sources of one of the crates.
fn exists(path: &str) -> bool {
    let folders = [""].into_iter().chain(CRATES);
    folders.map(|folder| repository().join(folder).join(path)).any(|path| path.exists())
}

/// The paths between backticks: everything with a `/` or a file extension. `a/{b,c}.rs` are two.
fn paths(text: &str) -> Vec<String> {
    const ENDS: [&str; 6] = [".rs", ".md", ".toml", ".html", ".txt", ".json"];
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let is_path = |path: &String| {
        path.chars().all(is_part)
            && (path.contains('/') || ENDS.iter().any(|end| path.ends_with(end)))
    };
    ticked(text).into_iter().flat_map(braces).filter(is_path).collect()
}

fn braces(text: &str) -> Vec<String> {
    let parts = text.split_once('{').and_then(|(before, rest)| {
        let (inner, after) = rest.split_once('}')?;
        Some((before, inner, after))
    });
    let Some((before, inner, after)) = parts else { return vec![text.to_owned()] };
    inner.split(',').map(|part| format!("{before}{}{after}", part.trim())).collect()
}

/// The text between single backticks. Fenced blocks are ignored.
fn ticked(text: &str) -> Vec<&str> {
    let is_prose = |(index, _): &(usize, &str)| index % 2 == 0;
    let prose = text.split("```").enumerate().filter(is_prose).map(|(_, part)| part);
    let ticks = |part| str::split(part, '`').enumerate().filter(|(index, _)| index % 2 == 1);
    prose.flat_map(ticks).map(|(_, inner)| inner).collect()
}

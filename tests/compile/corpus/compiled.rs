//! Real crates with marks in their async functions: they compile as they did before.
//!
//! 1. A copy of each crate gets an error with a number in the body of each function. The compiler lists those that it
//!    compiles: others are behind a `cfg`. Of these, some hundred are drawn.
//! 2. With marks in the drawn bodies, the copies compile with the same warnings as without, and at most 2 % of the
//!    `.await`s have no mark.
//! 3. The futures have the same sizes. The compiler prints those that it lays out: not those of generic functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use syn::ItemFn;
use testkit::random::Random;

use super::{
    functions,
    lines::{self, Lines},
    sources,
};
use crate::emit;

/// Crates with many async functions, in the versions of the lock file.
const LOCKED: [&str; 7] =
    ["async-nats", "axum", "hyper-util", "reqwest", "tokio-postgres", "tokio-util", "tower-http"];

/// The same, in their newest versions.
const NEWEST: [&str; 2] = ["opendal-core", "serenity"];

const FEATURES: &str = "axum/http2,axum/multipart,axum/ws,hyper-util/full,reqwest/json,reqwest/multipart,reqwest/stream,tokio-util/full";

const DRAWN: usize = 700;
const LEAST: usize = 500;

/// What is inserted into a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Insert {
    Nothing,
    Marks,
    /// An error with the number of the body.
    Error,
}

/// The name that an error names, before the number of its body.
const MISSING: &str = "supervised_drawn_";

struct Body {
    number: usize,
    item: ItemFn,
    file: PathBuf,
    place: Range<usize>,
}

#[test]
#[ignore = "long: compiles copies of crates"]
fn real_functions_compile_with_marks() {
    let mut random = Random::from_environment();
    let mut crates = sources::of_this_workspace();
    crates.retain(|each| is_one_of(each, &LOCKED));
    crates.extend(sources::of_crates(&NEWEST).into_iter().filter(|each| is_one_of(each, &NEWEST)));
    let copies = Copies {
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lines-corpus"),
        crates,
    };
    let mut bodies = copies.bodies();
    let found = bodies.len();
    let compiled = copies.check(&bodies, Insert::Error).numbers();
    bodies.retain(|body| compiled.contains(&body.number));
    while bodies.len() > DRAWN {
        bodies.swap_remove(random.below(bodies.len()));
    }
    println!(
        "{} crates, {found} functions that await, {} of them compiled, {} drawn",
        copies.crates.len(),
        compiled.len(),
        bodies.len()
    );
    assert!(bodies.len() >= LEAST, "too few functions");

    let plain = copies.check(&bodies, Insert::Nothing);
    assert_eq!(plain.errors, BTreeSet::new(), "the crates do not compile as they are");
    let sizes = copies.sizes();
    let marked = copies.check(&bodies, Insert::Marks);
    assert_eq!(marked.errors, BTreeSet::new(), "the marks break a function");
    assert_eq!(marked.warnings, plain.warnings, "the marks change the warnings");
    let mut marks = Lines::default();
    bodies.iter().for_each(|body| marks.add(&body.item));
    println!("{} functions compiled with marks: {marks}", bodies.len());
    assert!(marks.unmarked() <= 0.02, "{marks}");

    let sizes_marked = copies.sizes();
    println!("{} futures have their size, {} bytes in all", sizes.len(), sum(&sizes));
    assert!(sizes.len() >= LEAST / 2, "too few futures");
    let differ: Vec<_> = sizes
        .iter()
        .filter(|(future, sizes)| sizes_marked.get(*future) != Some(*sizes))
        .map(|(future, sizes)| format!("{future}: {sizes:?}, {:?}", sizes_marked.get(future)))
        .collect();
    println!("{} futures have another size with marks", differ.len());
    assert!(differ.is_empty(), "the marks change the size of a future: {differ:#?}");
}

fn is_one_of(each: &sources::Crate, names: &[&str]) -> bool {
    names.contains(&name(each))
}

/// Without its version.
fn name(each: &sources::Crate) -> &str {
    each.name.split_once(' ').expect("a version follows").0
}

/// The sizes of the futures of each name.
type Sizes = BTreeMap<String, Vec<u64>>;

fn sum(sizes: &Sizes) -> u64 {
    sizes.values().flatten().sum()
}

struct Compiled {
    /// Each error's text and place.
    errors: BTreeSet<String>,
    /// The texts of the warnings.
    warnings: Vec<String>,
}

impl Compiled {
    /// The bodies with an error of theirs.
    fn numbers(&self) -> BTreeSet<usize> {
        let number = |error: &String| error.split_once(MISSING)?.1.split('`').next()?.parse().ok();
        self.errors.iter().filter_map(number).collect()
    }
}

/// Crates that are copied into one workspace.
struct Copies {
    folder: PathBuf,
    crates: Vec<sources::Crate>,
}

impl Copies {
    /// The bodies of the outermost async functions.
    fn bodies(&self) -> Vec<Body> {
        let mut found: Vec<Body> = Vec::new();
        for each in &self.crates {
            sources::each_file(&each.folder.join("src"), &mut |file| {
                let Ok(text) = fs::read_to_string(file) else { return };
                let Some(functions) = functions::functions(&text) else { return };
                let placed = functions.items.into_iter().map(|item| {
                    let braces = item.block.brace_token.span;
                    (braces.open().byte_range().start..braces.close().byte_range().end, item)
                });
                let mut placed: Vec<_> =
                    placed.filter(|(place, _)| text[place.clone()].contains(".await")).collect();
                placed.sort_by_key(|(place, _)| place.start);
                let mut end = 0;
                for (place, item) in placed {
                    let is_outermost = place.start >= end;
                    end = end.max(place.end);
                    if is_outermost {
                        let (number, file) = (found.len(), file.to_owned());
                        found.push(Body { number, item, file, place });
                    }
                }
            });
        }
        found
    }

    /// Writes the copies.
    fn write(&self, bodies: &[Body], insert: Insert) {
        let mut members = String::new();
        for each in &self.crates {
            let copy = self.folder.join(name(each));
            _ = fs::remove_dir_all(&copy);
            copy_folder(&each.folder, &copy);
            let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
            let manifest =
                fs::read_to_string(copy.join("Cargo.toml")).expect("a crate has a manifest");
            let dependency =
                format!("\n[dependencies.tokio-supervised]\npath = {:?}\n", runtime.display());
            fs::write(copy.join("Cargo.toml"), manifest + &dependency).expect("it is writable");
            for file in bodies.iter().map(|body| &body.file).collect::<BTreeSet<_>>() {
                let Ok(inside) = file.strip_prefix(&each.folder) else { continue };
                let of_file = bodies.iter().filter(|body| body.file == *file);
                let text = fs::read_to_string(file).expect("it was read before");
                let text = with(text, of_file.collect(), insert);
                fs::write(copy.join(inside), text).expect("it is writable");
            }
            members += &format!("{:?}, ", name(each));
        }
        let manifest = format!(
            "[workspace]\nresolver = \"2\"\nmembers = [{members}]\n[profile.dev]\ndebug = false\nincremental = false\n"
        );
        fs::write(self.folder.join("Cargo.toml"), manifest).expect("it is writable");
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        if !self.folder.join("Cargo.lock").exists() {
            fs::copy(lock, self.folder.join("Cargo.lock")).expect("the workspace is locked");
        }
    }

    fn cargo(&self, command: &str, options: &[&str]) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args([command, "--workspace", "--lib", "--features", FEATURES])
            .args(options)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .current_dir(&self.folder);
        cargo
    }

    /// Writes the copies and checks them.
    fn check(&self, bodies: &[Body], insert: Insert) -> Compiled {
        self.write(bodies, insert);
        let mut cargo = self.cargo("check", &["--keep-going", "--message-format=json"]);
        let output = cargo.output().expect("cargo runs");
        let (mut errors, mut warnings) = (BTreeSet::new(), Vec::new());
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let message = &line["message"];
            let span = &message["spans"][0];
            let place = format!("{}:{}", span["file_name"], span["line_start"]);
            let text = message["message"].as_str().unwrap_or_default();
            match message["level"].as_str() {
                Some("error") if !span.is_null() => _ = errors.insert(format!("{place} {text}")),
                // Without marks, the copies do not use the dependency that they got.
                Some("warning") if text.starts_with("extern crate `tokio_supervised`") => {}
                Some("warning") => warnings.push(text.to_owned()),
                _ => {}
            }
        }
        let finished = output.status.success() || !errors.is_empty();
        assert!(finished, "{}", String::from_utf8_lossy(&output.stderr));
        warnings.sort();
        Compiled { errors, warnings }
    }

    /// The sizes of the futures of the async functions, in the copies as they are.
    fn sizes(&self) -> Sizes {
        let wrapper = self.folder.join("sizes.sh");
        fs::write(&wrapper, WRAPPER).expect("it is writable");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("it is a file");
        let mut cargo = self.cargo("build", &[]);
        let output = cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut sizes = Sizes::new();
        for each in &self.crates {
            let package = name(each);
            let printed = fs::read_to_string(self.folder.join(format!("{package}.sizes")));
            for line in printed.expect("each crate was compiled").lines() {
                let Some((future, size)) = size_of_future(line) else { continue };
                let future = without_places(future);
                sizes.entry(format!("{package} {future}")).or_default().push(size);
            }
        }
        sizes.values_mut().for_each(|sizes| sizes.sort_unstable());
        sizes
    }
}

/// Lets the compiler print the sizes of types, which is unstable.
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in *" --emit="*) ;; *) exec "$@" ;; esac
export RUSTC_BOOTSTRAP=1
exec "$@" -Zprint-type-sizes > "${0%/*}/$CARGO_PKG_NAME.sizes"
"#;

/// The name without the places of closures and blocks in it: marks move them.
fn without_places(future: &str) -> String {
    let mut parts = future.split('@');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        name += part.find('}').map_or(part, |end| &part[end..]);
    }
    name
}

/// `print-type-size type: `{async fn body of f()}`: 24 bytes, alignment: 8 bytes`
fn size_of_future(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.strip_prefix("print-type-size type: `")?.split_once("`: ")?;
    let is_of_function = name.starts_with("{async fn body of ");
    let size = rest.split_once(" bytes")?.0.parse().ok()?;
    is_of_function.then_some((name, size))
}

/// The text with something inserted into each body.
fn with(text: String, mut bodies: Vec<&Body>, insert: Insert) -> String {
    bodies.sort_by_key(|body| std::cmp::Reverse(body.place.start));
    bodies.into_iter().fold(text, |mut text, Body { number, place, .. }| {
        match insert {
            Insert::Nothing => {}
            Insert::Error => {
                text.insert_str(place.start + 1, &format!(" {MISSING}{number}; "));
            }
            Insert::Marks => {
                let item = format!("async fn drawn() {}", &text[place.clone()]);
                let item: ItemFn = syn::parse_str(&item).expect("it was parsed before");
                let body = lines::body(&item).expect("a body is a group");
                let krate = syn::parse_quote!(::tokio_supervised);
                let marked = emit::lines::block(&krate, true, item.sig.receiver(), &body);
                let (prelude, body) = (marked.prelude, marked.body.stream());
                text.replace_range(place.clone(), &format!("{{ {prelude} {body} }}"));
            }
        }
        text
    })
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is writable");
    for entry in fs::read_dir(from).expect("it is readable").flatten() {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            // The files of a registry may be read-only.
            let contents = fs::read(&path).expect("it is readable");
            fs::write(copy, contents).expect("it is writable");
        }
    }
}

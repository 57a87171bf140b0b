//! Real crates with marks in their async functions: they compile as they did before.
//!
//! A copy of each crate gets the marks in the bodies of the functions that were drawn, and is compiled. A third compile
//! with an error in each of these bodies counts those that were compiled at all: others are behind a `cfg`.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use testkit::random::Random;

use super::{functions, lines, sources};
use crate::emit;

/// Crates with many async functions, in the versions of the lock file.
const CRATES: [&str; 7] =
    ["async-nats", "axum", "hyper-util", "reqwest", "tokio-postgres", "tokio-util", "tower-http"];

const DRAWN: usize = 700;

/// What is inserted into a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Insert {
    Nothing,
    Marks,
    /// A type error.
    Error,
}

struct Body {
    file: PathBuf,
    place: Range<usize>,
}

#[test]
#[ignore = "long: compiles copies of crates"]
fn real_functions_compile_with_marks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lines-corpus");
    let mut random = Random::from_environment();
    let crates: Vec<_> = sources::of_this_workspace()
        .into_iter()
        .filter(|each| CRATES.iter().any(|name| each.name.starts_with(&format!("{name} "))))
        .collect();
    let mut bodies: Vec<_> = crates.iter().flat_map(|each| bodies(&each.folder)).collect();
    let found = bodies.len();
    while bodies.len() > DRAWN {
        bodies.swap_remove(random.below(bodies.len()));
    }
    println!("{} of {found} functions in {} crates", bodies.len(), crates.len());
    let plain = compile(&folder, &crates, &bodies, Insert::Nothing);
    assert_eq!(plain.errors, BTreeSet::new(), "the crates do not compile as they are");
    let marked = compile(&folder, &crates, &bodies, Insert::Marks);
    assert_eq!(marked.errors, BTreeSet::new(), "the marks break a function");
    assert_eq!(marked.warnings, plain.warnings, "the marks change the warnings");
    let wrong = compile(&folder, &crates, &bodies, Insert::Error);
    println!("{} functions compiled with marks", wrong.errors.len());
    assert!(wrong.errors.len() >= 500);
}

/// The bodies of the outermost async functions of a crate.
fn bodies(folder: &Path) -> Vec<Body> {
    let mut found: Vec<Body> = Vec::new();
    sources::each_file(&folder.join("src"), &mut |file| {
        let Ok(text) = fs::read_to_string(file) else { return };
        let Some(functions) = functions::functions(&text) else { return };
        let mut places: Vec<_> = functions
            .items
            .iter()
            .map(|item| {
                let braces = item.block.brace_token.span;
                braces.open().byte_range().start..braces.close().byte_range().end
            })
            .filter(|place| text[place.clone()].contains(".await"))
            .collect();
        places.sort_by_key(|place| place.start);
        let mut end = 0;
        places.retain(|place| {
            let is_outermost = place.start >= end;
            end = end.max(place.end);
            is_outermost
        });
        found.extend(places.into_iter().map(|place| Body { file: file.to_owned(), place }));
    });
    found
}

struct Compiled {
    /// Each error's text and place.
    errors: BTreeSet<String>,
    /// The texts of the warnings.
    warnings: Vec<String>,
}

fn compile(folder: &Path, crates: &[sources::Crate], bodies: &[Body], insert: Insert) -> Compiled {
    let mut members = String::new();
    for each in crates {
        let name = each.name.split_once(' ').expect("a version follows").0;
        let copy = folder.join(name);
        _ = fs::remove_dir_all(&copy);
        copy_folder(&each.folder, &copy);
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
        let manifest = fs::read_to_string(copy.join("Cargo.toml")).expect("a crate has a manifest");
        let dependency =
            format!("\n[dependencies.tokio-supervised]\npath = {:?}\n", runtime.display());
        fs::write(copy.join("Cargo.toml"), manifest + &dependency).expect("it is writable");
        for file in bodies.iter().map(|body| &body.file).collect::<BTreeSet<_>>() {
            let Ok(inside) = file.strip_prefix(&each.folder) else { continue };
            let of_file = bodies.iter().filter(|body| body.file == *file);
            let text = fs::read_to_string(file).expect("it was read before");
            let text = with(text, of_file.map(|body| body.place.clone()).collect(), insert);
            fs::write(copy.join(inside), text).expect("it is writable");
        }
        members += &format!("{name:?}, ");
    }
    let manifest = format!("[workspace]\nresolver = \"2\"\nmembers = [{members}]\n");
    fs::write(folder.join("Cargo.toml"), manifest).expect("it is writable");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).expect("the workspace is locked");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--workspace", "--lib", "--keep-going", "--message-format=json"])
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .current_dir(folder)
        .output()
        .expect("cargo runs");
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

/// The text with something inserted into each body.
fn with(text: String, mut places: Vec<Range<usize>>, insert: Insert) -> String {
    places.sort_by_key(|place| std::cmp::Reverse(place.start));
    places.into_iter().fold(text, |mut text, place| {
        match insert {
            Insert::Nothing => {}
            Insert::Error => text.insert_str(place.start + 1, " let _: () = 0_u8; "),
            Insert::Marks => {
                let item = format!("async fn drawn() {}", &text[place.clone()]);
                let item: syn::ItemFn = syn::parse_str(&item).expect("it was parsed before");
                let body = lines::body(&item).expect("a body is a group");
                let krate = syn::parse_quote!(::tokio_supervised);
                let marked = emit::lines::block(&krate, true, &body);
                let (prelude, body) = (marked.prelude, marked.body.stream());
                text.replace_range(place, &format!("{{ {prelude} {body} }}"));
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

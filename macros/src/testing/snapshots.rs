//! The generated code, for reviewers: `tests/expanded/NAME.rs` becomes `NAME.expanded.rs`.
//!
//! `EXPANDED=overwrite cargo test -p tokio-supervised-macros snapshots` writes them; read the diff.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Expr, ImplItem, Item, Meta,
    visit_mut::{VisitMut, visit_expr_mut, visit_impl_item_mut, visit_item_mut},
};

use crate::expand;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The written side of each pair.
fn written() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("tests/expanded")).expect("the folder exists");
    let mut written: Vec<_> = folder
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| !path.to_string_lossy().ends_with(".expanded.rs"))
        .collect();
    written.sort();
    written
}

#[test]
fn the_expansions_match_the_reviewed_snapshots() {
    let overwrite = env::var_os("EXPANDED").is_some_and(|how| how == "overwrite");
    let mut changed = Vec::new();
    for path in written() {
        let reviewed = path.with_extension("expanded.rs");
        let expanded = expanded(&read(&path));
        if overwrite {
            fs::write(&reviewed, expanded).expect("the folder is writable");
        } else if !reviewed.exists() || read(&reviewed) != expanded {
            changed.push(format!("{}:\n{expanded}", reviewed.display()));
        }
    }
    assert!(
        changed.is_empty(),
        "`EXPANDED=overwrite` accepts what changed:\n{}",
        changed.join("\n")
    );
}

/// The source with its attributes and calls expanded, as rustfmt lays it out.
fn expanded(source: &str) -> String {
    let mut file = syn::parse_file(source).expect("it is written as a file");
    Expand.visit_file_mut(&mut file);
    formatted(&file.into_token_stream().to_string())
}

struct Expand;

impl VisitMut for Expand {
    fn visit_item_mut(&mut self, item: &mut Item) {
        let expanded = match item {
            Item::Fn(function) => expand(&mut function.attrs.clone(), |attributes| {
                function.attrs = attributes;
                quote!(#function)
            }),
            _ => None,
        };
        match expanded {
            Some(expanded) => *item = Item::Verbatim(expanded),
            None => visit_item_mut(self, item),
        }
    }

    fn visit_impl_item_mut(&mut self, item: &mut ImplItem) {
        let expanded = match item {
            ImplItem::Fn(function) => expand(&mut function.attrs.clone(), |attributes| {
                function.attrs = attributes;
                quote!(#function)
            }),
            _ => None,
        };
        match expanded {
            Some(expanded) => *item = ImplItem::Verbatim(expanded),
            None => visit_impl_item_mut(self, item),
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Macro(call) if call.mac.path.is_ident("task") => {
                *expr = Expr::Verbatim(expand::task(call.mac.tokens.clone()));
            }
            _ => visit_expr_mut(self, expr),
        }
    }
}

/// Removes the attribute, and expands it with the rest of the item.
fn expand(
    attributes: &mut Vec<Attribute>,
    left: impl FnOnce(Vec<Attribute>) -> TokenStream,
) -> Option<TokenStream> {
    let at = attributes.iter().position(|attribute| {
        attribute.path().segments.first().is_some_and(|first| first.ident == "supervised")
    })?;
    let ours = attributes.remove(at);
    let arguments = match &ours.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let item = left(attributes.clone());
    let last = ours.path().segments.last().map(|segment| segment.ident.to_string());
    Some(match last.as_deref() {
        Some("main") => expand::main(arguments, item),
        Some("test") => expand::test(arguments, item, true),
        _ => expand::supervised(arguments, item),
    })
}

fn formatted(source: &str) -> String {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root().join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is a component of the toolchain");
    let mut stdin = rustfmt.stdin.take().expect("it is piped");
    stdin.write_all(source.as_bytes()).expect("rustfmt reads");
    drop(stdin);
    let output = rustfmt.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success(), "rustfmt understands: {source}");
    let formatted = String::from_utf8(output.stdout).expect("rustfmt writes text");
    formatted.lines().map(|line| as_comment(line) + "\n").collect()
}

/// Documentation as it is written by hand: tokens know it as attributes. Paragraphs stay one.
fn as_comment(line: &str) -> String {
    let indent = &line[..line.len() - line.trim_start().len()];
    let text = line
        .trim_start()
        .strip_prefix("#[doc = \"")
        .and_then(|rest| rest.strip_suffix("\"]"))
        .filter(|text| !text.contains('\\'));
    text.map_or_else(|| line.to_owned(), |text| format!("{indent}///{text}"))
}

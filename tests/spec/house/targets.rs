//! The published crates build for targets without atomics of 64 bits.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use super::sources;

/// Modules that name them and have a replacement for other targets.
const ALLOWED: [&str; 2] = ["src/sync.rs", "src/sync/atomic64.rs"];

#[test]
fn only_one_module_imports_64_bit_atomics() {
    let mut found = Vec::new();
    for source in sources::BOTH.into_iter().flat_map(sources::under) {
        let is_allowed = ALLOWED.iter().any(|allowed| source.path.ends_with(allowed));
        if !is_allowed && names_one(source.parsed.into_token_stream(), false) {
            found.push(source.path);
        }
    }
    assert!(found.is_empty(), "write `crate::sync::AtomicU64`: {found:#?}");
}

#[test]
fn each_way_to_name_one_is_found() {
    for source in [
        "use std::sync::atomic::AtomicU64;",
        "use std::sync::{Arc, atomic::{AtomicI64, Ordering}};",
        "use std::sync::{Arc, atomic::{Ordering, AtomicU64 as Number}};",
        "fn f() { mod m { static N: core::sync::atomic::AtomicU64 = todo!(); } }",
        "f!(atomic::AtomicI64);",
    ] {
        assert!(names_one(source.parse().expect("it is Rust"), false), "{source}");
    }
    for source in [
        "use crate::sync::{AtomicU64, atomic::{AtomicUsize, Ordering}}; struct Counter(AtomicU64);",
        "use crate::sync::atomic64::AtomicU64;",
        "use std::sync::atomic::AtomicUsize;",
    ] {
        assert!(!names_one(source.parse().expect("it is Rust"), false), "{source}");
    }
}

/// Whether one is named below a module `atomic`; `beneath` applies to the whole stream.
fn names_one(source: TokenStream, beneath: bool) -> bool {
    // The last name, as long as only colons follow it.
    let mut before = String::new();
    source.into_iter().any(|token| match token {
        TokenTree::Group(group) => {
            let beneath = before == "atomic";
            before.clear();
            names_one(group.stream(), beneath)
        }
        TokenTree::Ident(name) => {
            let last = std::mem::replace(&mut before, name.to_string());
            let is_beneath = last == "atomic" || (beneath && last.is_empty());
            is_beneath && matches!(before.as_str(), "AtomicU64" | "AtomicI64")
        }
        TokenTree::Punct(colon) if colon.as_char() == ':' => false,
        TokenTree::Punct(_) | TokenTree::Literal(_) => {
            before.clear();
            false
        }
    })
}

//! The messages of the compiler, clippy and rustdoc for supervised functions, and the expansion of foreign code.

#![allow(clippy::unwrap_used)]

// The macros as ordinary functions: a crate of macros exports nothing else.
#[path = "../../macros/src/args/mod.rs"]
mod args;
#[path = "../../macros/src/check/mod.rs"]
mod check;
#[path = "../../macros/src/diagnostics.rs"]
mod diagnostics;
#[path = "../../macros/src/emit/mod.rs"]
mod emit;
#[path = "../../macros/src/expand/mod.rs"]
mod expand;
#[path = "../../macros/src/header.rs"]
mod header;
#[path = "../../macros/src/item/mod.rs"]
mod item;
#[path = "../../macros/src/output.rs"]
mod output;
#[path = "../../macros/src/syntax.rs"]
mod syntax;
#[path = "../../macros/src/testing"]
mod testing {
    pub(crate) mod refusals;
}

mod abort;
mod clippy;
mod compile_cost;
mod cookbook;
mod corpus;
mod rustdoc;
mod test_builds;
mod ui;

//! Arbitrary strings as durations, ranges and rates. A second parser must accept the same strings, with the same values.

#![no_main]

// The macros as ordinary functions: a crate of macros exports nothing else.
#[path = "../../src/args/mod.rs"]
mod args;
#[path = "../../src/check/mod.rs"]
mod check;
#[path = "../../src/diagnostics.rs"]
mod diagnostics;
#[path = "../../src/emit/mod.rs"]
mod emit;
#[path = "../../src/expand/mod.rs"]
mod expand;
#[path = "../../src/header.rs"]
mod header;
#[path = "../../src/item/mod.rs"]
mod item;
#[path = "../../src/output.rs"]
mod output;
#[path = "../../src/syntax.rs"]
mod syntax;
#[path = "../../src/testing"]
mod testing {
    pub(crate) mod refusals;
    pub(crate) mod value_oracle;
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| testing::value_oracle::check(text));

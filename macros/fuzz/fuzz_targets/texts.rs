//! Arbitrary texts as durations, ranges of them and rates: each is taken as a second reader takes it, or refused once.

#![no_main]

// The macros as ordinary functions: a crate of macros exports nothing else.
#[path = "../../src/arguments.rs"]
mod arguments;
#[path = "../../src/depth/mod.rs"]
mod depth;
#[path = "../../src/diagnostics.rs"]
mod diagnostics;
#[path = "../../src/entry/mod.rs"]
mod entry;
#[path = "../../src/function/mod.rs"]
mod function;
#[path = "../../src/output.rs"]
mod output;
#[path = "../../src/texts.rs"]
mod texts;
#[path = "../../src/told.rs"]
mod told;
#[path = "../../src/values.rs"]
mod values;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| texts::check(text));

//! Arbitrary strings as durations, ranges and rates. A second parser must accept the same strings, with the same values.

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
#[path = "../../src/testing"]
mod testing {
    pub(crate) mod refusals;
    pub(crate) mod value_oracle;
}
#[path = "../../src/values.rs"]
mod values;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| testing::value_oracle::check(text));

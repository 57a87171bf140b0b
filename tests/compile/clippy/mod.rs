//! Clippy reports nothing about generated code, the same about the author's code as without the attribute, and the
//! entries of `clippy.toml` in plain code.

mod before;
mod entries;
mod pairs;
mod run;
mod silence;

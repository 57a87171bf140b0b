//! What clippy says: of generated code nothing, of code under no attribute what `clippy.toml` ships.

mod before;
mod entries;
mod run;
mod silence;

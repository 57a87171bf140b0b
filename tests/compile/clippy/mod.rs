//! What clippy says: of generated code nothing, of the author's what it says without the attribute, of code under
//! no attribute what `clippy.toml` ships.

mod before;
mod entries;
mod pairs;
mod run;
mod silence;

//! The arguments of the macros: parsed once into a typed model, which prints the tokens and the exit story.

pub(crate) mod allow;
pub(crate) mod defaults;
mod flavor;
pub(crate) mod lines;
pub(crate) mod list;
pub(crate) mod main;
pub(crate) mod restart;
mod story;
pub(crate) mod task;
pub(crate) mod test;
pub(crate) mod values;

//! Inputs and outputs of the macros that neither `tests/ui` nor the reviewed expansions cover.

#[cfg(test)]
mod entry;
#[cfg(test)]
mod function;
#[cfg(test)]
mod task;

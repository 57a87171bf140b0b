//! The input and output of each macro, if neither a case of `tests/ui` nor a reviewed expansion shows it.

#[cfg(test)]
mod entry;
#[cfg(test)]
mod function;
#[cfg(test)]
mod task;

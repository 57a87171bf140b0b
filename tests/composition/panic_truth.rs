//! Panics and errors are reported once, with their names and causes.

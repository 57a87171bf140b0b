//! `#[supervised::test]` and the leak check.

pub(crate) mod attempts;
pub(crate) mod driver;
pub(crate) mod leak_check;
pub(crate) mod leaks;
pub(crate) mod test;
pub(crate) mod threads;

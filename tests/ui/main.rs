//! What does not compile, and what the compiler says of it: one refusal a case.
//!
//! The snapshots are those of the toolchain that the repository names. After a change of a message,
//! `TRYBUILD=overwrite cargo test -p supervised-tests --test ui` writes them; read each.

#[test]
fn every_refusal_says_what_is_wrong_and_what_to_write() {
    trybuild::TestCases::new().compile_fail("ui/cases/*/*.rs");
}

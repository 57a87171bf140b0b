//! Fixtures are found, and their failures are seen.

use testkit::fixture::{child, child_passes};

#[test]
fn a_fixture_that_fails_fails_its_test() {
    assert!(!child("fixtures::fixture_fails").status.success());
}

#[test]
fn a_fixture_that_passes_is_found() {
    child_passes("fixtures::fixture_passes");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_fails() {
    panic!("it fails");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_passes() {}

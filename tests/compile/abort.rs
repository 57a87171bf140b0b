//! `panic = "abort"` disables the panic boundary. Building the crate under it fails unless the user accepts it
//! explicitly. A separate cargo with its own target directory checks the crate under such a profile.

use std::process::{Command, Output};

fn check_with_abort(features: &[&str]) -> Output {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/abort");
    Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--package", "tokio-supervised"])
        .args(["--lib", "--target-dir", folder, "--features", &features.join(",")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("CARGO_PROFILE_DEV_PANIC", "abort")
        .output()
        .unwrap()
}

#[test]
fn a_profile_that_aborts_is_refused_or_accepted_knowingly() {
    let refused = check_with_abort(&[]);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert_eq!(
        stderr.matches("error: ").count(),
        2,
        "one error, and that it does not compile: {stderr}"
    );
    assert!(
        stderr.contains("remove `panic = \"abort\"` from the profile in `Cargo.toml`"),
        "{stderr}"
    );

    let accepted = check_with_abort(&["panic-abort"]);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
}

//! Compiler messages for `#[supervised::test]` in a test build: other builds remove a test before its types are
//! checked.
//!
//! A separate package with its own target directory, since features apply to a whole build: here the crate is built
//! without `test-util`, and with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// One build at a time, since they share a target directory.
static FOLDER: Mutex<()> = Mutex::new(());

/// The compiler's messages for a file of tests; empty if there are none.
fn compiler_output(tests: &str, features: &str) -> String {
    let _alone = FOLDER.lock().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("test_builds");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"test_builds\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\ntokio-supervised = {{ path = {:?}, features = [{features}] }}\n",
        root.join("runtime")
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::write(folder.join("src/lib.rs"), tests).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--tests"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), !text.contains("error"), "{text}");
    text
}

/// The number of reported errors; the last line says that the build failed.
fn errors(output: &str) -> usize {
    output.lines().filter(|line| line.starts_with("error")).count() - 1
}

const PAUSED: &str = r#"
    #[tokio_supervised::supervised::test(start_paused = true)]
    async fn works() {}
"#;

#[test]
fn paused_time_without_its_feature_is_one_error_that_names_it() {
    let output = compiler_output(PAUSED, "");
    let lines = [
        "`start_paused` needs the feature `test-util`",
        "help: write `tokio-supervised = { features = [\"test-util\"] }` in the `[dev-dependencies]` of `Cargo.toml`",
    ];
    for line in lines {
        assert!(output.contains(line), "{output}");
    }
    assert_eq!(errors(&output), 1, "{output}");
    assert_eq!(compiler_output(PAUSED, "\"test-util\""), "");
}

#[test]
fn an_unsupported_test_result_is_reported_at_its_type() {
    let output = compiler_output(
        "#[tokio_supervised::supervised::test]\nasync fn works() -> u32 {\n    1\n}\n",
        "\"test-util\"",
    );
    assert!(output.contains("the trait bound `u32: Termination` is not satisfied"), "{output}");
    assert!(output.contains("src/lib.rs:2:21"), "{output}");
    assert_eq!(errors(&output), 1, "{output}");
}

#[test]
fn a_first_parameter_that_is_no_token_is_reported_there() {
    let output = compiler_output(
        "#[tokio_supervised::supervised::test]\nasync fn works(case: u32) {\n    drop(case);\n}\n",
        "\"test-util\"",
    );
    assert!(output.contains("expected `u32`, found `CancellationToken`"), "{output}");
    assert!(output.contains("src/lib.rs:2:22"), "{output}");
    assert_eq!(errors(&output), 1, "{output}");
}

#[test]
fn a_test_in_a_module_of_tests_builds_without_a_warning() {
    let tests = "
        #[cfg(test)]
        mod tests {
            use tokio_supervised::{CancellationToken, supervised};

            #[supervised::test]
            async fn works() {}

            #[supervised::test]
            async fn works_with_a_token(token: CancellationToken) -> Result<(), String> {
                token.cancel();
                Ok(())
            }
        }
    ";
    assert_eq!(compiler_output(tests, ""), "");
}

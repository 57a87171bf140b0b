//! `promtool` checks the page and the rules.

use std::{
    ffi::OsStr,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use tokio_supervised::{CancellationToken, prometheus, supervised};

use crate::{run, tool};

/// Runs it with `input` on its standard input. It reads files and ends by itself.
fn promtool(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: String,
) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::spawn(move || stdin.write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_page() {
    #[supervised(name = "promtool: \"page\"\\\n{}", limit = 1)]
    async fn page() {}

    let program = testkit::tools::find(&["promtool"]);
    run(page(&CancellationToken::new()));
    let said = promtool(&program, ["check", "metrics"], prometheus::text());
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    let wrong = promtool(&program, ["check", "metrics"], "a{b=\"\n\"} 1\n".into());
    assert!(!wrong.status.success(), "it detects errors: {wrong:?}");
}

#[test]
#[ignore = "needs promtool"]
fn the_alert_rules_are_valid_and_fire() {
    let program = testkit::tools::find(&["promtool"]);
    let check = ["check".into(), "rules".into(), tool::rules("rules.yml").into_os_string()];
    let said = promtool(&program, &check, String::new());
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    let test = ["test".into(), "rules".into(), tool::rules("rules_test.yml").into_os_string()];
    let said = promtool(&program, &test, String::new());
    assert!(said.status.success(), "{said:?}");
}

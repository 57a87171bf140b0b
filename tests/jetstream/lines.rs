//! The command line.

use std::process::Command;

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in
        [&["work", "--slots", "0"], &["work", "--ack-wait-ms", "1"], &["work", "--database", "it"]]
    {
        let ended = Command::new(env!("CARGO_BIN_EXE_jetstream")).args(wrong).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(String::from_utf8(ended.stderr).unwrap().contains(wrong[1]));
    }
}

#[test]
fn help_lists_the_storage_and_the_exit_codes() {
    let ended = Command::new(env!("CARGO_BIN_EXE_jetstream")).arg("--help").output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let help = String::from_utf8(ended.stdout).unwrap();
    for said in
        ["stream ORDERS_DEAD", "table prices", "  0  every order", "  1  the outcome", "  2  the"]
    {
        assert!(help.contains(said), "no `{said}`: {help}");
    }
}

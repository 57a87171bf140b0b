//! SIGINT in the middle.

use std::{fs, os::unix::process::ExitStatusExt};

use super::program::Program;
use super::server::{LIMIT, Server, page};

/// The requests after the finished pages never end: once they fill the limit, those pages have ended.
const ENDING: usize = 20;
const ALL: usize = 50;

#[tokio::test]
async fn an_interrupt_keeps_the_finished_pages_and_counts_them() {
    let server = Server::start().await;
    let place = tempfile::tempdir().unwrap();
    let path = |n: usize| match n {
        0..ENDING => format!("page/{n}"),
        _ if n % 2 == 0 => "silent".to_owned(),
        _ => "half".to_owned(),
    };
    let urls: String = (0..ALL).map(|n| server.url(&path(n)) + "\n").collect();
    fs::write(place.path().join("urls.txt"), urls).unwrap();

    let program = Program::start_in(place.path(), ["--out", "kept", "urls.txt"], "");
    server.holds(LIMIT).await;
    program.interrupt();
    let ended = program.end().await;

    assert_eq!(ended.status.signal(), Some(2), "{ended:#?}");
    // It ended before any page reached its timeout.
    assert_eq!(ended.counts(), [ENDING, 0, 0, 0, LIMIT], "{ended:#?}");
    let said = "Interrupted: 20 of 50 pages finished, 16 were cancelled, 14 had not started.";
    assert!(ended.stderr.lines().any(|line| line == said), "{ended:#?}");
    let kept = place.path().join("kept");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), ENDING, "no half file");
    for n in 0..ENDING {
        let name = server.file_name(n + 1, &path(n));
        assert!(fs::read(kept.join(&name)).unwrap() == page(n), "{name} differs");
    }
}

#[tokio::test]
async fn an_interrupt_ends_the_demo_by_the_signal_too() {
    let mut program = Program::start([""; 0]);
    program.says("No URLs").await;
    program.interrupt();
    let ended = program.end().await;
    assert_eq!(ended.status.signal(), Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("Interrupted: "), "{ended:#?}");
}

//! The demo, as run by a user who has no list and no network.

use std::time::{Duration, Instant};

use super::program::Program;

#[tokio::test]
async fn the_demo_shows_every_end_and_succeeds() {
    // The first test builds the program, which is not part of the demo.
    Program::start(["--help"]).end().await;

    let started = Instant::now();
    let ended = Program::start([""; 0]).end().await;

    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let counts = ended.counts();
    assert!(counts.into_iter().all(|pages| pages > 0), "{ended:#?}");
    assert_eq!(counts.into_iter().sum::<usize>(), 60);
    assert!(ended.stderr.starts_with("No URLs: fetching 60 pages"), "{ended:#?}");
    for head in ["p50", "p99"] {
        assert!(ended.column(head).ends_with("ms"), "{ended:#?}");
    }
    assert!(ended.column("bytes").parse::<u64>().unwrap() > 100_000, "{ended:#?}");
}

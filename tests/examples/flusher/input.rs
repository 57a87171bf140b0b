//! The end of the input.

use std::fs;

use super::program::{Counts, Flusher};

#[test]
fn at_the_end_of_the_input_every_line_is_on_the_disk() {
    let fed: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
    for every in ["1ms", "60m"] {
        let flusher = Flusher::new();
        let mut program = flusher.start(["--every", every]);
        // More than the buffer holds: without a tick, a full buffer is flushed.
        program.feed(&fed);
        let ended = program.close_stdin().end();

        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let counts = flusher.has_what_was_read(&fed, &ended);
        assert_eq!(
            counts,
            Counts { read: 100_000, written: 100_000, panicked: 0, failed: 0, restarts: 0 }
        );
    }
}

#[test]
fn a_last_line_without_its_end_is_a_line_and_bytes_are_bytes() {
    let flusher = Flusher::new();
    fs::write(flusher.path(), "there before, torn").unwrap();
    let mut program = flusher.start([]);
    program.feed("\nä\0\n no end");
    let ended = program.close_stdin().end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(flusher.output(), "there before, torn\n\nä\0\n no end\n");
    assert_eq!(Counts::of(&ended).read, 3);
}

//! Each outcome is counted in its column.

use std::fs;

use super::program::Program;
use super::server::{Server, page};

#[tokio::test]
async fn every_end_is_counted_in_its_column_and_named() {
    let server = Server::start().await;
    let place = tempfile::tempdir().unwrap();
    let paths = ["silent", "failing", "cut", "bad-title", "page/7", "nowhere"];
    let mut arguments = vec!["--out".to_owned(), "kept".to_owned()];
    arguments.extend(paths.map(|path| server.url(path)));

    let ended = Program::start_in(place.path(), arguments, "").end().await;

    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert_eq!(ended.counts(), [1, 3, 1, 1, 0], "{ended:#?}");
    assert_eq!(ended.column("bytes"), page(7).len().to_string());
    let reasons = [
        ("silent", "task `fetch` timed out after 5s"),
        ("failing", "500 Internal Server Error"),
        ("cut", "connection closed"),
        ("bad-title", "task `fetch` panicked at "),
        ("nowhere", "404 Not Found"),
    ];
    for (path, reason) in reasons {
        let prefix = format!("{}: ", server.url(path));
        let line = ended.stderr.lines().find(|line| line.starts_with(&prefix));
        assert!(line.is_some_and(|line| line.contains(reason)), "{path}: {ended:#?}");
    }
    let kept = fs::read_dir(place.path().join("kept")).unwrap();
    let names: Vec<_> = kept.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, [server.file_name(5, "page/7")]);
}

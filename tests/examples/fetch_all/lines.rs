//! The sources of the URLs, and the reports about invalid lines.

use std::{fs, path::Path};

use super::program::Program;
use super::server::Server;

#[tokio::test]
async fn bad_lines_are_named_and_the_good_ones_are_fetched() {
    let server = Server::start().await;
    let place = tempfile::tempdir().unwrap();
    let good = [server.url("page/1"), server.url("page/2")];
    let lines = [
        b"# two good lines, and the rest".as_slice(),
        good[0].as_bytes(),
        b"http://",
        b"example.com",
        b"",
        b"ftp://127.0.0.1/page",
        b"https://127.0.0.1/page",
        b"http://127.0.0.1/\xff",
        good[1].as_bytes(),
    ];
    fs::write(place.path().join("urls.txt"), lines.join(b"\n".as_slice())).unwrap();

    let ended = Program::start_in(place.path(), ["urls.txt"], "").end().await;

    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert_eq!(ended.counts(), [2, 0, 0, 0, 0], "{ended:#?}");
    let said: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(
        said,
        [
            "urls.txt:3: `http://` is no URL: empty host",
            "urls.txt:4: `example.com` is no URL: relative URL without a base",
            "urls.txt:6: `ftp://127.0.0.1/page` is no web page: the scheme is `ftp`, not `http`",
            "urls.txt:7: `https://127.0.0.1/page` needs TLS, which this program is built without",
            "urls.txt:8: not UTF-8",
        ]
    );
}

#[tokio::test]
async fn a_missing_file_only_changes_the_exit_code() {
    let server = Server::start().await;
    let place = tempfile::tempdir().unwrap();
    let arguments = ["missing.txt".to_owned(), server.url("page/1"), "ftp://x".to_owned()];

    let ended = Program::start_in(place.path(), arguments, "").end().await;

    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert_eq!(ended.counts(), [1, 0, 0, 0, 0]);
    assert!(ended.stderr.contains("missing.txt: cannot be read: No such file"), "{ended:#?}");
    assert!(ended.stderr.contains("argument 3: `ftp://x`"), "{ended:#?}");
}

#[tokio::test]
async fn standard_input_may_have_comments_and_windows_line_ends() {
    let server = Server::start().await;
    let (first, second) = (server.url("page/1"), server.url("page/2#a-fragment"));
    let lines = format!("# a list\r\n\r\n  {first}  # the first\r\n\t# {first}\n{second}");

    let ended = Program::start_in(Path::new("."), ["-"], &lines).end().await;

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.counts(), [2, 0, 0, 0, 0]);
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn a_wrong_command_line_exits_with_two() {
    let ended = Program::start(["--outt", "kept"]).end().await;
    assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("--out"), "{ended:#?}");
}

#[tokio::test]
async fn help_lists_the_exit_codes() {
    let ended = Program::start(["--help"]).end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["  0  every page", "  1  some page", "  2  the command", "130"] {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}

//! Many pages, byte for byte, at most 16 at once.

use std::fs;

use super::program::Program;
use super::server::{LIMIT, Server, page};

const PAGES: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_pages_arrive_byte_for_byte_sixteen_at_once() {
    assert_eq!(PAGES % LIMIT, 0, "the last batch is complete");
    let server = Server::start().await;
    let place = tempfile::tempdir().unwrap();
    let urls: String = (0..PAGES).map(|n| server.url(&format!("batch/{n}\n"))).collect();
    fs::write(place.path().join("urls.txt"), urls).unwrap();

    let ended = Program::start_in(place.path(), ["--out", "kept", "urls.txt"], "").end().await;

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.counts(), [PAGES, 0, 0, 0, 0]);
    let bytes: usize = (0..PAGES).map(|n| page(n).len()).sum();
    assert_eq!(ended.column("bytes"), bytes.to_string());
    let kept = place.path().join("kept");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), PAGES);
    for n in 0..PAGES {
        let name = server.file_name(n + 1, &format!("batch/{n}"));
        assert!(fs::read(kept.join(&name)).unwrap() == page(n), "{name} differs");
    }
    let requests = server.requests();
    assert_eq!((requests.arrived, requests.peak), (PAGES, LIMIT));
}

#[tokio::test]
async fn no_url_writes_outside_the_directory() {
    let server = Server::start().await;
    let place = tempfile::tempdir().unwrap();
    let urls = ["page/1?../../../x", "page/2?%2e%2e%2f..", "page/3?a\\..\\b"];
    let mut arguments = vec!["--out".to_owned(), "kept".to_owned()];
    arguments.extend(urls.map(|path| server.url(path)));

    let ended = Program::start_in(place.path(), arguments, "").end().await;

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    let kept = fs::read_dir(place.path().join("kept")).unwrap();
    let mut pages: Vec<_> = kept.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    pages.sort();
    assert_eq!(pages, [page(1), page(2), page(3)]);
}

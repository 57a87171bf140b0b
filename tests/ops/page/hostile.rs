//! Names and messages of a process are shown as text, and soon.

use std::time::Duration;

use serde_json::json;
use tokio_supervised::{CancellationToken, Pool, TaskError, ops, supervised, task};

use crate::browser::Browser;

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'</td>";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn hostile_names_and_messages_are_shown_as_text() {
    let address = ops::listen(0).unwrap();
    let pool = Pool::new(2);
    pool.spawn(task!("<img src=x onerror=alert(1)>\"'</td>", |_| -> Result<(), TaskError> {
        std::future::pending().await
    }))
    .await
    .unwrap();
    pool.spawn(task!("<script>alert(2)</script>", |_| -> Result<(), TaskError> {
        panic!("<script>alert(3)</script>\n<b>bold</b>")
    }))
    .await
    .unwrap();

    let check = move || {
        let mut browser = Browser::open(&format!("http://{address}/debug/tasks"));
        let hostile = json!(HOSTILE);
        browser.until(&format!("document.querySelector('#tasks').innerText.includes({hostile})"));
        browser
            .until(&format!("document.querySelector('#functions').innerText.includes({hostile})"));
        let panics = "document.querySelector('#panics')";
        browser.until(&format!("{panics}.innerText.includes('<script>alert(3)</script>')"));
        browser.value("document.querySelectorAll('details').forEach((each) => (each.open = true))");
        browser.until(&format!("{panics}.innerText.includes('<b>bold</b>')"));
        assert_eq!(
            browser.value("document.querySelectorAll('img, b, script').length"),
            1,
            "the page's own script"
        );
        assert_eq!(browser.complaints(), [0; 0]);

        // Inline script would not run even if it were not escaped; the violation would be reported.
        browser.value(&format!("document.body.insertAdjacentHTML('beforeend', {hostile})"));
        browser.until("document.querySelectorAll('img').length === 1");
        loop {
            let complaints = json!(browser.complaints()).to_string();
            if complaints.contains("Content Security Policy") {
                break;
            }
        }
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

#[supervised(name = "breaks")]
async fn breaks() -> Result<(), TaskError> {
    panic!("on demand")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn a_panic_is_on_the_page_within_a_second() {
    let address = ops::listen(0).unwrap();
    let check = move |runtime: tokio::runtime::Handle| {
        let mut browser = Browser::open(&format!("http://{address}/debug/tasks"));
        browser.until("document.querySelector('#state').innerText === 'live'");
        // The best of several: the machine may be busy.
        let all = "[...document.querySelectorAll('#panics details')] \
                   .filter((each) => each.innerText.includes('on demand')).length";
        let took = (1..=3).map(|panics| {
            #[expect(clippy::disallowed_methods, reason = "a separate thread asks")]
            runtime.block_on(breaks(&CancellationToken::new())).unwrap_err();
            browser.until(&format!("{all} === {panics}"))
        });
        let quickest = took.min().unwrap();
        assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || check(runtime)).await.unwrap();
}

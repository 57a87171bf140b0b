//! More functions than a snapshot lists: omitted ones are counted, and no rate is invented.

use serde_json::json;
use tokio_supervised::{CancellationToken, TaskError, ops, supervised};

use crate::browser::Browser;

#[supervised(name = "now and then")]
async fn now_and_then() -> Result<(), TaskError> {
    Ok(())
}

/// The page's result for two snapshots of another process: the function is omitted from the first. Both are given
/// at once, since those of this process keep arriving.
const LOOKS: &str = r##"
fetch(here, { headers: { accept: "application/json" } }).then((answer) => answer.json()).then((sent) => {
  const one = sent.functions.find((each) => each.name === "now and then");
  one.ended.ok = one.started = 1000000;
  const snapshot = { ...sent, pid: 1, functions_left_out: 1, totals: { waiting: 7, ended: { ok: 2000000 } } };
  show({ ...snapshot, functions: [], at_unix_seconds: 1000 });
  show({ ...snapshot, functions: [one], at_unix_seconds: 1005 });
  const row = [...document.querySelectorAll("#functions tbody tr")].find((row) => row.innerText.startsWith("now and then"));
  return {
    outcomes: row.querySelector(".outcomes").innerText,
    curve: row.querySelector(".curve").getAttribute("d"),
    ended: past.map((sample) => sample.ended),
    waiting: past.map((sample) => sample.waiting),
  };
})"##;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn a_function_that_was_omitted_has_no_rate_when_listed_again() {
    let address = ops::listen(0).unwrap();
    now_and_then(&CancellationToken::new()).await.unwrap();

    let check = move || {
        let mut browser = Browser::open(&format!("http://{address}/debug/tasks"));
        browser.until("past.length > 0");
        let shown = json!({
            "outcomes": "", "curve": "", "ended": [2_000_000, 2_000_000], "waiting": [7, 7],
        });
        assert_eq!(browser.value(LOOKS), shown);
        assert_eq!(browser.complaints(), [0; 0]);
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

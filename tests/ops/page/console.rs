//! The example `console`, as its page shows it.

use nix::sys::signal::Signal;

use crate::browser::{Browser, Size};
use testkit::program::Program;

struct Console {
    program: Program,
    browser: Browser,
    _directory: tempfile::TempDir,
}

impl Console {
    /// With its page open.
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut program = Program::example("console", directory.path(), ["--port", "0"]);
        let address = program.next_line();
        let mut browser = Browser::open(&address);
        browser.until("document.querySelectorAll('#tasks tbody tr').length > 20");
        Self { program, browser, _directory: directory }
    }
}

/// The text of the row whose first cell starts with a name.
fn row(table: &str, name: &str) -> String {
    format!(
        "([...document.querySelectorAll('{table} tbody tr')].find((row) => \
         row.cells[0].innerText.replace(/^[│├└\\s]+/, '').startsWith('{name}'))?.innerText ?? '')"
    )
}

#[test]
#[ignore = "needs chromium"]
fn the_page_shows_tree_limits_and_failures() {
    let Console { program: _running, mut browser, .. } = Console::open();
    for name in ["run", "gallery #", "resize #", "deliver #", "session #", "journal #"] {
        browser.until(&format!("{} !== ''", row("#tasks", name)));
    }
    browser.until(&format!("{}.includes('more session')", row("#tasks", "and 192")));
    browser.until(&format!("{}.includes('blocking for')", row("#tasks", "pack #")));
    browser.until(&format!("{}.includes('4 of 4, at its limit')", row("#functions", "resize")));
    for (name, outcome) in [
        ("deliver", "error"),
        ("parse", "panicked"),
        ("fetch", "timed out"),
        ("subscribe", "restarted"),
    ] {
        browser.until(&format!("{}.includes('{outcome} ')", row("#functions", name)));
    }
    assert_eq!(browser.complaints(), [0; 0]);
}

#[test]
#[ignore = "needs chromium"]
fn numbers_and_charts_are_updated() {
    let Console { program: _running, mut browser, .. } = Console::open();
    let curve = "document.querySelectorAll('figure .curve')[1].getAttribute('d')";
    browser.until(&format!("{curve} !== ''"));
    let before = browser.value(curve);
    browser.until(&format!("{curve} !== {before}"));
    let runs = "Number(document.querySelectorAll('figure strong')[1].innerText)";
    browser.until(&format!("{runs} > 50"));
    browser.until(&format!("/\\d+\\u00a0(ms|s)/.test({})", row("#functions", "deliver")));
    assert_eq!(browser.complaints(), [0; 0]);
}

#[test]
#[ignore = "needs chromium"]
fn a_task_that_blocks_its_worker_is_at_the_top_in_words() {
    let Console { program: _running, mut browser, .. } = Console::open();
    let title = "document.querySelector('#alarm-title').innerText";
    assert_eq!(browser.value("document.querySelector('main > section').id"), "alarm");
    browser.until(&format!(
        "{title} === '1 task blocks its worker: nothing else runs on that thread'"
    ));
    browser.until("document.querySelector('#blockers').innerText.includes('checksums #')");
    browser.until(&format!("{}.includes('blocks its worker')", row("#tasks", "checksums #")));
    browser.resize(Size { width: 1280, height: 1400 });
    browser.screenshot("console.png");
    browser.until(&format!("{title} === 'No task blocks its worker'"));
    browser.until("document.querySelector('#blockers').innerText.includes('or more, ')");
    assert_eq!(browser.complaints(), [0; 0]);
}

#[test]
#[ignore = "needs chromium"]
fn nothing_overflows_on_a_phone_in_dark_mode() {
    let Console { program: _running, mut browser, .. } = Console::open();
    browser.prefer_dark();
    let ground = browser.value("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(14, 17, 22)");
    browser.until("document.querySelectorAll('#panics details').length > 0");
    browser.value("document.querySelector('#panics details').open = true");
    browser.until("document.querySelector('#panics pre').innerText.includes('parse')");
    for width in [360, 600, 768, 901, 1024, 1280] {
        browser.resize(Size { width, height: 800 });
        browser.until(&format!("innerWidth === {width}"));
        let widest = "Math.max(...[...document.querySelectorAll('body *:not(pre)')] \
                      .map((each) => each.getBoundingClientRect().right))";
        let (page, widest) =
            (browser.value("document.documentElement.scrollWidth"), browser.value(widest));
        assert!(page.as_u64().unwrap() <= width.into(), "it scrolls sideways: {page} of {width}");
        assert!(widest.as_f64().unwrap() <= f64::from(width), "{widest} of {width}");
        if width == 360 {
            browser.screenshot("console-phone.png");
        }
    }
    assert_eq!(browser.complaints(), [0; 0]);
}

#[test]
#[ignore = "needs chromium"]
fn the_page_reports_the_stop_and_then_the_end_of_the_process() {
    let Console { mut program, mut browser, .. } = Console::open();
    program.signal(Signal::SIGINT);
    browser.until("!document.querySelector('#readiness').hidden");
    browser.until(&format!("{}.includes('stopping')", row("#tasks", "journal #")));
    assert_eq!(browser.complaints(), [0; 0]);
    browser.until("document.querySelector('#state').innerText.includes('connection lost')");
    browser.until(
        "/the data is \\d+\\u00a0s old/.test(document.querySelector('#data-age').innerText)",
    );
    assert!(program.close_stdin().end().status.success());
}

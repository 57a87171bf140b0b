//! A headless Chromium, driven through the DevTools protocol by two pipes: no port, no driver, and it ends with
//! the pipes.
//!
//! A message is JSON that ends with a zero byte: <https://chromedevtools.github.io/devtools-protocol/>.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything takes, however busy the machine.
const WATCHDOG: Duration = Duration::from_secs(45);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    /// Closing it ends the browser.
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: String,
    last_id: u64,
    complaints: Vec<Value>,
    _profile: TempDir,
}

/// Of the viewport.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Browser {
    /// Opens an address.
    pub(crate) fn open(address: &str) -> Self {
        let program = testkit::tools::find(&["chromium", "chromium-browser", "google-chrome"]);
        let profile = tempfile::tempdir().unwrap();
        // The browser's pipes are its descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1"#])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--no-first-run", "--no-sandbox"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take();
        let mut messages = BufReader::new(child.stdout.take().unwrap());
        let (sender, from) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while messages.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                // The receiver is gone if the test has ended first.
                _ = serde_json::from_slice(&message).map(|message| sender.send(message));
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            last_id: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", target);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Runtime", "Log", "Page"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(Size { width: 1280, height: 900 });
        browser.go(address);
        browser
    }

    pub(crate) fn go(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address }));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression; a promise is awaited.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let question = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let answer = self.call("Runtime.evaluate", question);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page, and returns how long that took.
    pub(crate) fn until(&mut self, expression: &str) -> Duration {
        let started = Instant::now();
        // Evaluates it again after each change; a page that is replaced drops the promise.
        let script = format!(
            "new Promise((found) => {{ \
               const look = () => ({expression}) ? found(true) : setTimeout(look, 20); \
               setTimeout(() => found(false), 30000); \
               look(); }})"
        );
        assert_eq!(self.value(&script), true, "the condition does not hold in time: {expression}");
        started.elapsed()
    }

    pub(crate) fn resize(&mut self, Size { width, height }: Size) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    pub(crate) fn prefer_dark(&mut self) {
        let dark = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": dark }));
    }

    /// Writes a screenshot to the directory for CI artefacts: `target/artifacts`.
    pub(crate) fn screenshot(&mut self, name: &str) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let picture = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        // `target/debug/deps/ops_page-…`, in any target directory.
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(3).unwrap().join(Path::new("artifacts"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), picture).unwrap();
    }

    /// The console messages so far that are problems: exceptions, errors, policy violations.
    pub(crate) fn complaints(&mut self) -> Vec<Value> {
        // Messages from before this answer have arrived before it.
        self.value("0");
        std::mem::take(&mut self.complaints)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let to = self.to.as_mut().unwrap();
        to.write_all(format!("{message}\0").as_bytes()).expect("the browser runs");
        loop {
            let message = self.from.recv_timeout(WATCHDOG);
            let mut message = message.unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.last_id {
                assert!(message.get("error").is_none(), "{method}: {message:#}");
                return message["result"].take();
            }
            if is_complaint(&message) {
                self.complaints.push(message["params"].take());
            }
        }
    }
}

fn is_complaint(message: &Value) -> bool {
    let parameters = &message["params"];
    match message["method"].as_str() {
        Some("Runtime.exceptionThrown") => true,
        Some("Runtime.consoleAPICalled") => parameters["type"] == "error",
        Some("Log.entryAdded") => parameters["entry"]["level"] == "error",
        _ => false,
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.to.take());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::yield_now();
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

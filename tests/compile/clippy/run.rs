//! One run of clippy over the given packages, and its messages.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

/// One message.
#[derive(Debug)]
pub(crate) struct Warning {
    /// The package that it concerns.
    pub(crate) package: String,
    /// The file, relative to the workspace root.
    pub(crate) file: String,
    pub(crate) message: String,
    pub(crate) notes: Vec<String>,
}

impl Warning {
    /// The item that the message calls disallowed, if it is of that kind.
    pub(crate) fn disallowed(&self) -> Option<&str> {
        self.message.strip_prefix("use of a disallowed method `")?.strip_suffix('`')
    }
}

/// The messages of clippy. It runs once for all tests and must finish every package.
pub(crate) fn warnings() -> &'static [Warning] {
    &run().warnings
}

/// The `tokio_supervised` that the packages were compiled with, and its dependencies.
pub(crate) fn library() -> &'static Path {
    &run().library
}

struct Run {
    warnings: Vec<Warning>,
    library: PathBuf,
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(start)
}

fn start() -> Run {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace");
    // A separate target directory: it neither waits for other builds nor makes them stale by the flag below.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clippy");
    let run = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["clippy", "--locked", "--offline", "--keep-going", "--message-format=json"])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .arg("--target-dir")
        .arg(target)
        .args(["--", "--force-warn", "clippy::disallowed_methods"])
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    let said = String::from_utf8(run.stdout).expect("cargo writes JSON");
    let messages: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is a message"))
        .collect();
    for package in PACKAGES {
        let checked = messages.iter().any(|message| {
            package_of(message).is_some_and(|of| of == *package)
                && (message["reason"] == "compiler-artifact"
                    || message["reason"] == "compiler-message")
        });
        assert!(checked, "{package}: {}", String::from_utf8_lossy(&run.stderr));
    }
    let files = messages
        .iter()
        .filter(|message| message["target"]["name"] == "tokio_supervised")
        .flat_map(|message| message["filenames"].as_array().into_iter().flatten());
    let library = files
        .filter_map(Value::as_str)
        .find(|file| file.ends_with(".rmeta"))
        .expect("the packages depend on it")
        .into();
    Run { warnings: messages.iter().filter_map(read).collect(), library }
}

pub(crate) const PACKAGES: &[&str] =
    &["supervised-plain-tokio", "supervised-edition-2021", "supervised-edition-2024"];

/// The name in `path+file:///…#name@0.0.0`, or in `path+file:///…/name#0.0.0`.
fn package_of(message: &Value) -> Option<&str> {
    let (path, version) = message["package_id"].as_str()?.split_once('#')?;
    Some(match version.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next()?,
    })
}

fn read(line: &Value) -> Option<Warning> {
    if line["reason"] != "compiler-message" {
        return None;
    }
    let message = &line["message"];
    // The last message of a package counts the others and has no location.
    let place = message["spans"].as_array()?.first()?;
    let texts = |value: &Value| value["message"].as_str().map(str::to_owned);
    Some(Warning {
        package: package_of(line)?.to_owned(),
        file: place["file_name"].as_str()?.to_owned(),
        message: texts(message)?,
        notes: message["children"].as_array()?.iter().filter_map(texts).collect(),
    })
}

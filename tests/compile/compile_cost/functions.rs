//! The contents of the crates: ordinary functions with a few parameters, awaits and kinds of results.

use std::fmt::Write as _;

use super::crates::Kind;

/// The functions that they call, in a crate that is built before. Every program calls `once`, so all of them
/// contain what the first function of a kind adds.
pub(crate) const SUPPORT: &str = r#"
use std::fmt;

use tokio_supervised::TaskError;

pub async fn pause(rounds: u64) {
    for _ in 0..rounds % 3 {
        tokio::task::yield_now().await;
    }
}

pub async fn look_up(id: u64, key: &str) -> anyhow::Result<u64> {
    pause(id).await;
    anyhow::ensure!(!key.is_empty(), "no key for {id}");
    Ok(id + key.len() as u64)
}

pub async fn read(name: &str) -> std::io::Result<Vec<u8>> {
    pause(name.len() as u64).await;
    Ok(name.as_bytes().to_vec())
}

#[derive(Debug)]
pub enum Failure {
    Task(TaskError),
    Io(std::io::Error),
    Empty,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failure {}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

pub async fn once() -> anyhow::Result<()> {
    supervised_once(&tokio_supervised::CancellationToken::new(), 1).await?;
    instrumented_once(1).await
}

#[tokio_supervised::supervised]
async fn supervised_once(id: u64) -> anyhow::Result<()> {
    look_up(id, "once").await.map(drop)
}

#[tracing::instrument]
async fn instrumented_once(id: u64) -> anyhow::Result<()> {
    look_up(id, "once").await.map(drop)
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
"#;

/// A function and its call: `N` is its number, `T` the token if there is one.
const SHAPES: [(&str, &str); 5] = [
    (
        "async fn total_N(id: u64, name: String, tags: Vec<String>) -> anyhow::Result<u64> {
        let mut total = N;
        for tag in &tags {
            total += look_up(id, tag).await?;
        }
        pause(total).await;
        anyhow::ensure!(total < 1_000_000, \"{name} has too much\");
        Ok(total)
    }",
        "total_N(T seed, format!(\"name {seed}\"), vec![\"tag\".to_owned(); 2]).await?;",
    ),
    (
        "async fn page_N(name: String, most: usize, retries: u32) -> Result<String, Failure> {
        let mut bytes = read(&name).await?;
        for _ in 0..retries {
            bytes.extend(read(&name).await?);
        }
        bytes.truncate(most + N);
        if bytes.is_empty() {
            return Err(Failure::Empty);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }",
        "page_N(T format!(\"page {seed}\"), 100, 2).await?;",
    ),
    (
        "async fn beat_N(id: u64, name: String, times: Option<u64>) {
        for at in 0..times.unwrap_or(N) {
            pause(at).await;
            if look_up(id, &name).await.is_err() {
                return;
            }
        }
    }",
        "beat_N(T seed, format!(\"beat {seed}\"), Some(2)).await;",
    ),
    (
        "async fn bytes_N(name: String, offset: usize, length: usize) -> std::io::Result<Vec<u8>> {
        let bytes = read(&name).await?;
        pause(offset as u64).await;
        let part = bytes.get(offset..).unwrap_or_default();
        Ok(part.iter().take(length).map(|byte| byte.wrapping_add((length + N) as u8)).collect())
    }",
        "bytes_N(T format!(\"bytes {seed}\"), 1, 20).await?;",
    ),
    (
        "async fn pair_N(id: u64, left: String, right: String, swap: bool) -> anyhow::Result<(u64, String)> {
        let first = look_up(id, &left).await?;
        let second = look_up(id + N, &right).await?;
        let bytes = read(if swap { &left } else { &right }).await?;
        Ok((first + second, String::from_utf8(bytes)?))
    }",
        "pair_N(T seed, \"left\".to_owned(), \"right\".to_owned(), seed > 7).await?;",
    ),
];

/// How many functions one task calls.
const IN_A_MODULE: usize = 10;

/// Modules of a few functions, each run as a task.
pub(crate) fn program(kind: &Kind, functions: usize) -> String {
    let (parameter, token) = if kind.takes_token {
        ("token: tokio_supervised::CancellationToken, ", "&token,")
    } else {
        ("", "")
    };
    let numbers: Vec<usize> = (0..functions).collect();
    let mut program = String::new();
    let mut tasks = String::new();
    for (module, numbers) in numbers.chunks(IN_A_MODULE).enumerate() {
        let (mut written, mut calls) = (String::new(), String::new());
        for number in numbers {
            let (function, call) = SHAPES[number % SHAPES.len()];
            let numbered = |text: &str| text.replace('N', &number.to_string());
            _ = write!(written, "\n    {}\n    {}\n", kind.attribute, numbered(function));
            _ = write!(calls, "\n        {}", numbered(call).replace("T ", token));
        }
        _ = write!(
            program,
            "mod module_{module} {{\n    \
             #[allow(unused_imports)]\n    use support::{{Failure, look_up, pause, read}};\n{written}\n    \
             pub(super) async fn run({parameter}seed: u64) -> anyhow::Result<()> {{{calls}\n        \
             Ok(())\n    }}\n}}\n\n"
        );
        let token = if kind.takes_token { "token.clone(), " } else { "" };
        _ = writeln!(tasks, "    tokio::spawn(module_{module}::run({token}seed)).await??;");
    }
    let token = if kind.takes_token {
        "    let token = tokio_supervised::CancellationToken::new();\n"
    } else {
        ""
    };
    program
        + &format!(
            "#[tokio::main]\nasync fn main() -> anyhow::Result<()> {{\n{token}    \
             let seed = std::env::args().count() as u64;\n    support::once().await?;\n{tasks}    Ok(())\n}}\n"
        )
}

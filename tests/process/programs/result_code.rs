//! A main that returns an exit code or fails.

use std::process::ExitCode;

use super::common::wanted;
use tokio_supervised::{CancellationToken, TaskError, supervised};

#[derive(Debug)]
#[allow(dead_code, reason = "only its `Debug` is printed")]
struct Bad {
    reason: &'static str,
}

impl From<TaskError> for Bad {
    fn from(_: TaskError) -> Self {
        Self { reason: "a task" }
    }
}

// The token is borrowed; only the exit code matters here.
#[supervised::main(allow(unused_token))]
pub(crate) async fn main(_token: &CancellationToken) -> Result<ExitCode, Bad> {
    match wanted().as_str() {
        "nine" => Ok(ExitCode::from(9)),
        _ => Err(Bad { reason: "no such code" }),
    }
}

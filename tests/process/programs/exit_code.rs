//! A main that returns its exit code.

use std::process::ExitCode;

use tokio_supervised::supervised;

#[supervised::main]
pub(crate) async fn main() -> ExitCode {
    tokio::task::yield_now().await;
    ExitCode::from(7)
}

//! Two mains in one process, one after the other; the grace of the second is practically unlimited.

use std::{process::ExitCode, time::Duration};

use super::common::{say, wanted};
use tokio_supervised::{CancellationToken, supervised};

#[supervised::main(grace = "1s")]
async fn first() {
    tokio::task::yield_now().await;
}

#[supervised::main(grace = Duration::MAX)]
async fn second(token: CancellationToken) -> ExitCode {
    say("READY");
    token.cancelled().await;
    say("CANCELLED");
    if wanted() == "obeys late" {
        // Longer than the first main would wait.
        tokio::time::sleep(Duration::from_secs(4)).await;
        ExitCode::from(5)
    } else {
        std::future::pending().await
    }
}

pub(crate) fn main() -> ExitCode {
    first();
    second()
}

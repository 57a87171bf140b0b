//! A main whose only thread its body can block.

#![expect(clippy::disallowed_methods, reason = "the program leaves detached tasks on purpose")]

use std::{future::pending, io::Read};

use super::common::{block, say, wanted};
use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
async fn never() -> Result<(), TaskError> {
    pending().await
}

struct BlocksAtDrop;

impl Drop for BlocksAtDrop {
    fn drop(&mut self) {
        block()
    }
}

// One of the tests needs a detached task.
#[supervised::main(flavor = "current_thread", grace = "20s", allow(detached_spawn))]
pub(crate) async fn main(token: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
    match wanted().as_str() {
        "parks" => {
            let seen = token.clone();
            std::thread::spawn(move || {
                while !seen.is_cancelled() {
                    std::thread::yield_now();
                }
                say("CANCELLED");
            });
            say("READY");
            block()
        }
        "reads" => {
            say("READY");
            std::io::stdin().read_exact(&mut [0])?;
            Ok(())
        }
        "cancelled" => {
            say("READY");
            Ok(never(&token).await?)
        }
        "leaves a task whose drop blocks" => {
            let (began, has_started) = tokio::sync::oneshot::channel();
            tokio::spawn(async {
                let _blocks = BlocksAtDrop;
                _ = began.send(());
                pending::<()>().await;
            });
            has_started.await?;
            say("READY");
            Ok(())
        }
        other => Err(format!("no such body: {other}").into()),
    }
}

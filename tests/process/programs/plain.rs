//! A main without a token and without a result.

use std::{future::pending, io::Read};

use super::common::{PrintsAtDrop, say, wanted};
use tokio_supervised::supervised;

#[supervised::main(grace = "20s")]
pub(crate) async fn main() {
    match wanted().as_str() {
        "returns" => {}
        "panics" => panic!("the body is broken"),
        "waits" => {
            let _guard = PrintsAtDrop;
            say("READY");
            pending().await
        }
        "waits between two" => {
            let _guard = PrintsAtDrop;
            say("READY");
            loop {
                tokio::task::yield_now().await;
            }
        }
        "blocks before its first await" => {
            let _guard = PrintsAtDrop;
            say("READY");
            _ = std::io::stdin().read(&mut [0]);
            say("UNBLOCKED");
            pending().await
        }
        #[cfg(unix)]
        "waits in a section" => {
            use tokio::signal::unix::{SignalKind, signal};
            let _guard = PrintsAtDrop;
            let mut terminate =
                signal(SignalKind::terminate()).expect("the subscriber is installed");
            tokio_supervised::shield(std::time::Duration::from_secs(3600), |_| async {
                say("READY");
                terminate.recv().await;
                say("HEARD");
                let closed = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
                _ = closed.await;
                say("COMMITTED");
            })
            .await;
            pending().await
        }
        "panics when dropped" => {
            struct Broken;
            impl Drop for Broken {
                fn drop(&mut self) {
                    panic!("the drop is broken");
                }
            }
            let _broken = Broken;
            say("READY");
            pending().await
        }
        other => panic!("no such body: {other}"),
    }
}

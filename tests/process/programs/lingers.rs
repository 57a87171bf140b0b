//! A main that lingers after the signal.

use super::common::{say, wanted};
use tokio_supervised::{CancellationToken, supervised};

#[supervised::main(grace = "3s", linger = "2s")]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    say("READY");
    token.cancelled().await;
    say("CANCELLED");
    match wanted().as_str() {
        "obeys" => Ok(()),
        _ => std::future::pending().await,
    }
}

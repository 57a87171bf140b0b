use std::time::Duration;

use tokio_supervised::supervised;

fn grace() -> Duration {
    Duration::from_secs(1)
}

#[supervised::main(grace = grace())]
async fn main() {}

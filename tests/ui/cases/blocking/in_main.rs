use std::time::Duration;
use tokio_supervised::supervised;

#[supervised::main]
async fn main() {
    std::thread::sleep(Duration::from_secs(1));
}

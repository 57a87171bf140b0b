use std::io;

use tokio_supervised::supervised;

fn is_transient(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

#[supervised(restart = "on-failure", restart_if = is_transient)]
async fn work() -> io::Result<()> {
    Ok(())
}

fn main() {}

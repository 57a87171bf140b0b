use tokio::runtime::Handle;
use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Handle::current().spawn(async {});
    Handle::spawn(&Handle::current(), async {});
    Ok(())
}

fn main() {}

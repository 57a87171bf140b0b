use tokio::runtime::Handle;
use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    Handle::block_on(&Handle::current(), async {});
    Ok(())
}

fn main() {}

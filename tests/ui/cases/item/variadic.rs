use tokio_supervised::{supervised, TaskError};

#[supervised]
async unsafe extern "C" fn work(first: i32, _: ...) -> Result<(), TaskError> {
    let _ = first;
    Ok(())
}

fn main() {}

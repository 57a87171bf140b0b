use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    loop {
        loop {
            std::hint::spin_loop();
        }
    }
}

fn main() {}

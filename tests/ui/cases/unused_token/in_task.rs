use tokio_supervised::{TaskError, task};

fn main() {
    drop(task!("work", |token| -> Result<(), TaskError> { std::future::pending().await }));
}

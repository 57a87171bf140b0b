use tokio_supervised::{TaskError, task};

fn main() {
    drop(task!("work", |_| -> Result<(), TaskError> { loop {} }));
}

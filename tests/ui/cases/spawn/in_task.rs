use tokio_supervised::{TaskError, task};

fn main() {
    drop(task!("work", |_| async {
        tokio::spawn(async {});
        Ok::<_, TaskError>(())
    }));
}

use tokio_supervised::{task, CancellationToken, Group, TaskError};

async fn f(token: &CancellationToken) {
    let group = Group::<(), TaskError>::new(token);
    group.spawn(task!("http", |token: &CancellationToken| -> Result<(), TaskError> { Ok(token.cancelled().await) })).await;
}

fn main() {}

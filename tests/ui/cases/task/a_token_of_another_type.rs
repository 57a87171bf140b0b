use tokio_supervised::{task, CancellationToken, Group, TaskError};

async fn f(token: &CancellationToken) {
    let group = Group::<(), TaskError>::new(token);
    group.spawn(task!("http", |token: u32| -> Result<(), TaskError> { Ok(drop(token)) })).await;
}

fn main() {}

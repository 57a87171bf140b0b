use tokio_supervised::{task, CancellationToken, Group, TaskError};

async fn f(token: &CancellationToken) {
    let group = Group::<(), TaskError>::new(token);
    group.spawn(task!("first", async move { Ok(()) })).await;
    group.spawn(task!("second", limit = 4, async { Ok(()) })).await;
}

fn main() {}

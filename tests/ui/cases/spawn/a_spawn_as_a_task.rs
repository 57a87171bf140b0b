use tokio_supervised::{CancellationToken, Group, TaskError, task};

async fn run() -> Result<Vec<()>, TaskError> {
    let group = Group::new(&CancellationToken::new());
    group.spawn(task!("work", |_| tokio::spawn(async {}))).await;
    group.join().await
}

fn main() {
    drop(run());
}

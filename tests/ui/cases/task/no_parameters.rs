use tokio_supervised::{Group, TaskError, task};

async fn run(group: &Group<(), TaskError>) {
    group.spawn(task!("http", || std::future::ready(Ok(())))).await;
}

fn main() {
    let _ = run;
}

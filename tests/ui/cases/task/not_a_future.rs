use tokio_supervised::{Group, TaskError, task};

async fn run(group: &Group<(), TaskError>) {
    group.spawn(task!("http", |_| 5)).await;
}

fn main() {
    let _ = run;
}

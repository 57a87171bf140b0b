use tokio_supervised::{Group, TaskError, task};

async fn run(group: &Group<(), TaskError>) {
    group.spawn(task!("http", |_| std::future::ready(Ok(())), limit = 4)).await;
}

fn main() {
    let _ = run;
}

use tokio_supervised::{Group, TaskError, task};

async fn run(group: &Group<(), TaskError>) {
    group.spawn(task!()).await;
}

fn main() {
    let _ = run;
}

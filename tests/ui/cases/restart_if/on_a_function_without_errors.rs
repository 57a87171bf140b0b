use tokio_supervised::{supervised, TaskError};

fn is_transient(_: &TaskError) -> bool {
    true
}

#[supervised(restart = "on-failure", restart_if = is_transient)]
async fn work() {}

fn main() {}

use tokio_supervised::{supervised, TaskError};

type Nothing = ();

fn is_transient(_: &TaskError) -> bool {
    true
}

#[supervised(restart = "on-failure", restart_if = is_transient)]
async fn work() -> Nothing {}

fn main() {}

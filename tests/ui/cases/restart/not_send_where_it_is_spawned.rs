use std::{cell::Cell, rc::Rc};

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised(restart = "on-failure")]
async fn takes(shared: Rc<u32>) -> Result<u32, TaskError> {
    Ok(*shared)
}

#[supervised(restart = "on-failure")]
async fn holds() -> Result<u32, TaskError> {
    let cell = Cell::new(1);
    let held = &cell;
    std::future::ready(()).await;
    Ok(held.get())
}

fn spawn(_: impl Send) {}

fn main() {
    spawn(takes(CancellationToken::new(), Rc::new(1)));
    spawn(holds(CancellationToken::new()));
}

#![deny(unused_variables, unused_mut, unused_assignments, dead_code)]

use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
pub async fn fetch(mut first: u32, (second, _): (u32, u32)) -> Result<(), TaskError> {
    let third = 1;
    Ok(())
}

#[supervised(allow(unused_token))]
pub async fn watch(token: &CancellationToken, url: &str) -> Result<(), TaskError> {
    Ok(())
}

#[supervised(allow(unused_token))]
pub async fn given(token: CancellationToken) -> Result<(), TaskError> {
    Ok(())
}

#[supervised]
async fn unused() -> Result<(), TaskError> {
    Ok(())
}

fn main() {}

#![deny(unreachable_code, unused_must_use, unused_braces, unused_parens)]

use tokio_supervised::{supervised, CancellationToken, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    return Ok(());
    println!("never");
}

#[supervised]
async fn braces() -> Result<(), TaskError> {
    let n = { 1 };
    let m = (2);
    println!("{}", n + m);
    std::fs::read("/");
    Ok(())
}

fn main() {
    let token = CancellationToken::new();
    drop((work(&token), braces(&token)));
}

//! The size that supervision adds to a future.

use tokio_supervised::{AsToken, CancellationToken, Supervised, TaskError, supervised};

#[supervised(name = "size: small", limit = 16, timeout = "10s")]
async fn small() -> Result<(), TaskError> {
    Ok(())
}

#[supervised(name = "size: large")]
async fn large(token: &CancellationToken, buffer: [u8; 4096]) -> Result<usize, TaskError> {
    token.cancelled().await;
    Ok(buffer.len())
}

fn overhead<F: Future, T: AsToken>(call: &Supervised<F, T>) -> usize {
    size_of_val(call) - size_of::<F>()
}

#[test]
fn a_call_is_at_most_160_bytes_larger_than_its_body() {
    let token = CancellationToken::new();
    assert!(overhead(&small(&token)) <= 160);
    assert!(overhead(&small(token.clone())) <= 160);
    assert!(overhead(&large(&token, [0; 4096])) <= 160);
}

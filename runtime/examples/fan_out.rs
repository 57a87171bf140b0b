//! Runs one function over many items, at most four at once, and keeps the order of the results.
//!
//! ```text
//! cargo run --example fan_out
//! ```

use std::time::Duration;

use tokio_supervised::{CancellationToken, TaskError, map, supervised};

/// Measures a word, slowly. The word `tokio` makes it panic.
#[supervised(limit = 4, timeout = "5s")]
async fn length(word: &'static str) -> Result<usize, TaskError> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_ne!(word, "tokio", "not this word");
    Ok(word.len())
}

#[supervised::main] // Ctrl-C fires the token
async fn main(token: CancellationToken) {
    let words = ["one", "attribute", "for", "tokio", "functions"];
    // `settled`: every word has its own result, and the panic is one of them.
    let results = map(&token, words, length).settled().await;
    for (word, result) in words.iter().zip(results) {
        match result {
            Ok(length) => println!("{word}: {length}"),
            Err(error) => println!("{word}: {error}"),
        }
    }
}
